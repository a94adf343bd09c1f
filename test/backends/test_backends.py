"""Ways to run a net: each tries itself, computes what the net computes, and says why it cannot."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import small_config, small_model
from torch import Tensor

from fluxformer_core.backends import opening
from fluxformer_core.backends.base import Backend, BuildRequest, InferencePrecision, LoadedNet, list_backends
from fluxformer_core.backends.cache import EngineCache, key_of
from fluxformer_core.backends.opening import create_backend, open_net
from fluxformer_core.backends.openvino import OpenVinoBackend
from fluxformer_core.backends.parity import measure_parity
from fluxformer_core.backends.tensorrt import TensorRtBackend
from fluxformer_core.backends.torch import CudaBackend, TorchBackend
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.errors import BackendError, ConfigError
from fluxformer_core.stream.load import open_model, trial_clips

CLIP = (1, 3, 4, 32, 32)


def clips(batch: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    rgb, flow = torch.randn(2, batch, *CLIP[1:])
    return rgb, flow.clamp(-1, 1)


def small_request(**changes: object) -> BuildRequest:
    net = lambda: small_model(small_config())  # noqa: E731
    request = BuildRequest("small", "0123456789ab", net, (CLIP, CLIP), lambda: [clips(1), clips(1, seed=1)])
    return replace(request, **changes)


def openvino(precision: InferencePrecision = "fp32") -> None:
    if reason := OpenVinoBackend().probe(precision):
        pytest.skip(reason)


class Toy(Backend):
    """Computes the net, times a factor; counts what it is asked to do."""

    name = "toy"
    compiles = True

    def __init__(self, factor: float = 1.0) -> None:
        self.factor, self.builds, self.loads, self.version = factor, 0, 0, "1"

    def probe(self, precision: str) -> str | None:
        return "it is a toy" if precision == "bf16" else None

    def identity(self) -> dict[str, str]:
        return {"toy": self.version}

    def build(self, request: BuildRequest, folder: Path) -> None:
        self.builds += 1
        (folder / "engine.txt").write_text(str(self.factor))

    def load(self, request: BuildRequest, folder: Path) -> LoadedNet:
        self.loads += 1
        return ToyEngine(request, float((folder / "engine.txt").read_text()))


class ToyEngine(LoadedNet):
    def __init__(self, request: BuildRequest, factor: float) -> None:
        super().__init__("toy", request, "cpu")
        self.net, self.factor = request.net(), factor

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self.factor * x for x in self.net(*inputs))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy()
    monkeypatch.setattr(opening, "create_backend", lambda name: made)
    return made


def test_torch_computes_exactly_what_the_net_computes():
    engine = open_net(small_request(), "torch")
    rgb, flow = clips(1)
    logits, embedding = engine(rgb, flow)
    with torch.inference_mode():
        expected = small_model(small_config())(rgb, flow)
    assert torch.equal(logits, expected.logits)
    assert torch.equal(embedding, expected.embedding)
    assert (engine.backend, engine.precision, engine.device) == ("torch", "fp32", "cpu")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the first test builds the small net for OpenVINO, which takes long, and others find it."""
    return tmp_path_factory.mktemp("built")


def test_openvino_computes_what_the_net_computes_in_batches_of_any_size(built):
    """An engine for one clip; test_compile_command.py has one for several."""
    openvino()
    engine = open_net(small_request(), "openvino", cache=built)
    net = small_model(small_config())
    for count in (1, 2, 5):
        given = clips(count, seed=count)
        with torch.inference_mode():
            torch.testing.assert_close(engine(*given), tuple(net(*given)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_openvino_computes_the_shipped_model_in_half_precision_where_the_processor_does(precision, tmp_path):
    openvino(precision)
    bundle = Bundle.load(default_bundle_path())
    engine = open_model(bundle, "openvino", precision, cache=tmp_path).net  # or the parity check fails
    found = measure_parity(engine, bundle.build_model(), trial_clips(bundle.spec, flow=True))
    assert found.max_relative_difference > 1e-6, "it computed in full"
    assert found.same_label == 1.0


AFTERWARDS = """
import faulthandler, os, signal, sys, threading
from pathlib import Path

faulthandler.enable()  # gives the thread a stack for signals, which OpenVINO replaces
sys.path[:0] = sys.argv[2:]
from test_backends import open_net, small_request

engines = [open_net(small_request(), "openvino", cache=Path(sys.argv[1]))]
thread = threading.Thread(target=engines.clear)
thread.start()
thread.join()
signal.signal(signal.SIGCHLD, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGCHLD)
"""


def test_a_process_survives_signals_after_another_thread_let_go_of_the_last_engine(built):
    openvino()
    folders = map(str, (built, Path(__file__).parent, Path(__file__).parents[1]))
    command = [sys.executable, "-c", AFTERWARDS, *folders]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_openvino_serves_several_threads_and_keeps_its_outputs(built):
    openvino()
    engine = open_net(small_request(), "openvino", cache=built)
    given = [clips(1, seed=seed) for seed in range(4)]
    alone = [engine(*each)[0] for each in given]
    assert not torch.equal(alone[0], alone[1])
    together: list[Tensor | None] = [None] * 4

    def ask(i: int) -> None:
        for _ in range(5):
            together[i] = engine(*given[i])[0]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    for ours, theirs in zip(together, alone, strict=True):
        assert torch.equal(ours, theirs)


def test_half_precision_on_the_processor_is_near_and_float32_outside():
    engine = open_net(small_request(precision="bf16"), "torch")
    logits, embedding = engine(*clips(1))
    assert logits.dtype == embedding.dtype == torch.float32
    away = measure_parity(engine, small_model(small_config()), [clips(1)])
    assert 0 < away.max_relative_difference < 0.05
    assert away.same_label == 1.0


class Spy(torch.nn.Module):
    """Notes whether convolutions may be computed in TF32 while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []

    def forward(self, rgb: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(torch.backends.cudnn.allow_tf32)
        return rgb.flatten(1), flow.flatten(1)


def test_fp32_disables_tf32_and_restores_the_setting():
    before = torch.backends.cudnn.allow_tf32
    assert before, "PyTorch's default changed: the backend's own setting may go"
    for precision, allowed in (("fp32", False), ("bf16", True)):
        spy = Spy()
        open_net(small_request(net=lambda spy=spy: spy, precision=precision), "torch", tolerance=1.0)(*clips(1))
        assert spy.seen[-1] is allowed
        assert torch.backends.cudnn.allow_tf32 == before


def test_a_backend_that_does_not_work_here_gives_the_reason():
    if not torch.cuda.is_available():
        assert "CUDA" in CudaBackend().probe("fp32")
        with pytest.raises(BackendError, match=r"backend cuda cannot be used in fp32: .*CUDA"):
            open_net(small_request(), "cuda")
    if TensorRtBackend().probe("fp32"):
        with pytest.raises(BackendError, match="backend tensorrt cannot be used in fp16: "):
            open_net(small_request(precision="fp16"), "tensorrt")
    assert TorchBackend().probe("fp32") is None


def test_unknown_names_and_batches_out_of_range_are_refused():
    assert list_backends() == ["auto", "torch", "cuda", "openvino", "tensorrt"]
    with pytest.raises(ConfigError, match="there is no backend 'onnx'; known are torch, cuda, openvino, tensorrt"):
        create_backend("onnx")
    with pytest.raises(ConfigError, match=r"precision must be .fp32., .fp16. or .bf16., not 'int8'"):
        small_request(precision="int8")
    with pytest.raises(ConfigError, match=r"batch must be greater than or equal to 1, not 0"):
        small_request(batch=0)


def test_an_engine_that_fails_the_parity_check_is_refused(toy, tmp_path):
    toy.factor = 1.01
    with pytest.raises(BackendError, match=r"toy in fp32 differs from small by \d+\.\d\d%, 0\.10% are allowed"):
        open_net(small_request(), "toy", cache=tmp_path)
    assert list(tmp_path.glob("small*/key.json")) == []
    open_net(small_request(), "toy", cache=tmp_path, tolerance=0.5)
    # The cached engine was built with a larger tolerance and fails the smaller one.
    with pytest.raises(BackendError, match="differs from small"):
        open_net(small_request(), "toy", cache=tmp_path)


def test_nan_fails_the_parity_check_at_any_tolerance(toy, tmp_path):
    toy.factor = float("nan")
    with pytest.raises(BackendError, match="differs from small by inf%"):
        open_net(small_request(), "toy", cache=tmp_path, tolerance=1e9)


def test_an_engine_is_built_once(toy, tmp_path):
    first, second = (open_net(small_request(), "toy", cache=tmp_path) for _ in range(2))
    assert (toy.builds, toy.loads) == (1, 2)
    assert torch.equal(first(*clips(1))[0], second(*clips(1))[0])
    open_net(small_request(), "toy", cache=tmp_path, rebuild=True)
    assert toy.builds == 2


@pytest.mark.parametrize("change", [{"digest": "ba98"}, {"precision": "fp16"}, {"batch": 2}, {"shapes": (CLIP,)}])
def test_every_condition_is_part_of_the_key(toy, change):
    assert key_of(toy, small_request()).folder == key_of(toy, small_request()).folder
    assert key_of(toy, small_request()).folder != key_of(toy, small_request(**change)).folder


def test_another_version_of_a_library_has_an_engine_of_its_own(toy, tmp_path):
    open_net(small_request(), "toy", cache=tmp_path)
    toy.version = "2"
    open_net(small_request(), "toy", cache=tmp_path)
    assert toy.builds == 2
    assert len(list(tmp_path.glob("small*/key.json"))) == 2


def make_foreign(place: Path) -> None:
    record = json.loads((place / "key.json").read_text())
    record["key"]["platform"] = {"toy": "0"}
    (place / "key.json").write_text(json.dumps(record))


HARM: dict[str, Callable[[Path], object]] = {
    "another engine": lambda place: (place / "engine.txt").write_text("2.0"),
    "damaged record": lambda place: (place / "key.json").write_text("{"),
    "lost record": lambda place: (place / "key.json").unlink(),
    "foreign": make_foreign,
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_or_foreign_engine_is_rebuilt_with_a_warning(harm, toy, tmp_path, caplog):
    open_net(small_request(), "toy", cache=tmp_path)
    (place,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    harm(place)
    engine = open_net(small_request(), "toy", cache=tmp_path)
    assert toy.builds == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "is rebuilt" in caplog.text
    assert engine.factor == 1.0
    assert EngineCache(tmp_path).find(place, key_of(toy, small_request())) is not None


def test_a_cache_that_cannot_be_written_causes_a_warning_and_a_rebuild(toy, tmp_path, caplog):
    (tmp_path / "file").touch()
    for _ in range(2):
        engine = open_net(small_request(), "toy", cache=tmp_path / "file" / "below")
        assert engine(*clips(1))[0].isfinite().all()
    assert toy.builds == 2
    assert "cannot be kept" in caplog.text


def test_a_build_that_fails_leaves_nothing(toy, tmp_path, monkeypatch):
    def fail(request: BuildRequest, folder: Path) -> None:
        (folder / "half").touch()
        raise BackendError("no")

    monkeypatch.setattr(toy, "build", fail)
    with pytest.raises(BackendError, match="no"):
        open_net(small_request(), "toy", cache=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_auto_chooses_the_fastest_backend_and_logs_why(monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(opening, "candidates", lambda: (TorchBackend(), Toy()))
    monkeypatch.setattr(opening, "_race", lambda engines, request: {"torch": 0.02, "toy": 0.01})
    assert open_net(small_request(), "auto", cache=tmp_path).backend == "toy"
    assert "auto: small runs on toy, the fastest here: toy 10.0 ms, torch 20.0 ms" in caplog.text


def test_auto_leaves_out_a_backend_that_fails(monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(opening, "candidates", lambda: (TorchBackend(), Toy(factor=2.0)))
    assert open_net(small_request(), "auto", cache=tmp_path).backend == "torch"
    assert "nothing else works: toy in fp32 differs from small" in caplog.text


def test_auto_measures_every_backend_that_works(monkeypatch, tmp_path):
    raced: list[dict[str, float]] = []
    race = opening._race

    def watch(engines: Sequence[LoadedNet], request: BuildRequest) -> dict[str, float]:
        raced.append(race(list(engines), request))
        return raced[-1]

    monkeypatch.setattr(opening, "candidates", lambda: (TorchBackend(), Toy()))
    monkeypatch.setattr(opening, "_race", watch)
    engine = open_net(small_request(), "auto", cache=tmp_path)
    assert engine.backend == min(raced[0], key=raced[0].__getitem__)
    assert all(seconds > 0 for seconds in raced[0].values())
