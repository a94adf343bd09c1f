"""Public MViTv2 checkpoints: both layouts become the same net, which is the one that torchvision builds from them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import references
import torch
from public_layouts import CLASSES, FRAMES, SIZE, slowfast_state, torchvision_state
from torch import Tensor

from fluxformer_core.convert.checkpoints import Checkpoint, initialise_from, read_checkpoint
from fluxformer_core.errors import BundleError
from fluxformer_core.models.fluxformer.fluxformer import Fluxformer, FluxformerConfig
from fluxformer_core.models.registry import config_of


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return slowfast_state("S")


@pytest.fixture(scope="module")
def checkpoint(state: dict[str, Tensor]) -> Checkpoint:
    return read_checkpoint({"epoch": 200, "model_state": state, "optimizer_state": {}, "cfg": "NUM_GPUS: 8"})


def model(
    name: str, classes: int = CLASSES, *, frames: int = FRAMES, size: int = SIZE, **changes: object
) -> Fluxformer:
    config = config_of(name, FluxformerConfig)
    config = replace(config, trunk=replace(config.trunk, frames=frames, size=size), **changes)  # type: ignore[arg-type]
    torch.manual_seed(1)
    return Fluxformer(config, classes).eval()


def clip(*, frames: int = FRAMES, size: int = SIZE) -> Tensor:
    return torch.randn(1, 3, frames, size, size, generator=torch.Generator().manual_seed(0))


def test_both_layouts_are_the_same_weights(state, checkpoint):
    other = read_checkpoint(torchvision_state(state))
    assert (checkpoint.layout, other.layout) == ("slowfast", "torchvision")
    assert (checkpoint.model, checkpoint.classes) == ("mvit_s", CLASSES)
    assert (checkpoint.config.frames, checkpoint.config.size) == (FRAMES, SIZE)
    assert checkpoint.weights.keys() == other.weights.keys()
    assert all(torch.equal(value, other.weights[name]) for name, value in checkpoint.weights.items())


def test_a_checkpoint_fills_the_plain_trunk_entirely(checkpoint):
    net = model("mvit_s")
    transfer = initialise_from(net, checkpoint)
    assert (transfer.resampled, transfer.untouched, transfer.head) == ((), (), True)
    assert transfer.copied == len(checkpoint.weights) == len(net.state_dict())
    assert all(torch.equal(value, checkpoint.weights[name]) for name, value in net.state_dict().items())


def test_the_larger_net_is_told_by_its_depth_and_fits_the_published_shorter_clip():
    base = read_checkpoint(slowfast_state("B", frames=32, classes=2, dtype=torch.float16))
    assert (base.model, base.config.frames, base.classes) == ("mvit_b", 32, 2)
    assert {value.dtype for value in base.weights.values()} == {torch.float32}
    transfer = initialise_from(model("mvit_b", 2, frames=16), base)
    assert set(transfer.resampled) == {f"blocks.{i}.attn.rel_t.table" for i in range(24)}
    assert transfer.untouched == ()


def test_another_number_of_outputs_leaves_the_head_as_it_is(checkpoint):
    net = model("mvit_s", classes=3)
    before = net.head.weight.clone()
    transfer = initialise_from(net, checkpoint)
    assert (transfer.untouched, transfer.head) == (("head.weight", "head.bias"), False)
    assert torch.equal(net.head.weight, before)


def test_relative_positions_are_resampled_along_their_table(checkpoint):
    net = model("mvit_s", frames=2 * FRAMES, size=2 * SIZE)
    ramps = {
        name: torch.linspace(0, 1, len(value))[:, None].expand_as(value) if ".rel_" in name else value
        for name, value in checkpoint.weights.items()
    }
    transfer = initialise_from(net, replace(checkpoint, weights=ramps))
    tables = {name: value for name, value in net.state_dict().items() if ".rel_" in name}
    assert len(transfer.resampled) > 30
    assert set(transfer.resampled) <= tables.keys()
    for name, table in tables.items():
        rows = len(table)
        assert torch.equal(table[:, 0], table[:, -1])
        if name in transfer.resampled and len(ramps[name]) > 1:
            assert table[rows // 2, 0] == pytest.approx(0.5, abs=1e-6), "no distance stays no distance"
            assert (table.diff(dim=0) >= 0).all()
            assert table[0, 0] < 0.2
            assert table[-1, 0] > 0.8
    assert len(net.blocks[0].attn.rel_t.table) == 2 * FRAMES - 1


@pytest.mark.parametrize("mode", ["cross", "self", "bidirectional"])
def test_a_fluxformer_starts_from_the_checkpoint_as_the_plain_trunk(checkpoint, mode):
    net = model("fluxformer_s", duplex=mode, gate=1.0, clusters=0)
    transfer = initialise_from(net, checkpoint)
    assert (transfer.untouched, transfer.head) == ((), True)
    plain = model("mvit_s")
    initialise_from(plain, checkpoint)
    flow = clip().clamp(-1, 1)
    with torch.no_grad():
        expected = plain(clip()).logits
        torch.testing.assert_close(net(clip(), flow).logits, expected)
        net.blocks[0].gamma.fill_(1.0)
        assert not torch.allclose(net(clip(), flow).logits, expected)


@pytest.mark.parametrize(("mode", "parts"), [("cross", 2), ("self", 3)])
def test_flow_starts_from_what_rgb_has_learnt(checkpoint, mode, parts):
    net = model("fluxformer_s", duplex=mode)
    initialise_from(net, checkpoint)
    block = net.blocks[0]
    own, theirs = block.flow_attn.state_dict(), block.attn.state_dict()
    assert len(own["qkv.weight"]) == parts * 96
    for name, value in own.items():
        assert torch.equal(value, theirs[name][: len(value)]), name
    colours = net.patch_embed.proj.weight
    for channel in net.flow_embed.proj.weight.unbind(1):
        torch.testing.assert_close(channel, colours.mean(1))
    assert not block.gamma.any()


def test_what_a_checkpoint_does_not_have_is_reported_and_left_alone(checkpoint):
    net = model("fluxformer_s")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    transfer = initialise_from(net, checkpoint)
    assert {name.split(".")[0] for name in transfer.untouched} == {"clustering", "final"}
    assert all(torch.equal(net.state_dict()[name], before[name]) for name in transfer.untouched)


def test_a_model_of_another_shape_is_refused(checkpoint):
    with pytest.raises(BundleError, match=r"does not fit the model: .*has shape .*, the model needs .*and \d+ more"):
        initialise_from(
            model("mvit_b"), replace(checkpoint, weights=checkpoint.weights | {"norm.weight": torch.ones(5)})
        )
    net = model("fluxformer_nano", frames=16, size=64)
    with pytest.raises(BundleError, match="does not fit the model"):
        initialise_from(net, checkpoint)


def damaged(state: dict[str, Tensor]) -> dict[str, tuple[dict[str, Tensor], str]]:
    def without(part: str) -> dict[str, Tensor]:
        return {name: value for name, value in state.items() if part not in name}

    return {
        "nothing": ({}, "it is empty"),
        "another net": ({"stem.weight": torch.ones(1)}, "it has no known layout.*stem.weight"),
        "no class token": (without("cls_token"), "missing cls_token"),
        "no relative positions": (without("rel_pos"), "no relative positions"),
        "fewer blocks": (without("blocks.15."), "15 blocks, the known MViTv2 have 16 .*24"),
        "a hole in its blocks": (without("blocks.7."), "15 blocks"),
        "absolute positions too": (state | {"pos_embed": torch.ones(1)}, "unexpected pos_embed"),
        "another width": (state | {"norm.weight": torch.ones(96)}, r"norm.weight has shape \(96,\) instead"),
        "not finite": (state | {"norm.bias": torch.full((768,), math.nan)}, "norm.bias has values that are not finite"),
        "odd head": (state | {"head.projection.bias": torch.ones(3)}, "different lengths"),
        "not square": (state | {"blocks.0.attn.rel_pos_w": torch.ones(47, 96)}, "only square clips"),
    }  # fmt: skip


@pytest.mark.parametrize("case", damaged({}))
def test_other_weights_are_refused_and_the_error_names_the_reason(state, case):
    content, message = damaged(state)[case]
    with pytest.raises(BundleError, match=message):
        read_checkpoint(content)


@pytest.mark.parametrize(
    ("variant", "frames", "size"),
    [pytest.param(*case, marks=[pytest.mark.slow] * (case[2] == 224)) for case in references.MVITS],
)
@torch.no_grad()
def test_the_net_is_the_one_that_torchvision_computes(variant, frames, size):
    """Weights are drawn such that none has a value that would hide it."""
    ours = model(f"mvit_{variant.lower()}", frames=frames, size=size)
    transfer = initialise_from(ours, read_checkpoint(slowfast_state(variant, frames=frames, size=size)))
    assert (transfer.resampled, transfer.untouched) == ((), ())
    logits = ours(references.clip(frames, size)).logits
    for theirs in map(torch.from_numpy, references.outputs(references.mvit_logits, variant, frames, size)):
        print(f"MViTv2-{variant}, {frames} x {size}²: greatest difference {(logits - theirs).abs().max():.1e} "
              f"of {theirs.abs().max():.2f}")  # fmt: skip
        assert theirs.std() > 0.1
        torch.testing.assert_close(logits, theirs, rtol=1e-5, atol=1e-5)
