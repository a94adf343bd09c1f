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
    "fluxformer_nano": model_config("fluxformer_nano"),
    "fluxformer_nano_mined": small_config(duplex="off", mined_stages=(1, 2), mining_window=3, trunk={"drop_path": 0.0}),
    "video_focalnet_nano": model_config("video_focalnet_nano"),
    "video_focalnet_t": VideoFocalNetConfig(frames=4, size=32, depths=(1, 1), dim=8, drop_path=0.0),
    "video_focalnet_s": VideoFocalNetConfig(frames=3, size=32, depths=(1, 1), dim=8, causal=True, kernels=(3,)),
}
"""Of each name a net small enough to run in milliseconds."""

MODES = [(mode, readout) for mode in ("cross", "self", "bidirectional") for readout in ("cls", "mean")]
ALL = {
    **NEW,
    **{f"fluxformer_s {mode} {readout}": small_config(duplex=mode, readout=readout) for mode, readout in MODES},
    "mvit_s": small_config(duplex="off", clusters=0, readout="mean"),
}


def net(name: str, config: ModelConfig) -> nn.Module:
    """A model in which no part is silent: what starts at a constant gets random values."""
    torch.manual_seed(0)
    model = create_model(name.split(maxsplit=1)[0], 5, config=config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith(("gamma", "value_gate")):
                parameter.normal_()
            elif ".motion2." in key:
                parameter.normal_(std=0.1)
    return model


def clips(config: ModelConfig, batch: int = 2, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Colour, and flow that not every model takes."""
    generator = torch.Generator().manual_seed(seed)
    rgb, flow = (torch.randn(batch, 3, config.frames, config.size, config.size, generator=generator) for _ in range(2))
    return rgb, flow.clamp(-1, 1)


@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_a_clips_answer_does_not_depend_on_its_batch(name):
    model, (rgb, flow) = net(name, ALL[name]), clips(ALL[name], 3)
    together = model(rgb, flow)
    assert together.embedding.shape == (3, ALL[name].width)
    assert together.logits.std(0).max() > 1e-3
    for i in range(3):
        for all_of_them, alone in zip(together, model(rgb[i : i + 1], flow[i : i + 1]), strict=True):
            torch.testing.assert_close(all_of_them[i], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_flow_changes_the_answer_of_models_that_take_flow_and_of_no_others(name):
    model, (rgb, flow) = net(name, ALL[name]), clips(ALL[name])
    assert torch.equal(model(rgb).logits, model(rgb, flow).logits) is not ALL[name].takes_flow


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_learns(name):
    model, given = net(name, ALL[name]).train(), clips(ALL[name])
    for branch in (m for m in model.modules() if hasattr(m, "drop")):
        branch.drop = 0.0
    torch.manual_seed(1)
    nn.functional.cross_entropy(model(*given).logits, torch.tensor([0, 1])).backward()
    strength = {n: 0.0 if p.grad is None else p.grad.norm().item() for n, p in model.named_parameters()}
    assert all(math.isfinite(s) for s in strength.values())
    # A constant added to all keys changes no attention: the bias of their norm cannot learn, in theory.
    assert [n for n, s in strength.items() if s < 1e-8 and not n.endswith("norm_k.bias")] == []


@pytest.mark.parametrize("name", [n for n in NEW if n.startswith("emim")])
def test_motion_is_learnt_from_where_training_starts(name):
    torch.manual_seed(0)
    model = create_model(name, 5, config=NEW[name])
    nn.functional.cross_entropy(model(*clips(NEW[name])).logits, torch.tensor([0, 1])).backward()
    silent = [p for n, p in model.named_parameters() if n.endswith("motion2.weight")]
    assert silent
    assert all(p.abs().sum() == 0 and p.grad.norm() > 1e-8 for p in silent)


@pytest.mark.parametrize("case", ["zero flow", "all zero", "black", "one frame repeated", "flow at its limit", "huge"])
@pytest.mark.parametrize("name", ALL)
def test_degenerate_clips_give_finite_answers_and_gradients(name, case):
    model, (rgb, flow) = net(name, ALL[name]), clips(ALL[name])
    zero = torch.zeros_like(rgb)
    given = {
        "zero flow": (rgb, zero),
        "all zero": (zero, zero),
        "black": (torch.full_like(rgb, -2.0), zero),
        "one frame repeated": (rgb[:, :, :1].expand_as(rgb), zero),
        "flow at its limit": (rgb, torch.ones_like(flow)),
        "huge": (1e3 * rgb, flow),
    }[case]
    logits, embedding = model(*given)
    assert logits.isfinite().all()
    assert embedding.isfinite().all()
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", [n for n in NEW if not NEW[n].takes_flow])  # test_models.py has the models with flow
@torch.no_grad()
def test_the_exported_graph_computes_the_same_for_any_batch(name):
    model, (rgb, _) = net(name, NEW[name]), clips(NEW[name], 3)
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
    assert other(clips(larger)[0]).logits.isfinite().all()


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
