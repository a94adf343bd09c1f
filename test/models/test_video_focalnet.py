"""Video-FocalNet: its formula written out as loops, what its modulators see and what causal ones must not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.errors import ConfigError
from fluxformer_core.models.video_focalnet import FocalModulation, VideoFocalNet, VideoFocalNetConfig


def small(*, seed: int = 0, **changes: object) -> VideoFocalNet:
    settings = {"frames": 4, "size": 32, "depths": (1, 1), "dim": 8}
    torch.manual_seed(seed)
    return VideoFocalNet(VideoFocalNetConfig(**settings | changes), 5).eval()  # type: ignore[arg-type]


def clips(batch: int = 2, *, frames: int = 4, size: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(seed))


def modulation(*, causal: bool, dim: int = 3, kernels: tuple[int, ...] = (3, 5)) -> FocalModulation:
    torch.manual_seed(0)
    layer = FocalModulation(dim, kernels, causal=causal).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    return layer


def gelu(x: float | Tensor) -> Tensor:
    return F.gelu(torch.as_tensor(x, dtype=torch.float64))


def by_loops(layer: FocalModulation, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output and both modulators of tokens (T, H, W, C), cell by cell and tap by tap (Wasim et al. 2023)."""
    t, h, w, c = x.shape
    levels = len(layer.kernels)
    cells = [(i, y, z) for i in range(t) for y in range(h) for z in range(w)]
    query, context, gate = layer.spatial_in(x).split([c, c, levels + 1], dim=-1)
    gathered = torch.zeros_like(x)
    for level, kernel in enumerate(layer.kernels):
        wider = torch.zeros_like(context)
        weight = layer.spatial_levels[level][:, 0, 0]
        for i, y, z in cells:
            for a in range(kernel):
                for b in range(kernel):
                    yy, zz = y + a - kernel // 2, z + b - kernel // 2
                    if 0 <= yy < h and 0 <= zz < w:
                        wider[i, y, z] += weight[:, a, b] * context[i, yy, zz]
        context = gelu(wider)
        for cell in cells:
            gathered[cell] += gate[cell][level] * context[cell]
    for i, y, z in cells:
        gathered[i, y, z] += gate[i, y, z, levels] * gelu(context[i].sum((0, 1)) / (h * w))
    spatial = layer.spatial_out(gathered)

    context, gate = layer.temporal_in(x).split([c, levels + 1], dim=-1)
    gathered = torch.zeros_like(x)
    for level, kernel in enumerate(layer.kernels):
        wider = torch.zeros_like(context)
        for i, y, z in cells:
            for a in range(kernel):
                j = i + a - (kernel - 1 if layer.causal else kernel // 2)
                if 0 <= j < t:
                    wider[i, y, z] += layer.temporal_levels[level][:, :, a] @ context[j, y, z]
        context = gelu(wider)
        for cell in cells:
            gathered[cell] += gate[cell][level] * context[cell]
    for i, y, z in cells:
        seen = context[: i + 1, y, z] if layer.causal else context[:, y, z]
        gathered[i, y, z] += gate[i, y, z, levels] * gelu(seen.mean(0))
    temporal = layer.temporal_out(gathered)
    return layer.proj(query * spatial * temporal), spatial, temporal


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_focal_modulation_is_what_the_formula_says(causal):
    layer = modulation(causal=causal)
    x = torch.randn(2, 5, 4, 3, 3, dtype=torch.float64)
    out, (_, spatial, temporal) = layer(x), layer.modulate(x)
    for sample in range(2):
        expected = by_loops(layer, x[sample])
        for ours, theirs in zip((out, spatial, temporal), expected, strict=True):
            torch.testing.assert_close(ours[sample], theirs, rtol=1e-9, atol=1e-9)
    exact = layer.float()(x.float())
    torch.testing.assert_close(exact.double(), out, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_constant_input_has_constant_modulators_where_no_kernel_meets_the_border():
    layer = modulation(causal=False)
    x = torch.randn(3, dtype=torch.float64).expand(1, 9, 9, 9, 3)
    _, spatial, temporal = layer.modulate(x)
    reach = sum(kernel // 2 for kernel in layer.kernels)
    inner = slice(reach, -reach)
    for found in (spatial[:, :, inner, inner], temporal[:, inner]):
        torch.testing.assert_close(found, found[:, :1, :1, :1].expand_as(found))
        assert found.abs().min() > 1e-6


@pytest.mark.parametrize("stem", [{}, {"stem_stride": (2, 8, 8), "stem_widths": (4, 6), "frames": 8}])
@torch.no_grad()
def test_in_a_causal_net_a_later_frame_changes_nothing_earlier(stem):
    step = stem.get("stem_stride", (1,))[0]
    frames, cut = stem.get("frames", 4), 2  # slots of time
    for causal in (True, False):
        model = small(causal=causal, **stem)
        rgb = clips(frames=frames)
        changed = rgb.clone()
        changed[:, :, cut * step :] += torch.randn_like(changed[:, :, cut * step :])
        before, after = model.features(rgb), model.features(changed)
        assert torch.allclose(before[:, :cut], after[:, :cut], rtol=1e-5, atol=1e-5) is causal
        for earlier in range(cut, frames // step):
            assert not torch.allclose(before[:, earlier], after[:, earlier], atol=1e-3)


@pytest.mark.parametrize("changes", [
    {"depths": ()}, {"dim": 0}, {"kernels": (3, 4)}, {"kernels": ()}, {"mlp_ratio": 0}, {"drop_path": 1.0},
    {"head_dropout": -0.1}, {"layer_scale": 0.0}, {"stem_widths": (8, 8, 8)}, {"stem_stride": (1, 0, 4)},
])  # fmt: skip
def test_a_setting_out_of_its_range_is_refused_by_name(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        small(**changes)


@pytest.mark.parametrize(("frames", "size"), [(4, 36), (0, 32), (10**9, 32)])
def test_a_clip_that_no_net_can_take_is_refused(frames, size):
    with pytest.raises(ConfigError, match=f"{frames} (frames )?of {size} px"):
        small(frames=frames, size=size)
