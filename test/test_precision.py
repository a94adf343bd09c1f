"""Half precision: every kind of model stays finite on input ten times as loud as normal, and close to fp32."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from fluxformer_core.models.fluxformer import Fluxformer
from fluxformer_core.models.registry import list_models, model_config


def net(name: str) -> Fluxformer:
    """A model in its full depth and width, on a clip that is quick to compute; its gates stand open."""
    config = model_config(name)
    if config.trunk.size > 64:
        config = replace(config, trunk=replace(config.trunk, frames=4, size=64))
    torch.manual_seed(0)
    model = Fluxformer(config, 400).eval()
    with torch.no_grad():
        for parameter in (p for n, p in model.named_parameters() if n.endswith("gamma")):
            parameter.fill_(1.0)
    return model


@pytest.mark.parametrize("name", [n for n in list_models() if n != "mvit_b"])  # fluxformer_b holds the same trunk
@torch.no_grad()
def test_loud_input_stays_finite_in_half_precision(name):
    exact = net(name)
    trunk = exact.config.trunk
    rgb, flow = torch.randn(2, 1, 3, trunk.frames, trunk.size, trunk.size)
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
