"""From clips to tokens: the embeddings before stages, and a convolutional stem for nets that learn from little data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fluxformer_core.models.fields import Grid


def half(kernel: Grid) -> Grid:
    """The padding with which a convolution of stride 1 keeps the grid."""
    t, h, w = (k // 2 for k in kernel)
    return t, h, w


def conv_stem(widths: tuple[int, ...], stride: Grid, *, causal: bool = False) -> tuple[nn.Module, int, Grid]:
    """Convolutions that halve height and width each, their channels, and what they leave of the embedding's stride.

    A small net learns edges and their motion from little data when the stride is taken in several convolutions
    (Xiao et al. 2021, "Early convolutions help transformers see better"); on CPUs these are also its fastest layers.
    In a causal stem, slots of time depend on the same and earlier slots alone.
    """
    layers: list[nn.Module] = []
    width, (t, h, w) = 3, stride
    for i, out in enumerate(widths):
        time_stride = t if i == len(widths) - 1 else 1
        # Only the last convolution extends over time, where the picture is small and the cost is low.
        kernel: Grid = (1, 3, 3) if i < max(len(widths) - 1, 1) else (3, 3, 3)
        conv = conv3d(width, out, kernel, (time_stride, 2, 2), half(kernel), causal=causal)
        layers += [conv, nn.BatchNorm3d(out), nn.GELU()]
        width, h, w = out, h // 2, w // 2
    return nn.Sequential(*layers), width, (1, h, w)


def conv3d(
    channels: int, out: int, kernel: Grid, stride: Grid, padding: Grid, *, causal: bool = False, bias: bool = False
) -> nn.Conv3d:
    """A convolution; a causal convolution is padded in the past alone."""
    return (CausalConv3d if causal and kernel[0] > 1 else Conv3d)(channels, out, kernel, stride, padding, bias=bias)


class Conv3d(nn.Conv3d):
    """A convolution that is also fast for a single clip, for which PyTorch would choose a slower one."""

    def forward(self, x: Tensor) -> Tensor:
        return _convolve(self, x, self.padding)


class CausalConv3d(nn.Conv3d):
    """A convolution whose result depends on no slot of time after the span of its own stride."""

    def forward(self, x: Tensor) -> Tensor:
        early = self.kernel_size[0] - self.stride[0]
        return _convolve(self, nn.functional.pad(x, (0, 0, 0, 0, early, 0)), (0, *self.padding[1:]))


def _convolve(conv: nn.Conv3d, x: Tensor, padding: Any) -> Tensor:
    w, b = conv.weight, conv.bias
    plain = x.device.type == "cpu" and x.dtype == w.dtype == torch.float32 and not torch.compiler.is_compiling()
    if plain and not torch.is_grad_enabled() and torch.backends.mkldnn.is_available():
        return torch.mkldnn_convolution(x, w, b, padding, conv.stride, conv.dilation, conv.groups)
    return nn.functional.conv3d(x, w, b, conv.stride, padding, conv.dilation, conv.groups)


class Embedding(nn.Module):
    """Embeds and normalises the patches of (B, channels, T, H, W): (B, T', H', W', dim).

    The kernel is padded in time alone. Convolutions of `widths` channels take most of the stride; without widths there
    is one embedding, as published. In a causal embedding, tokens depend on the same and earlier slots of time alone.
    """

    def __init__(
        self, channels: int, dim: int, kernel: Grid, stride: Grid, widths: tuple[int, ...] = (), *, causal: bool = False
    ) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Identity()
        padding: Grid = (kernel[0] // 2, 0, 0)
        if widths:
            self.conv, channels, stride = conv_stem(widths, stride, causal=causal)
            kernel, padding = (3, 3, 3), (1, 1, 1)
        self.proj = conv3d(channels, dim, kernel, stride, padding, causal=causal, bias=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(self.conv(x)).permute(0, 2, 3, 4, 1))  # type: ignore[no-any-return]


def channels_first(x: Tensor) -> Tensor:
    """Tokens (B, T, H, W, C) as convolutions take them, (B, C, T, H, W): a view, channels last in memory."""
    return x.permute(0, 4, 1, 2, 3)


def channels_last(x: Tensor) -> Tensor:
    """(B, C, T, H, W) to tokens (B, T, H, W, C)."""
    return x.permute(0, 2, 3, 4, 1)


def mean_of_tokens(x: Tensor) -> Tensor:
    """(B, T, H, W, C) -> (B, C)."""
    return torch.flatten(x, 1, 3).mean(dim=1)
