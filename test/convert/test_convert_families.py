"""Public UniFormers and Video-FocalNets become models that run, or starts of EMIMs; nothing in a file is run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from public_families import focalnet_state, uniformer_state
from torch import Tensor
from torch.nn import functional as F

from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import BAD_INPUT, main
from fluxformer_core.convert.checkpoints import initialise_from, read_checkpoint
from fluxformer_core.convert.public_checkpoints import convert, load_checkpoint
from fluxformer_core.errors import BundleError
from fluxformer_core.models.registry import create_model, model_config


def run(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


@pytest.fixture(scope="module")
def uniformer() -> dict[str, Tensor]:
    return uniformer_state("S")


@pytest.fixture(scope="module")
def focalnet() -> dict[str, Tensor]:
    return focalnet_state("T")


def settings_node(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings as the authors' trainings pickle them; the class is gone again when the file is read."""
    module = ModuleType("yacs.config")

    class CfgNode(dict[str, Any]):
        def __init__(self, values: dict[str, Any]) -> None:
            super().__init__(values)
            self.__dict__["__immutable__"] = True
            self.__dict__["__deprecated_keys__"] = set()

    CfgNode.__module__, CfgNode.__qualname__ = "yacs.config", "CfgNode"
    module.CfgNode = CfgNode  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "yacs", ModuleType("yacs"))
    monkeypatch.setitem(sys.modules, "yacs.config", module)
    return CfgNode({"MODEL": CfgNode({"NAME": "video-focalnet_tiny", "DEPTHS": [2, 2, 6, 2]}), "SEED": 0})


@pytest.mark.parametrize(
    ("state", "layout", "model"),
    [
        (uniformer_state("S"), "uniformer", "uniformer_s"),
        (focalnet_state("T"), "video_focalnet", "video_focalnet_t"),
    ],
    ids=["UniFormer-S", "Video-FocalNet-T"],
)
def test_a_checkpoint_fills_its_plain_net_entirely(state, layout, model):
    for wrapped in (state, {"model": state, "epoch": 3}, {"model_state": state}, {"state_dict": state}):
        checkpoint = read_checkpoint(wrapped)
        assert (checkpoint.layout, checkpoint.model, checkpoint.classes) == (layout, model, 400)
        assert not checkpoint.images
    with torch.device("meta"):
        names = create_model(model, 400).state_dict().keys()
    assert checkpoint.weights.keys() == names
    assert sum(v.numel() for v in checkpoint.weights.values()) == sum(v.numel() for v in state.values())


def test_the_base_nets_are_told_from_the_small_ones():
    half = torch.float16
    assert read_checkpoint(uniformer_state("B", dtype=half)).model == "uniformer_b"
    assert read_checkpoint(focalnet_state("S", dtype=half)).model == "video_focalnet_s"


@torch.no_grad()
def test_a_uniformer_computes_what_its_layers_say(uniformer):
    """Its first convolution block, and its first attention block, written out from the published names."""
    net = create_model("uniformer_s", 400, frames=4, size=32).eval()
    initialise_from(net, read_checkpoint(uniformer))
    w = uniformer
    x = torch.randn(1, 3, 4, 32, 32)
    x = F.conv3d(x, w["patch_embed1.proj.weight"], w["patch_embed1.proj.bias"], (2, 4, 4), (1, 0, 0))
    x = F.layer_norm(x.movedim(1, -1), (64,), w["patch_embed1.norm.weight"], w["patch_embed1.norm.bias"]).movedim(-1, 1)

    def conv(at: str, x: Tensor, padding: int = 0) -> Tensor:
        weight = w[f"{at}.weight"]
        return F.conv3d(x, weight, w[f"{at}.bias"], 1, padding, 1, x.shape[1] if weight.shape[1] == 1 else 1)

    def norm(at: str, x: Tensor) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(w[f"{at}.{name}"] for name in names))

    at = "blocks1.0"
    torch.manual_seed(0)
    tokens = torch.randn_like(x)
    found = net.stages[0][0](tokens.movedim(1, -1)).movedim(-1, 1)
    y = tokens + conv(f"{at}.pos_embed", tokens, 1)
    y = y + conv(f"{at}.conv2", conv(f"{at}.attn", conv(f"{at}.conv1", norm(f"{at}.norm1", y)), 2))
    y = y + conv(f"{at}.mlp.fc2", F.gelu(conv(f"{at}.mlp.fc1", norm(f"{at}.norm2", y))))
    torch.testing.assert_close(found, y, rtol=1e-4, atol=1e-4)

    at = "blocks3.1"
    tokens = torch.randn(1, 2, 2, 2, 320)
    y = tokens + conv(f"{at}.pos_embed", tokens.movedim(-1, 1), 1).movedim(1, -1)
    normed = F.layer_norm(y, (320,), w[f"{at}.norm1.weight"], w[f"{at}.norm1.bias"], 1e-6).reshape(1, 8, 320)
    qkv = F.linear(normed, w[f"{at}.attn.qkv.weight"], w[f"{at}.attn.qkv.bias"]).reshape(1, 8, 3, 5, 64)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    attended = (q @ k.transpose(-1, -2) / 8).softmax(-1) @ v
    attended = attended.transpose(1, 2).reshape(1, 8, 320)
    y = y + F.linear(attended, w[f"{at}.attn.proj.weight"], w[f"{at}.attn.proj.bias"]).reshape(y.shape)
    normed = F.layer_norm(y, (320,), w[f"{at}.norm2.weight"], w[f"{at}.norm2.bias"], 1e-6)
    hidden = F.gelu(F.linear(normed, w[f"{at}.mlp.fc1.weight"], w[f"{at}.mlp.fc1.bias"]))
    y = y + F.linear(hidden, w[f"{at}.mlp.fc2.weight"], w[f"{at}.mlp.fc2.bias"])
    torch.testing.assert_close(net.stages[2][1](tokens), y, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_focal_block_computes_what_its_layers_say(focalnet):
    """The last block of the first stage, written out from the published names (Wasim et al. 2023)."""
    net = create_model("video_focalnet_t", 400, frames=4, size=64).eval()
    initialise_from(net, read_checkpoint(focalnet))
    at, dim = "layers.0.blocks.1", 96
    w = {name.removeprefix(f"{at}."): value for name, value in focalnet.items() if name.startswith(at)}
    torch.manual_seed(0)
    tokens = torch.randn(3, 5, 6, dim)  # frames, height, width, channels of one clip
    x = F.layer_norm(tokens, (dim,), w["norm1.weight"], w["norm1.bias"])
    m = {name.removeprefix("modulation."): value for name, value in w.items() if name.startswith("modulation.")}
    query, context, gate = F.linear(x, m["f.weight"], m["f.bias"]).movedim(-1, 1).split([dim, dim, 3], dim=1)
    gathered = torch.zeros_like(context)
    for level, reach in enumerate((1, 2)):
        context = F.gelu(F.conv2d(context, m[f"focal_layers.{level}.0.weight"], padding=reach, groups=dim))
        gathered += gate[:, level : level + 1] * context
    gathered += gate[:, 2:] * F.gelu(context.mean((2, 3), keepdim=True))
    spatial = F.conv2d(gathered, m["h.weight"], m["h.bias"]).movedim(1, -1)
    context, gate = F.linear(x, m["f_temporal.weight"], m["f_temporal.bias"]).split([dim, 3], dim=-1)
    context, gate = (part.permute(1, 2, 3, 0).flatten(0, 1) for part in (context, gate))  # (places, channels, frames)
    gathered = torch.zeros_like(context)
    for level, reach in enumerate((1, 2)):
        context = F.gelu(F.conv1d(context, m[f"focal_layers_temporal.{level}.0.weight"], padding=reach))
        gathered += gate[:, level : level + 1] * context
    gathered += gate[:, 2:] * F.gelu(context.mean(2, keepdim=True))
    temporal = F.conv1d(gathered, m["h_temporal.weight"], m["h_temporal.bias"])
    temporal = temporal.unflatten(0, (5, 6)).permute(3, 0, 1, 2)
    y = tokens + F.linear(query.movedim(1, -1) * spatial * temporal, m["proj.weight"], m["proj.bias"])
    hidden = F.layer_norm(y, (dim,), w["norm2.weight"], w["norm2.bias"])
    hidden = F.gelu(F.linear(hidden, w["mlp.fc1.weight"], w["mlp.fc1.bias"]))
    y = y + F.linear(hidden, w["mlp.fc2.weight"], w["mlp.fc2.bias"])
    torch.testing.assert_close(net.stages[0][1](tokens[None])[0], y, rtol=1e-4, atol=1e-4)


def test_a_training_checkpoint_of_the_authors_is_converted_and_runs(focalnet, tmp_path, monkeypatch, capsys):
    path = tmp_path / "video-focalnet_tiny_k400.pth"
    state = {name: value.half() for name, value in focalnet.items()}
    with monkeypatch.context() as patch:
        torch.save({"model": state, "epoch": 119, "max_accuracy": 79.8, "config": settings_node(patch)}, path)
    assert "yacs" not in sys.modules
    out = tmp_path / "kinetics.safetensors"
    assert run(path, "--out", out, "--size", "64") == 0
    assert "yacs" not in sys.modules, "what a file asks for is not imported"
    bundle = Bundle.load(out)
    assert (bundle.name, len(bundle.labels), bundle.metadata.provenance["layout"]) == (
        "video_focalnet_t", 400, "video_focalnet",
    )  # fmt: skip
    spec = bundle.spec
    assert (spec.frames, spec.size, spec.rate, spec.window, spec.flow) == (8, 64, 7.5, 8, "none")
    assert (spec.mean, spec.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert "left at random" not in capsys.readouterr().out


def test_settings_of_another_class_are_refused_still(focalnet, tmp_path, monkeypatch, capsys):
    path = tmp_path / "net.pth"
    with monkeypatch.context() as patch:
        node = settings_node(patch)
        type(node).__qualname__ = type(node).__name__ = "OtherNode"
        sys.modules["yacs.config"].OtherNode = type(node)  # type: ignore[attr-defined]
        torch.save({"model": {}, "config": node}, path)
    assert run(path, "--out", tmp_path / "out") == BAD_INPUT
    assert "asks for yacs.config.OtherNode to be run" in capsys.readouterr().err


def test_a_uniformer_runs_as_it_is_or_starts_an_emim(uniformer, tmp_path, capsys):
    path = tmp_path / "uniformer_small_k400_16x4.pth"
    torch.save({name: value.half() if value.is_floating_point() else value for name, value in uniformer.items()}, path)
    assert run(path, "--out", tmp_path / "plain", "--size", "64") == 0
    plain = Bundle.load(tmp_path / "plain")
    assert (plain.name, plain.spec.frames, plain.spec.rate, plain.spec.window) == ("uniformer_s", 16, 7.5, 16)
    assert plain.spec.mean == (0.45, 0.45, 0.45)
    capsys.readouterr()
    labels = ["--labels", "wave", "clap"]
    assert run(path, "--model", "emim_s", "--size", "64", *labels, "--out", tmp_path / "start") == 0
    assert "left at random, to be trained: head, stages" in capsys.readouterr().out
    start = Bundle.load(tmp_path / "start")
    assert (start.name, start.labels, start.spec.rate, start.spec.window) == ("emim_s", ("wave", "clap"), 20.0, 64)
    for name, value in start.weights.items():
        if name in plain.weights and not name.startswith("head."):
            assert torch.equal(value, plain.weights[name]), name
    new = {name.split("mixer.")[1].split(".")[0] for name in start.weights.keys() - plain.weights.keys()}
    assert new == {"position_bias", "motion1", "motion2"}
    assert all(not v.any() for n, v in start.weights.items() if n.endswith("motion2.weight"))


@torch.no_grad()
def test_weights_of_pictures_start_nets_for_clips():
    flat = uniformer_state("S", images=True, classes=1000)
    checkpoint = read_checkpoint({"model": flat})
    assert checkpoint.images
    kernel = checkpoint.weights["embeds.0.proj.weight"]
    assert torch.equal(kernel[:, :, 1], flat["patch_embed1.proj.weight"])
    assert not kernel[:, :, [0, 2]].any()
    started = convert(checkpoint, model="emim_s", labels=("a", "b"), size=64).bundle
    assert (started.spec.rate, started.spec.window) == (20.0, 64)

    checkpoint = read_checkpoint(focalnet_state("T", images=True, classes=1000))
    assert checkpoint.images
    conversion = convert(checkpoint, labels=tuple(map(str, range(1000))), size=64)
    assert {name.split(".modulation.")[1].split(".")[0] for name in conversion.transfer.untouched} == {
        "temporal_in", "temporal_levels", "temporal_out",
    }  # fmt: skip
    assert conversion.bundle.spec.window == 64, "what still has to learn about time gets our clip"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if "blocks.3" not in k}, "no known Video-FocalNet has"),
        (lambda s: {k: v for k, v in s.items() if "h_temporal" not in k}, "missing .*temporal_out"),
        (lambda s: s | {"head.weight": torch.full((400, 768), torch.nan)}, "head.weight has values that are not"),
        (lambda s: s | {"layers.0.blocks.0.modulation.f.weight": torch.ones(4, 4)}, r"has shape \(4, 4\)"),
        (lambda s: s | {"extra": torch.ones(1)}, "unexpected extra"),
    ],
)
def test_a_net_that_is_not_whole_is_refused(focalnet, damage, message):
    with pytest.raises(BundleError, match=message):
        read_checkpoint(damage(focalnet))


def test_a_net_of_another_shape_does_not_fit(focalnet, tmp_path):
    path = tmp_path / "net.pth"
    torch.save(focalnet, path)
    for model in ("video_focalnet_nano", "emim_s", "fluxformer_s"):
        with pytest.raises(BundleError):
            convert(load_checkpoint(path), model=model)
    assert model_config("video_focalnet_t").frames == 8
