"""Motion mined from colour in Fluxformer's trunk: off by default, silent where its gate is closed, open where it is."""

from __future__ import annotations

import pytest
import torch
from helpers import FRAMES, SIZE, small_config, small_model
from torch import Tensor, nn

from fluxformer_core.errors import ConfigError
from fluxformer_core.models.emim.mining import MinedMotion
from fluxformer_core.models.registry import list_models, model_config


def clips(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rgb, flow = (torch.randn(2, 3, FRAMES, SIZE, SIZE, generator=generator) for _ in range(2))
    return rgb, flow.clamp(-1, 1)


def test_mined_motion_is_off_by_default():
    assert not any(name.startswith("mined") for name in small_model(small_config()).state_dict())
    fluxformers = (n for n in list_models() if n.startswith(("fluxformer", "mvit")))
    asked = [name for name in fluxformers if model_config(name).mined_stages]  # type: ignore[union-attr]
    assert asked == ["fluxformer_nano_mined"]
    assert not model_config("fluxformer_nano_mined").takes_flow


@pytest.mark.parametrize("duplex", ["off", "cross"])
@torch.no_grad()
def test_behind_a_closed_gate_the_net_is_the_one_without(duplex):
    plain = small_model(small_config(duplex=duplex, gate=0.0))
    mined = small_model(small_config(duplex=duplex, gate=0.0, mined_stages=(1, 2)), seed=1)
    missing = mined.load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert {key.split(".")[0] for key in missing.missing_keys} == {"mined"}
    rgb, flow = clips()
    for given in (flow, None):
        torch.testing.assert_close(mined(rgb, given).logits, plain(rgb, given).logits)


@pytest.mark.parametrize("stages", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("duplex", ["off", "cross"])
def test_an_open_gate_adds_what_is_mined_after_the_first_block_of_each_stage(duplex, stages):
    model = small_model(small_config(duplex=duplex, mined_stages=stages))
    seen: list[str] = []
    for name, part in model.named_modules():
        if isinstance(part, MinedMotion) or name in ("blocks.0.norm2", "blocks.1.norm2"):
            part.register_forward_hook(lambda *_, name=name: seen.append(name))
    rgb, flow = clips()
    found = model(rgb, flow).logits
    order = list(dict.fromkeys(seen))
    assert [n for n in order if n.startswith("mined")] == [f"mined.{stage - 1}" for stage in stages]
    for stage in stages:
        place = order.index(f"mined.{stage - 1}")
        assert order[place - 1] == f"blocks.{stage - 1}.norm2"
    with torch.no_grad():
        for stage in stages:
            model.get_parameter(f"mined.{stage - 1}.gamma").zero_()
    assert (found - model(rgb, flow).logits).abs().max() > 1e-4


@torch.no_grad()
def test_the_class_token_is_left_alone():
    torch.manual_seed(0)
    layer = MinedMotion(8, 2, (3, 4, 4), 3, gate=1.0)
    x = torch.randn(2, 1 + 48, 8)
    out = layer(x)
    assert torch.equal(out[:, 0], x[:, 0])
    assert not torch.allclose(out[:, 1:], x[:, 1:])
    changed = x.clone()
    changed[:, 1 + 2 * 16 :] += 1.0 + torch.rand_like(changed[:, 1 + 2 * 16 :])  # the last of three slots of time
    assert torch.equal(layer(changed)[:, : 1 + 2 * 16], out[:, : 1 + 2 * 16])


def test_a_closed_gate_can_open():
    model = small_model(small_config(duplex="off", gate=0.0, mined_stages=(1,)))
    nn.functional.cross_entropy(model(clips()[0]).logits, torch.tensor([0, 1])).backward()
    assert model.get_parameter("mined.0.gamma").grad.norm() > 1e-7


@pytest.mark.parametrize(
    "changes", [{"mined_stages": (3,)}, {"mined_stages": (0,)}, {"mined_stages": (1, 1)}, {"mining_window": 4}]
)
def test_a_setting_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        small_config(**{"mined_stages": (1,), **changes})
