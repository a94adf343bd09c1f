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


def shallow(config: Any, deepest: int) -> Any:
    """The same configuration with few blocks in each stage: the first may change the grid, all others are alike."""
    if hasattr(config, "trunk"):
        return replace(config, trunk=shallow(config.trunk, deepest))
    return replace(config, depths=tuple(min(depth, deepest) for depth in config.depths))


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic batch"])
@pytest.mark.parametrize("name", list_models())
def test_every_model_exports_at_its_own_clip(name, dynamic):
    exported(name, dynamic, shallow(model_config(name), 2 if dynamic else 1))


@pytest.mark.parametrize("name", ["emim_s", "mvit_s", "video_focalnet_t"])
def test_every_family_exports_at_full_depth(name):
    exported(name, True, model_config(name))


def exported(name: str, dynamic: bool, config: Any) -> None:
    """Export a model and look at what the graph says of its batch and outputs."""
    with torch.device("meta"):  # shapes are all that an export looks at
        model, spec = create_model(name, 27, config=config).eval(), clip_spec(name)
        clip = torch.empty(2, 3, spec.frames, spec.size, spec.size)
    inputs = (clip, clip) if model.config.takes_flow else (clip,)
    shapes = dynamic_shapes(inputs) if dynamic else None
    program = torch.export.export(model, inputs, dynamic_shapes=shapes, strict=False)
    logits = next(node for node in program.graph.nodes if node.op == "output").args[0][0].meta["val"]
    assert logits.shape[1] == 27
    assert isinstance(logits.shape[0], torch.SymInt) is dynamic
    assert len(program.range_constraints) == dynamic


@torch.no_grad()
def test_an_exported_trunk_of_full_depth_computes_the_same_for_any_batch():
    config = model_config("fluxformer_s")
    config = replace(config, trunk=replace(config.trunk, frames=4, size=64), duplex_stages=(1, 2, 3, 4), gate=1.0)
    torch.manual_seed(0)
    model = Fluxformer(config, 27).eval()
    rgb, flow = torch.randn(2, 3, 3, 4, 64, 64)
    program = torch.export.export(model, (rgb, flow), dynamic_shapes=dynamic_shapes((rgb, flow)), strict=False)
    for batch in (1, 2, 3):
        torch.testing.assert_close(
            program.module()(rgb[:batch], flow[:batch]), model(rgb[:batch], flow[:batch]), rtol=1e-5, atol=1e-5
        )
