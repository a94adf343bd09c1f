"""Engines from the command line, and what uses them: the same model, other arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
import torch
from helpers import saved_bundle, small_bundle
from test_backends import clips

from fluxformer_core.actor import Performance, Stage
from fluxformer_core.backends.base import DTYPES, list_backends
from fluxformer_core.backends.openvino import OpenVinoBackend
from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import main
from fluxformer_core.cli.shared_arguments import BACKENDS, PRECISIONS, VIEWS
from fluxformer_core.errors import BackendError, ConfigError
from fluxformer_core.stream.config import DecisionConfig, RecognizerConfig
from fluxformer_core.stream.load import open_model
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Update, ViewName


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLUXFORMER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def _openvino() -> None:
    if reason := OpenVinoBackend().probe("fp32"):
        pytest.skip(reason)


def test_help_lists_the_backends_and_precisions_of_the_library():
    assert list(BACKENDS) == list_backends()
    assert list(PRECISIONS) == list(DTYPES)
    assert ("auto", *get_args(ViewName)) == VIEWS


@pytest.mark.usefixtures("_openvino")
def test_an_engine_is_built_with_progress_and_found_again(tmp_path, cache, capsys):
    """The engine, for several clips at once, computes what the net computes in batches of any size."""
    model = str(saved_bundle(tmp_path))
    assert main(["compile", model, "--backend", "openvino", "--batch", "1..4", "--json"]) == 0
    printed = capsys.readouterr()
    assert "building fluxformer_nano for openvino in fp32, batch up to 4" in printed.err
    assert "is within" in printed.err
    report = json.loads(printed.out)
    assert (report["backend"], report["batch"], report["cache"]) == ("openvino", 4, str(cache))
    assert len(list(cache.glob("fluxformer_nano-*-openvino-fp32-b4-*/engine.xml"))) == 1
    assert main(["compile", model, "--backend", "openvino", "--batch", "4"]) == 0
    printed = capsys.readouterr()
    assert "building" not in printed.err
    assert printed.out.endswith("openvino fp32 on cpu is ready\n")

    bundle, said = Bundle.load(model), []
    opened, net = open_model(bundle, "openvino", batch=4, progress=said.append), bundle.build_model()
    assert not any("building" in line for line in said)
    for count in (1, 2, 5):
        given = clips(count, seed=count)
        with torch.inference_mode():
            torch.testing.assert_close(opened.net(*given), tuple(net(*given)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--batch", "2..4"], "--batch must be a number, or 1..N, not '2..4'"),
        (["--batch", "1000"], "batch must be less than or equal to 64, not 1000"),
        (["--tolerance", "0"], "--tolerance must be positive, not 0.0"),
        (["--backend", "tensorrt", "--precision", "fp16"], "backend tensorrt cannot be used in fp16: "),
        (["--clips", "nothing.mp4", "--precision", "bf16", "--backend", "torch"], "nothing.mp4"),
    ],
)
def test_what_cannot_be_built_is_one_line_and_exit_code_2(arguments, reason, tmp_path, capsys):
    assert main(["compile", str(saved_bundle(tmp_path)), *arguments]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("fluxformer: ")
    assert reason in said


def watch(bundle: Bundle, config: RecognizerConfig) -> list[Update]:
    recognizer = Recognizer(bundle, config)
    stage = Stage([Performance("wave", 0.5, 1.6)], rate=20.0, size=(96, 96), duration=2.4)
    return [recognizer.push(image, SECOND + round(i * SECOND / 20)) for i, (_, image) in enumerate(stage)]


@pytest.mark.usefixtures("_openvino")
def test_a_stream_on_another_backend_gives_the_same_results():
    bundle = small_bundle()
    eager = DecisionConfig(start_score=0.01, keep_score=0.01, smoothing=0.0)
    plain, other = (watch(bundle, RecognizerConfig(decision=eager, backend=name)) for name in ("torch", "openvino"))
    seen = [update.recognition for update in plain if update.recognition is not None and update.recognition.scores]
    assert len(seen) > 3
    for ours, theirs in zip(other, plain, strict=True):
        assert [(e.kind, e.label, e.start, e.end) for e in ours.events] == [
            (e.kind, e.label, e.start, e.end) for e in theirs.events
        ]
        if theirs.recognition is not None:
            assert [s.score for s in ours.recognition.scores] == pytest.approx(
                [s.score for s in theirs.recognition.scores], abs=1e-5
            )


def test_a_recogniser_names_its_backend_and_refuses_one_that_does_not_work():
    assert Recognizer(small_bundle()).model.backend == "torch fp32"
    with pytest.raises(BackendError, match="backend tensorrt cannot be used in fp16"):
        Recognizer(small_bundle(), RecognizerConfig(backend="tensorrt", precision="fp16"))
    with pytest.raises(ConfigError, match=r"backend must be .auto., .*, not .onnx.; precision must be .fp32."):
        RecognizerConfig(backend="onnx", precision="int8")
