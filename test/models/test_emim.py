"""EMIM: where its affinity points, its formula written out as loops, and what lies around the picture."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.errors import ConfigError
from fluxformer_core.models.emim.emim import Emim, EmimConfig, GlobalAttention
from fluxformer_core.models.emim.mining import MotionMining

VARIANTS = [("next", "mask"), ("next", "pad"), ("causal", "mask"), ("causal", "pad")]
PUBLISHED_PADDING = 1e-6  # what the authors' code fills cells outside of the picture with


def small(*, seed: int = 0, **changes: object) -> Emim:
    settings = {"frames": 4, "size": 64, "depths": (1, 1, 2, 2), "dims": (8, 8, 16, 16), "head_dim": 8, "window": 3}
    torch.manual_seed(seed)
    return Emim(EmimConfig(**settings | changes), 5).eval()  # type: ignore[arg-type]


def mining(pairing="next", border="mask", *, grid=(4, 5), window: int = 3, heads: int = 2) -> MotionMining:
    """In double precision, with every parameter at a value of its own."""
    torch.manual_seed(0)
    layer = MotionMining(6, heads, grid, window, pairing=pairing, border=border).double()  # type: ignore[arg-type]
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    return layer


@pytest.mark.parametrize(("stages", "mined"), [((1, 1, 4, 3), (0, 0, 2, 2)), ((1, 1, 1, 2), (0, 0, 1, 1))])
def test_blocks_that_mine_take_turns_with_global_attention(stages, mined):
    model = small(depths=stages)
    kinds = [[isinstance(block.mixer, MotionMining) for block in blocks] for blocks in model.stages]
    assert tuple(map(sum, kinds)) == mined
    assert all(kind == (i % 2 == 0) for blocks in kinds[2:] for i, kind in enumerate(blocks))
    plain = small(depths=stages, window=0)
    assert sum(isinstance(m, GlobalAttention) for m in plain.modules()) == sum(stages[2:])


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -1), (-3, 3), (1, 2), (-2, 0)])
@torch.no_grad()
def test_the_affinity_of_a_shifted_pair_is_greatest_at_the_shift(down, right):
    layer = MotionMining(32, 1, (12, 12), 7)
    torch.manual_seed(0)
    world = F.normalize(torch.randn(18, 18, 32), dim=-1)
    first = world[3:15, 3:15]
    second = world[3 - down : 15 - down, 3 - right : 15 - right]  # what was at (y, x) is at (y + down, x + right) now
    q, k = (frame[None, None, None] for frame in (first, second))
    affinity = layer.affinity(q, k)[0, 0, 0].flatten(-2)
    inner = affinity[3:-3, 3:-3].argmax(-1)
    assert (inner == (down + 3) * 7 + right + 3).all()


def by_loops(layer: MotionMining, x: Tensor, border: str, pairing: str) -> Tensor:
    """Output for tokens (T, H, W, C), query by query and cell by cell (EMIM, 2025)."""
    t, h, w, c = x.shape
    d, reach = c // layer.heads, layer.window // 2
    q, k, v = layer.qkv(x).split(c, dim=-1)
    out = torch.zeros_like(x)
    for i in range(t):
        of, other = (min(i, t - 2), min(i, t - 2) + 1) if pairing == "next" else (i, max(i - 1, 0))
        for y in range(h):
            for z in range(w):
                for head in range(layer.heads):
                    part = slice(head * d, (head + 1) * d)
                    scores, values, motion = [], [], []
                    for a in range(layer.window):
                        for b in range(layer.window):
                            yy, zz = y + a - reach, z + b - reach
                            bias = layer.position_bias[head, a, b]
                            if 0 <= yy < h and 0 <= zz < w:
                                key, value = k[other, yy, zz, part], v[other, yy, zz, part]
                            elif border == "mask":
                                motion.append(0 * bias)
                                continue
                            else:
                                key = value = torch.full((d,), PUBLISHED_PADDING, dtype=x.dtype)
                            scores.append(q[of, y, z, part] @ key / math.sqrt(d) + bias)
                            values.append(value)
                            motion.append(scores[-1])
                    appearance = torch.stack(scores).softmax(0) @ torch.stack(values)
                    hidden = layer.motion1(torch.stack(motion))
                    out[i, y, z, part] = appearance + layer.motion2(hidden * torch.sigmoid(1.702 * hidden))
    return layer.proj(out)


@pytest.mark.parametrize(("pairing", "border"), VARIANTS)
@torch.no_grad()
def test_mining_is_what_the_formula_says(pairing, border):
    layer = mining(pairing, border)
    x = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64)
    out = layer(x)
    for sample in range(2):
        expected = by_loops(layer, x[sample], border, pairing)
        # Padding of 1e-6 is as good as zero, which is what we pad with; the softmax is in single precision.
        torch.testing.assert_close(out[sample], expected, rtol=1e-5, atol=1e-5 if border == "pad" else 1e-6)
    torch.testing.assert_close(layer.float()(x.float()).double(), out, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_window_wider_than_the_picture_sees_all_of_it():
    for border in ("mask", "pad"):
        layer = mining(border=border, grid=(2, 2), window=7)
        x = torch.randn(2, 2, 2, 6, dtype=torch.float64)
        torch.testing.assert_close(layer(x[None])[0], by_loops(layer, x, border, "next"), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_before_training_mining_is_plain_attention_to_the_neighbouring_frame():
    torch.manual_seed(0)
    layer = MotionMining(6, 2, (4, 4), 7).double()  # the window reaches everything
    x = torch.randn(1, 3, 4, 4, 6, dtype=torch.float64)
    assert layer.motion1.weight.abs().sum() > 0
    q, k, v = (part.reshape(3, 16, 2, 3).transpose(1, 2) for part in layer.qkv(x[0]).split(6, dim=-1))
    offset = torch.arange(4)[None, :] - torch.arange(4)[:, None] + 3  # key minus query
    bias = layer.position_bias[:, offset[:, None, :, None], offset[None, :, None, :]].reshape(2, 16, 16)
    attended = F.scaled_dot_product_attention(q[:-1], k[1:], v[1:], attn_mask=bias[None])
    expected = layer.proj(attended.transpose(1, 2).reshape(2, 4, 4, 6))
    torch.testing.assert_close(layer(x)[0, :-1], expected)
    torch.testing.assert_close(layer(x)[0, -1], expected[-1])


@torch.no_grad()
def test_cells_outside_the_picture_share_in_the_softmax_unless_they_are_masked():
    x = torch.ones(1, 2, 4, 4, 6, dtype=torch.float64)
    shares = {}
    for border in ("mask", "pad"):
        layer = mining(border=border, grid=(4, 4), heads=1)
        nn.init.zeros_(layer.position_bias)
        for silent in (layer.motion2.weight, layer.motion2.bias, layer.qkv.bias, layer.proj.bias):
            nn.init.zeros_(silent)
        nn.init.zeros_(layer.qkv.weight[:12])  # every cell is as like as any other
        full = layer.proj(layer.qkv(x)[0, 0, 0, 0, 12:])
        shares[border] = (layer(x)[0, 0] / full)[..., 0]
    torch.testing.assert_close(shares["mask"], torch.ones(4, 4, dtype=torch.float64))
    corner, edge, middle = (shares["pad"][y, 1 if y else 0] for y in (0, 3, 1))
    assert (corner, edge, middle) == pytest.approx((4 / 9, 6 / 9, 1.0))


@pytest.mark.parametrize("pairing", ["next", "causal"])
@torch.no_grad()
def test_a_later_frame_changes_nothing_earlier_in_causal_pairs_only(pairing):
    layer = mining(pairing)
    x = torch.randn(1, 4, 4, 5, 6, dtype=torch.float64)
    changed = x.clone()
    changed[:, 2:] += 1.0 + torch.rand_like(changed[:, 2:])
    before, after = layer(x), layer(changed)
    assert torch.equal(before[:, 0], after[:, 0])  # its next frame is the second, which has not changed
    assert torch.equal(before[:, 1], after[:, 1]) is (pairing == "causal")
    assert not torch.allclose(before[:, 2], after[:, 2])


@torch.no_grad()
def test_the_last_frame_of_published_pairs_repeats_the_one_before():
    out = mining("next")(torch.randn(1, 3, 4, 5, 6, dtype=torch.float64))
    assert torch.equal(out[:, 2], out[:, 1])


@pytest.mark.parametrize("changes", [
    {"head_dim": 0}, {"conv_stages": 5}, {"conv_kernel": 4}, {"window": 4}, {"pairing": "sideways"}, {"border": "wall"},
    {"mlp_ratio": 0}, {"drop_path": 1.0}, {"layer_scale": 2.0},
])  # fmt: skip
def test_a_setting_out_of_its_range_is_refused_by_name(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        small(**changes)


@pytest.mark.parametrize(("changes", "named"), [
    ({"depths": (1, 1)}, "depths and dims"), ({"depths": (1, 1, 0, 1)}, "depths must be"), ({"frames": 1}, "one slot"),
    ({"dims": (8, 8, 16, 12)}, "head_dim"), ({"size": 48}, "4 frames of 48 px"), ({"size": 10**9}, "of 1000000000 px"),
])  # fmt: skip
def test_a_configuration_that_contradicts_itself_is_refused(changes, named):
    with pytest.raises(ConfigError, match=named):
        small(**changes)
