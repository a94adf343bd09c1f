"""What holds for every family of models: batches, gradients, degenerate clips, export, files."""

from __future__ import annotations

import math

import pytest
import torch
from helpers import small_config
from torch import Tensor, nn

from fluxformer_core.errors import ConfigError
from fluxformer_core.models.emim.emim import EmimConfig
from fluxformer_core.models.registry import ModelConfig, clip_spec, create_model, list_models, model_config
from fluxformer_core.models.video_focalnet import VideoFocalNetConfig

NEW = {
    "emim_nano": model_config("emim_nano"),
    "emim_s": EmimConfig(frames=4, size=64, depths=(1, 1, 2, 1), dims=(8, 8, 16, 16), head_dim=8, drop_path=0.0),
    "emim_b": EmimConfig(frames=3, size=32, depths=(1, 2), dims=(8, 16), head_dim=8, conv_stages=1, border="pad"),
    "fluxformer_nano_mined": small_config(duplex="off", mined_stages=(1, 2), mining_window=3, trunk={"drop_path": 0.0}),
    "video_focalnet_nano": model_config("video_focalnet_nano"),
    "video_focalnet_t": VideoFocalNetConfig(frames=4, size=32, depths=(1, 1), dim=8, drop_path=0.0),
    "video_focalnet_s": VideoFocalNetConfig(frames=3, size=32, depths=(1, 1), dim=8, causal=True, kernels=(3,)),
}
"""Of each name a net small enough to run in milliseconds."""


def net(name: str, config: ModelConfig) -> nn.Module:
    """With nothing at a value that would hide another part."""
    torch.manual_seed(0)
    model = create_model(name, 5, config=config).eval()
    with torch.no_grad():
        for parameter in (p for n, p in model.named_parameters() if ".motion2." in n):
            parameter.normal_(std=0.1)
    return model


def clips(config: ModelConfig, batch: int = 2, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, config.frames, config.size, config.size, generator=generator)


@pytest.mark.parametrize("name", NEW)
@torch.no_grad()
def test_a_clips_answer_does_not_depend_on_its_batch(name):
    model, rgb = net(name, NEW[name]), clips(NEW[name], 3)
    together = model(rgb)
    assert together.embedding.shape == (3, NEW[name].width)
    assert together.logits.std(0).max() > 1e-3
    for i in range(3):
        for all_of_them, alone in zip(together, model(rgb[i : i + 1]), strict=True):
            torch.testing.assert_close(all_of_them[i], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NEW)
def test_every_parameter_learns(name):
    model, rgb = net(name, NEW[name]).train(), clips(NEW[name])
    for branch in (m for m in model.modules() if hasattr(m, "drop")):
        branch.drop = 0.0
    nn.functional.cross_entropy(model(rgb).logits, torch.tensor([0, 1])).backward()
    strength = {n: 0.0 if p.grad is None else p.grad.norm().item() for n, p in model.named_parameters()}
    assert all(math.isfinite(s) for s in strength.values())
    # A constant added to all keys changes no attention: the bias of their norm cannot learn, in theory.
    assert [n for n, s in strength.items() if s < 1e-8 and not n.endswith("norm_k.bias")] == []


@pytest.mark.parametrize("name", [n for n in NEW if n.startswith("emim")])
def test_motion_is_learnt_from_where_training_starts(name):
    torch.manual_seed(0)
    model = create_model(name, 5, config=NEW[name])
    nn.functional.cross_entropy(model(clips(NEW[name])).logits, torch.tensor([0, 1])).backward()
    silent = [p for n, p in model.named_parameters() if n.endswith("motion2.weight")]
    assert silent
    assert all(p.abs().sum() == 0 and p.grad.norm() > 1e-8 for p in silent)


@pytest.mark.parametrize("case", ["zero", "black", "still", "huge"])
@pytest.mark.parametrize("name", NEW)
def test_degenerate_clips_give_finite_answers_and_gradients(name, case):
    model, rgb = net(name, NEW[name]), clips(NEW[name])
    clip = {
        "zero": torch.zeros_like(rgb),
        "black": torch.full_like(rgb, -2.0),
        "still": rgb[:, :, :1].expand_as(rgb),
        "huge": 1e3 * rgb,
    }[case]
    logits, embedding = model(clip)
    assert logits.isfinite().all()
    assert embedding.isfinite().all()
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", NEW)
@torch.no_grad()
def test_the_exported_graph_computes_the_same_for_any_batch(name):
    model, rgb = net(name, NEW[name]), clips(NEW[name], 3)
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.export.export(model, (rgb[:2],), dynamic_shapes=({0: batch},), strict=False)
    for size in (1, 3):
        for ours, theirs in zip(program.module()(rgb[:size]), model(rgb[:size]), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in NEW if not n.startswith("fluxformer")])  # which has tables of positions
@torch.no_grad()
def test_the_same_weights_take_clips_of_other_lengths_and_sizes(name):
    config = NEW[name]
    model = net(name, config)
    stage_step = config.size // 2 if config.size > 32 else config.size
    larger = config.resized(2 * config.frames, config.size + 2 * stage_step)
    other = create_model(name, 5, config=larger).eval()
    other.load_state_dict(model.state_dict())
    assert other(clips(larger)).logits.isfinite().all()


@pytest.mark.parametrize("name", list_models())
def test_the_default_clip_needs_no_estimator_of_flow_where_the_model_takes_none(name):
    config, spec = model_config(name), clip_spec(name)
    assert (spec.frames, spec.size) == (config.frames, config.size)
    assert (spec.flow == "none") is not config.takes_flow


def test_a_configuration_of_another_family_is_refused():
    with pytest.raises(ConfigError, match="emim_nano is of the family emim, its configuration of video_focalnet"):
        create_model("emim_nano", 2, config=NEW["video_focalnet_t"])
    with pytest.raises(ConfigError, match="duplex"):
        create_model("emim_nano", 2, duplex="off")
