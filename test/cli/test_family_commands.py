"""One model of each family from training to use, by its name alone: `fluxformer train`, `evaluate` and `recognize`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import rgb, texture, view

from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import main
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.types import SECOND

pytestmark = pytest.mark.slow

RATE = 20  # Hz


def record(path: Path, direction: int, frames: int, height: float) -> None:
    """A picture that rests, then moves to one side."""
    picture = texture(96, 220)
    with VideoRecorder(path) as recorder:
        for step in range(frames):
            frame = view(picture, direction * 2.5 * max(0, step - frames // 3), height, 64)
            recorder.write(np.ascontiguousarray(rgb(frame)), step * SECOND // RATE)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    lines = ["path,label,split"]
    for number in range(6):
        label, direction = ("left", -1) if number % 2 else ("right", 1)
        record(folder / f"{number}.mp4", direction, 24, number / 2)
        lines.append(f"{number}.mp4,{label},{'test' if number >= 4 else 'train'}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    record(folder / "stream.mp4", 1, 60, 0.0)
    return folder / "index.csv"


@pytest.mark.parametrize("model", ["emim_nano", "video_focalnet_nano", "fluxformer_nano_mined"])
def test_a_model_is_trained_evaluated_and_used_by_its_name(model, index, tmp_path, capsys):
    out = tmp_path / "model.safetensors"
    machine = ["--workers", "0", "--threads", "1", "--cache", str(tmp_path / "cache")]
    training = ["--splits", "train", "--check-splits", "test", "--epochs", "1", "--batch", "4", "--precision", "32"]
    assert main(["train", str(index), "--model", model, "--out", str(out), *training, *machine]) == 0
    bundle = Bundle.load(out)
    assert (bundle.name, bundle.labels, bundle.spec.flow) == (model, ("left", "right"), "none")
    assert bundle.statistics is not None, "further actions can be taught to it"
    report = tmp_path / "report.json"
    evaluation = ["evaluate", str(index), "--splits", "test", "--model", str(out), "--json", str(report)]
    assert main([*evaluation, "--cache", str(tmp_path / "cache")]) == 0
    found = json.loads(report.read_text())
    assert model in json.dumps(found)
    capsys.readouterr()
    lines = tmp_path / "lines.jsonl"
    assert main(["recognize", str(index.parent / "stream.mp4"), "--model", str(out), "--json", str(lines)]) == 0
    recognitions = [json.loads(line) for line in lines.read_text().splitlines()]
    assert any(r.get("scores") for r in recognitions), "the model has looked at a clip"
