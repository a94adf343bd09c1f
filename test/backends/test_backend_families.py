"""Every family of models runs on OpenVINO, shallow and at a clip that is quick to compute, and computes the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fluxformer_core.backends.base import BuildRequest
from fluxformer_core.backends.opening import open_net
from fluxformer_core.backends.openvino import OpenVinoBackend
from fluxformer_core.models.gmflow import GMFlow, GMFlowConfig
from fluxformer_core.models.registry import create_model, model_config

FRAMES, SIZE = 8, 64


@pytest.fixture(autouse=True)
def _openvino() -> None:
    if reason := OpenVinoBackend().probe("fp32"):
        pytest.skip(reason)


def built(name: str, net: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    """The difference that the parity check finds; a difference above the tolerance raises an error."""
    said: list[str] = []
    request = BuildRequest(name, "", lambda: net, tuple(tuple(x.shape) for x in inputs), lambda: [inputs])
    open_net(request, "openvino", progress=said.append)
    return float(said[-1].split()[-4])


# test_backends.py has Fluxformers. The two small models have no convolution stages, the UniFormer has them.
@pytest.mark.parametrize("name", ["emim_nano", "uniformer_s", "video_focalnet_nano"])
def test_a_family_computes_the_same(name):
    config = model_config(name).resized(FRAMES, SIZE)
    config = replace(config, depths=(1,) * len(config.depths))
    torch.manual_seed(0)
    net = create_model(name, 27, config=config).eval()
    assert built(name, net, (torch.randn(1, 3, FRAMES, SIZE, SIZE),)) < 1e-4


def test_the_flow_network_computes_the_same():
    torch.manual_seed(0)
    net = GMFlow(GMFlowConfig(64, 64, 2)).eval()
    images = tuple(255 * torch.rand(2, 1, 3, 64, 64))
    assert built("gmflow", net, images) < 1e-3
