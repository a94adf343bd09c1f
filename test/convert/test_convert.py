"""`fluxformer convert`: files in the public layouts, local or fetched, become models that run; others are refused."""

from __future__ import annotations

import hashlib
import io
import os
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from public_layouts import slowfast_state, torchvision_state
from torch import Tensor

from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import BAD_INPUT, main
from fluxformer_core.convert.public_checkpoints import KNOWN, convert, load_checkpoint, published_labels
from fluxformer_core.errors import BundleError, ConfigError


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """MViTv2-S for clips of 16 frames of 64 px, in half precision to be quick on disk."""
    return slowfast_state("S", frames=16, dtype=torch.float16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("public")


@pytest.fixture(scope="module")
def slowfast(folder: Path, state: dict[str, Tensor]) -> Path:
    path = folder / "MViTv2_S_16x4_k400_f302660347.pyth"
    optimizer = {"state": {}, "param_groups": [{"lr": 1e-6, "params": [0, 1]}]}
    torch.save({"epoch": 199, "model_state": state, "optimizer_state": optimizer, "cfg": "NUM_GPUS: 8\n"}, path)
    return path


@pytest.fixture(scope="module")
def torchvision(folder: Path, state: dict[str, Tensor]) -> Path:
    """A file that is named after its own digest, as PyTorch's are."""
    stream = io.BytesIO()
    torch.save(torchvision_state(state), stream)
    path = folder / f"mvit_v2_s-{hashlib.sha256(stream.getvalue()).hexdigest()[:8]}.pth"
    path.write_bytes(stream.getvalue())
    return path


def run(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_both_layouts_give_the_same_model_that_needs_nothing_else(slowfast, torchvision, tmp_path, state, capsys):
    for number, path in enumerate((slowfast, torchvision)):
        assert run(path, "--out", tmp_path / f"{number}.safetensors") == 0
        assert hashlib.sha256(path.read_bytes()).hexdigest() in capsys.readouterr().out
    one, other = (Bundle.load(tmp_path / f"{number}.safetensors") for number in range(2))
    assert (one.name, one.metadata.config, one.spec, one.labels) == (
        other.name, other.metadata.config, other.spec, other.labels,
    )  # fmt: skip
    assert all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())
    assert torch.equal(one.weights["norm.bias"], state["norm.bias"].float())
    assert one.name == "mvit_s"
    assert (one.spec.frames, one.spec.size, one.spec.rate, one.spec.window) == (16, 64, 7.5, 16)
    assert one.spec.mean == (0.45, 0.45, 0.45)
    assert one.spec.std == (0.225, 0.225, 0.225)
    assert one.metadata.provenance["layout"] == "slowfast"
    assert one.metadata.provenance["sha256"] == hashlib.sha256(slowfast.read_bytes()).hexdigest()


def test_labels_of_the_data_sets_are_the_published_ones_in_their_order():
    folder = Path(__file__).parents[2] / "fluxformer_core" / "assets" / "labels"
    for classes, name in ((400, "kinetics400"), (174, "something_something_v2")):
        lines = (folder / f"{name}.txt").read_text().splitlines()
        labels = published_labels(classes)
        assert labels is not None
        assert len(lines) == len(labels) == len(set(labels)) == classes
        assert lines == sorted(lines), "the public order is the alphabet's, capitals first"
        assert all(label.replace("_", "").isalnum() and label == label.lower() for label in labels)
    kinetics = published_labels(400) or ()
    assert (kinetics[0], kinetics[5], kinetics[-1]) == ("abseiling", "archery", "zumba")
    assert "massaging_persons_head" in kinetics
    assert published_labels(401) is None


@pytest.mark.parametrize(
    ("classes", "published", "frames", "rate", "window"),
    [(400, 16, None, 7.5, 16), (400, 32, None, 10.0, 32), (400, 32, 16, 5.0, 16), (174, 16, None, 12.0, 48)],
)
def test_the_clip_is_the_one_that_the_net_was_trained_on(tmp_path, classes, published, frames, rate, window):
    path = tmp_path / "net.pyth"
    torch.save({"model_state": slowfast_state("S", frames=published, classes=classes, dtype=torch.float16)}, path)
    spec = convert(load_checkpoint(path), frames=frames).bundle.spec
    assert (spec.frames, spec.rate, spec.window) == (frames or published, rate, window)


def test_a_start_for_fine_tuning_has_own_labels_and_our_clip(torchvision, tmp_path, capsys):
    out = tmp_path / "start.safetensors"
    labels = tmp_path / "labels.txt"
    labels.write_text("wave\nclap\n\nthrow\n")
    assert run(torchvision, "--model", "fluxformer_s", "--labels", labels, "--out", out) == 0
    bundle = Bundle.load(out)
    assert bundle.labels == ("wave", "clap", "throw")
    assert bundle.name == "fluxformer_s"
    assert (bundle.spec.frames, bundle.spec.size, bundle.spec.rate, bundle.spec.window) == (16, 64, 20.0, 64)
    assert "left at random, to be trained: clustering, final, head" in capsys.readouterr().out
    assert run(torchvision, "--labels", "wave", "clap", "--size", "96", "--frames", "8", "--out", out) == 0
    bundle = Bundle.load(out)
    assert (bundle.name, bundle.labels, bundle.spec.size, bundle.spec.frames) == ("mvit_s", ("wave", "clap"), 96, 8)
    assert "resampled to the clip's size" in capsys.readouterr().out


@torch.no_grad()
def test_half_precision_on_disk_changes_the_answer_by_less_than_a_percent(tmp_path):
    path = tmp_path / "net.pyth"
    torch.save({"model_state": slowfast_state("S", frames=4)}, path)
    bundle = convert(load_checkpoint(path), rate=7.5).bundle
    rgb = torch.randn(2, 3, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    exact = bundle.build_model()(rgb).logits
    stored = bundle.save(tmp_path / "net.safetensors").build_model()(rgb).logits
    difference = ((stored - exact).norm() / exact.norm()).item()
    print(f"logits differ by {difference:.1e} of their size, probabilities by at most "
          f"{(stored.softmax(1) - exact.softmax(1)).abs().max():.1e}")  # fmt: skip
    assert 0 < difference < 0.01
    assert torch.equal(stored.argmax(1), exact.argmax(1))


class Redirect(BaseHTTPRequestHandler):
    """Sends everybody to the same path on another port."""

    def __init__(self, port: int, *arguments: Any) -> None:
        self.port = port
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{self.port}{self.path}")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


class Files(SimpleHTTPRequestHandler):
    """Serves a folder; what is asked for under /cut/ breaks off halfway."""

    def do_GET(self) -> None:
        if not self.path.startswith("/cut/"):
            return super().do_GET()
        data = (Path(self.directory) / self.path.removeprefix("/cut/")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        return None

    def log_message(self, *_: Any) -> None: ...


def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def files(folder: Path) -> Iterator[int]:
    yield from serving(partial(Files, directory=str(folder)))


@pytest.fixture
def redirect(files: int) -> Iterator[int]:
    yield from serving(partial(Redirect, files))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for proxy in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_a_known_name_is_fetched_checked_and_kept(slowfast, redirect, cache, tmp_path, capsys):
    out, name = tmp_path / "net.safetensors", "slowfast:MViTv2_S_16x4_k400"
    digest = hashlib.sha256(slowfast.read_bytes()).hexdigest()
    arguments = (name, "--url", f"http://127.0.0.1:{redirect}/{slowfast.name}", "--out", out)
    assert run(*arguments, "--sha256", digest[:16]) == 0
    shown = capsys.readouterr()
    assert digest in shown.out, "PySlowFast's names hold no digest: the user can pin this one"
    assert f"{slowfast.name}: 100%" in shown.err
    assert [path.name for path in cache.iterdir()] == [slowfast.name]
    bundle = Bundle.load(out)
    assert len(bundle.labels) == 400
    assert bundle.metadata.provenance["converted_from"] == name
    assert run(name, "--url", f"http://127.0.0.1:1/{slowfast.name}", "--out", out) == 0, "fetched once only"


def test_a_fetched_file_that_is_not_what_its_name_says_is_refused(torchvision, folder, files, cache, tmp_path, capsys):
    renamed = folder / Path(KNOWN["torchvision:mvit_v2_s"]).name
    renamed.write_bytes(torchvision.read_bytes())
    url = f"http://127.0.0.1:{files}/{renamed.name}"
    assert run("torchvision:mvit_v2_s", "--url", url, "--out", tmp_path / "net") == BAD_INPUT
    assert "another file than its name says: its SHA-256 begins with" in capsys.readouterr().err
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("cut/{name}", "the connection ended after"),
        ("nothing.pth", "HTTP Error 404"),
        ("", "is not the http"),
        ("..", "is not the http"),
    ],
)
def test_what_cannot_be_fetched_whole_leaves_nothing_behind(path, message, slowfast, files, cache, tmp_path, capsys):
    url = f"http://127.0.0.1:{files}/{path.format(name=slowfast.name)}"
    assert run("slowfast:MViTv2_S_16x4_k400", "--url", url, "--out", tmp_path / "net") == BAD_INPUT
    assert message in capsys.readouterr().err
    assert not cache.exists() or not list(cache.iterdir())


def test_without_a_network_the_address_is_told(cache, tmp_path, capsys):
    url = "http://127.0.0.1:1/mvit_v2_s-ae3be167.pth"
    assert run("torchvision:mvit_v2_s", "--url", url, "--out", tmp_path / "net") == BAD_INPUT
    error = capsys.readouterr().err
    assert f"cannot fetch {url}: " in error
    assert "fetch it elsewhere and convert the file" in error


def test_every_known_name_leads_to_a_file_of_that_name():
    for name, url in KNOWN.items():
        assert url.startswith("https://")
        assert name.split(":")[1] in url.rsplit("/", 1)[1]


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("sprung",)


def refused_files() -> dict[str, tuple[Callable[[bytes, dict[str, Tensor]], bytes], str]]:
    def saved(content: object, **options: Any) -> bytes:
        stream = io.BytesIO()
        torch.save(content, stream, **options)
        return stream.getvalue()

    return {
        "truncated": (lambda data, _: data[: len(data) // 2], "is damaged"),
        "nearly whole": (lambda data, _: data[:-100], "is damaged"),
        "empty": (lambda *_: b"", "is damaged"),
        "text": (lambda *_: b"<html>404</html>\n", "damaged, or no PyTorch file"),
        "code": (lambda _, state: saved(state | {"trap": Trap()}), "it asks for posix.mkdir to be run"),
        "old code": (lambda *_: saved({"trap": Trap()}, _use_new_zipfile_serialization=False), "asks for posix.mkdir"),
        "a list": (lambda *_: saved([torch.ones(1)]), "holds a list and no weights by name"),
        "another net": (lambda *_: saved({"stem.weight": torch.ones(1)}), "it has no known layout"),
        "version 1": (lambda _, s: saved({k: v for k, v in s.items() if "rel_pos" not in k}), "no relative positions"),
    }


@pytest.mark.parametrize("case", refused_files())
def test_other_files_are_refused_in_one_line_and_never_run(case, slowfast, state, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    damage, message = refused_files()[case]
    path = tmp_path / "file.pth"
    path.write_bytes(damage(slowfast.read_bytes(), state))
    assert run(path, "--out", tmp_path / "net") == BAD_INPUT
    error = capsys.readouterr().err
    assert str(path) in error
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "net").exists()
    assert not (tmp_path / "sprung").exists()


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), zipped=st.booleans())
def test_a_file_with_flipped_bytes_never_leads_to_another_error(folder, seed, zipped):
    rng, stream = random.Random(seed), io.BytesIO()
    torch.save({"model_state": {"stem.weight": torch.ones(2)}}, stream, _use_new_zipfile_serialization=zipped)
    data = bytearray(stream.getvalue())
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path = folder / "flipped.pth"
    path.write_bytes(data)
    with pytest.raises(BundleError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.pth"], "cannot read nowhere.pth: No such file"),
        (["torchvision:mvit_v1_b"], "is no file and no known name; known are torchvision:mvit_v2_s"),
        (["{file}", "--url", "http://x/y"], "--url is for known names"),
        (["{file}", "--sha256", "0123abcd"], "another file than --sha256 says"),
        (["{file}", "--sha256", "short"], "64 hexadecimal digits"),
        (["{file}", "--model", "mvit_xl"], "no model 'mvit_xl'"),
        (["{file}", "--model", "mvit_b"], "does not fit the model"),
        (["{file}", "--model", "fluxformer_nano"], "does not fit the model"),
        (["{file}", "--size", "50"], "does not divide"),
        (["{file}", "--labels", "wave", "wave"], "distinct"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments, message, slowfast, tmp_path, capsys):
    out = tmp_path / "net"
    assert run(*[a.format(file=slowfast) for a in arguments], "--out", out) == BAD_INPUT
    shown = capsys.readouterr()
    assert message in shown.err
    assert (shown.err.count("\n"), shown.out) == (1, "")
    assert not out.exists()


def test_a_number_of_outputs_that_no_data_set_has_needs_labels(tmp_path):
    path = tmp_path / "own.pyth"
    torch.save({"model_state": slowfast_state("S", frames=16, classes=5, dtype=torch.float16)}, path)
    checkpoint = load_checkpoint(path)
    with pytest.raises(ConfigError, match="5 outputs"):
        convert(checkpoint)
    assert convert(checkpoint, labels=tuple("abcde")).transfer.head
