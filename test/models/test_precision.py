"""Half precision: every kind of model stays finite on input ten times as loud as normal, and close to fp32."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fluxformer_core.models.registry import create_model, list_models, model_config

SAME_BLOCKS = ("mvit_b", "uniformer_s", "uniformer_b", "emim_b", "video_focalnet_s", "video_focalnet_b")
"""Models made of the blocks of others on the list."""


def net(name: str) -> nn.Module:
    """A model in its full depth and width, on a clip that is quick to compute; its gates stand open."""
    config = model_config(name)
    if config.size > 64:
        config = config.resized(4, 64)
    torch.manual_seed(0)
    model = create_model(name, 400, config=config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("gamma"):
                parameter.fill_(1.0)
            elif ".motion2." in key:
                parameter.normal_(std=0.1)
    return model


@pytest.mark.parametrize("name", [n for n in list_models() if n not in SAME_BLOCKS])
@torch.no_grad()
def test_loud_input_stays_finite_in_half_precision(name):
    exact = net(name)
    config = exact.config
    rgb, flow = torch.randn(2, 1, 3, config.frames, config.size, config.size)
    for dtype, most in ((torch.float16, 0.02), (torch.bfloat16, 0.1)):
        model = copy.deepcopy(exact).to(dtype)
        for loudness in (1, 10):
            expected = exact(loudness * rgb, loudness * flow)
            logits, embedding = model((loudness * rgb).to(dtype), (loudness * flow).to(dtype))
            assert logits.dtype == embedding.dtype == dtype
            assert logits.isfinite().all()
            assert embedding.isfinite().all()
            away = ((logits - expected.logits).norm() / expected.logits.norm()).item()
            print(f"{name}, {dtype}, {loudness:2} times the normal scale: logits {away:.1e} of their size from fp32")
            assert away < most
