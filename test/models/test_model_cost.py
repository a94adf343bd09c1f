"""The sizes and costs that `fluxformer models` prints are counted, and are those that others have measured."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from fluxformer_core.cli import main
from fluxformer_core.models.cost import count_multiply_adds, count_parameters
from fluxformer_core.models.registry import clip_spec, create_model, list_models

STAGES = (1, 2, 3, 4)


def giga(name: str, **changes: object) -> float:
    with torch.device("meta"):
        model = create_model(name, 400, **changes).eval()
    spec = clip_spec(name)
    return count_multiply_adds(model, (3, spec.frames, spec.size, spec.size)) / 1e9


@pytest.mark.parametrize(("name", "classes", "frames", "millions", "cost"), [
    ("emim_s", 174, 16, 21.421, 85.3), ("emim_s", 400, 16, 21.537, 85.3), ("emim_b", 174, 16, 50.015, 198.3),
    ("emim_s", 174, 32, 21.421, 222.3), ("emim_b", 174, 32, 50.015, 526.3),
    ("uniformer_s", 400, 16, 21.400, 41.8), ("uniformer_b", 400, 16, 49.813, 96.7),
    ("video_focalnet_t", 400, 8, 49.55, 63.1), ("video_focalnet_s", 400, 8, 88.74, 124.5),
    ("video_focalnet_b", 400, 8, 157.39, 220.9),
])  # fmt: skip
def test_size_and_cost_are_the_published_ones(name, classes, frames, millions, cost):
    with torch.device("meta"):
        model = create_model(name, classes, frames=frames).eval()
    digits = 2 if name.startswith("video_focalnet") else 3  # as published
    assert count_parameters(model) / 1e6 == pytest.approx(millions, abs=0.6 * 10**-digits)
    assert count_multiply_adds(model, (3, frames, 224, 224)) / 1e9 == pytest.approx(cost, rel=0.01)


@pytest.mark.parametrize(("name", "expected"), [("mvit_s", 34.538), ("mvit_b", 51.193)])
def test_the_trunk_has_as_many_parameters_as_published(name, expected):
    with torch.device("meta"):
        assert count_parameters(create_model(name, 400)) / 1e6 == pytest.approx(expected, abs=0.0005)


@pytest.mark.parametrize(("name", "stages", "expected"), [
    ("mvit_s", 0, 64.5), ("fluxformer_s", 1, 70.3), ("fluxformer_s", 2, 82.0), ("fluxformer_s", 3, 120.9),
    ("fluxformer_s", 4, 128.9), ("mvit_b", 0, 92.6), ("fluxformer_b", 4, 185.3),
])  # fmt: skip
def test_multiply_adds_are_those_measured_with_another_counter(name, stages, expected):
    duplex = {"duplex": "self", "duplex_stages": STAGES[:stages], "clusters": 0} if stages else {}
    assert giga(name, **duplex) == pytest.approx(expected, rel=0.01)


def test_a_convolution_a_product_and_attention_are_counted_by_hand():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(3, 8, 2, stride=2, groups=1)
            self.linear = nn.Linear(8, 5)

        def forward(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
            tokens = self.conv(rgb).flatten(2).transpose(1, 2)[:, None]  # (1, 1, 2*4*4, 8)
            bias = torch.zeros(32, 32, device=rgb.device)
            return self.linear(nn.functional.scaled_dot_product_attention(tokens, tokens, tokens, bias))

    with torch.device("meta"):
        net = Net()
    assert count_multiply_adds(net, (3, 4, 8, 8)) == 32 * (8 * 3 * 8) + 2 * 32 * 32 * 8 + 32 * 8 * 5
    assert count_parameters(net) == 8 * 3 * 8 + 8 + 8 * 5 + 5


def test_the_command_lists_every_model_with_what_is_counted(capsys):
    assert main(["models", "--labels", "400", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == list_models()
    by_name = {row["model"]: row for row in rows}
    weights = create_model("fluxformer_nano", 400).parameters()
    assert by_name["fluxformer_nano"]["parameters"] == sum(weight.numel() for weight in weights)
    assert by_name["mvit_s"]["multiply_adds"] / 1e9 == pytest.approx(giga("mvit_s"))
    assert main(["models", "--labels", "400"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [line.split()[0] for line in lines] == list_models()
    assert "mvit_s 34.54 M 64.22 G 16 frames of 224 px" in lines
