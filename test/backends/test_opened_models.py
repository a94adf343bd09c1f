"""Models opened on backends: with and without flow, norms in half precision, and the folder of engines."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from helpers import small_bundle
from test_backends import clips, openvino
from torch import nn

from fluxformer_core.backends.tensorrt import typed
from fluxformer_core.stream.load import open_model


def test_a_model_opened_without_flow_takes_colour_alone():
    """test_compile_command.py has a model that is opened with flow."""
    openvino()
    bundle = small_bundle()
    net = bundle.build_model()
    model = open_model(bundle, "openvino", flow=False)
    rgb, _ = clips(1)
    with torch.inference_mode():
        torch.testing.assert_close(model(rgb, None).logits, net(rgb, None).logits, rtol=1e-4, atol=1e-5)


def test_layer_norms_compute_in_float32_in_nets_of_half_precision():
    net = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
    given = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    expected = net(given)
    half = typed(net, "fp16")
    assert {p.dtype for p in half.parameters()} == {torch.float16}
    program = torch.export.export(half, (given.half(),))
    (norm,) = [node for node in program.graph.nodes if "layer_norm" in str(node.target)]
    assert norm.meta["val"].dtype == torch.float32
    found = program.module()(given.half())
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


def test_environment_variables_set_the_folder_of_the_cache(monkeypatch):
    from fluxformer_core.backends.cache import default_cache

    for name in ("FLUXFORMER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert default_cache() == Path.home() / ".cache" / "fluxformer"
    monkeypatch.setenv("XDG_CACHE_HOME", os.sep + "x")
    assert default_cache() == Path(os.sep, "x", "fluxformer")
    monkeypatch.setenv("FLUXFORMER_CACHE", os.sep + "y")
    assert default_cache() == Path(os.sep, "y")
