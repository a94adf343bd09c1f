"""torch.export takes every registered model at its own clip, for one batch size and for any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from fluxformer_core.models.fluxformer.fluxformer import Fluxformer
from fluxformer_core.models.registry import clip_spec, create_model, list_models, model_config

pytestmark = pytest.mark.slow
BATCH = torch.export.Dim("batch", min=1, max=8)


def dynamic_shapes(inputs: tuple[torch.Tensor, ...]) -> tuple[dict[int, torch.export.Dim], ...]:
    return tuple({0: BATCH} for _ in inputs)


def at_least(name: str) -> Any:
    """The configuration of a model, with one block in each stage: the first may change the grid, others are alike.

    The small models have few blocks anyway, and keep them.
    """
    config = model_config(name)
    return config if "nano" in name else with_trunk(config, depths=(1,) * len(trunk_of(config).depths), drop_path=0.0)


def trunk_of(config: Any) -> Any:
    return getattr(config, "trunk", config)


def with_trunk(config: Any, **changes: Any) -> Any:
    trunk = replace(trunk_of(config), **changes)
    return replace(config, trunk=trunk) if hasattr(config, "trunk") else trunk


# Of models that differ only in their numbers of blocks one is enough. test_models.py exports fluxformer_nano, and
# video_focalnet_b is a wider video_focalnet_t.
ELSEWHERE = ("fluxformer_nano", "video_focalnet_b")
DIFFERENT = {at_least(name): name for name in list_models() if name not in ELSEWHERE}.values()


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_model_exports_at_its_own_clip_for_any_batch(name):
    exported(name, dynamic=True)


@pytest.mark.parametrize("name", ["emim_nano", "fluxformer_nano_mined", "video_focalnet_nano"])
def test_every_family_exports_for_one_batch(name):
    exported(name, dynamic=False)


def exported(name: str, *, dynamic: bool) -> None:
    """Export a model and look at what the graph says of its batch and outputs."""
    with torch.device("meta"):  # shapes are all that an export looks at
        model, spec = create_model(name, 27, config=at_least(name)).eval(), clip_spec(name)
        clip = torch.empty(2, 3, spec.frames, spec.size, spec.size)
    inputs = (clip, clip) if model.config.takes_flow else (clip,)
    shapes = dynamic_shapes(inputs) if dynamic else None
    program = torch.export.export(model, inputs, dynamic_shapes=shapes, strict=False)
    logits = next(node for node in program.graph.nodes if node.op == "output").args[0][0].meta["val"]
    assert logits.shape[1] == 27
    assert isinstance(logits.shape[0], torch.SymInt) is dynamic
    assert len(program.range_constraints) == dynamic


@torch.no_grad()
def test_an_exported_trunk_with_blocks_of_every_kind_computes_the_same_for_any_batch():
    """A first block, one that changes the grid, and one that keeps it."""
    config = with_trunk(model_config("fluxformer_s"), frames=4, size=64, depths=(1, 2))
    config = replace(config, duplex_stages=(1, 2), gate=1.0)
    torch.manual_seed(0)
    model = Fluxformer(config, 27).eval()
    rgb, flow = torch.randn(2, 3, 3, 4, 64, 64)
    program = torch.export.export(model, (rgb, flow), dynamic_shapes=dynamic_shapes((rgb, flow)), strict=False)
    for batch in (1, 2, 3):
        torch.testing.assert_close(
            program.module()(rgb[:batch], flow[:batch]), model(rgb[:batch], flow[:batch]), rtol=1e-5, atol=1e-5
        )
