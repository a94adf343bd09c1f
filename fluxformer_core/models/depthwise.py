"""Depthwise 3D convolution whose gradient is fast on CPUs.

PyTorch's backward of a depthwise Conv3d on CPUs costs tens of times its forward, above all with a stride. Here the
gradient is written out as a sum over the kernel's offsets. The forward is PyTorch's operator, so that exports and other
devices are not affected.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fluxformer_core.models.fields import Grid


def depthwise_conv3d(x: Tensor, weight: Tensor, stride: Grid) -> Tensor:
    """Convolve each channel of x (B, C, T, H, W) with its own kernel (C, 1, t, h, w), padded by half a kernel."""
    if x.device.type == "cpu" and torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _OffsetGradient.apply(x, weight, stride)  # type: ignore[no-any-return,no-untyped-call]
    return F.conv3d(x, weight, stride=stride, padding=_padding(weight), groups=x.shape[1])


def _padding(weight: Tensor) -> list[int]:
    return [k // 2 for k in weight.shape[2:]]


class _OffsetGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Grid) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv3d(x, weight, stride=stride, padding=_padding(weight), groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        (x, weight), stride = ctx.saved_tensors, ctx.stride
        pads, channels = _padding(weight), x.shape[1]
        # Channels last, so that each offset is one product of long contiguous rows.
        wide = torch.promote_types(x.dtype, torch.float32)  # CPUs have no vector code for half precision here
        padded = F.pad(x.to(wide).permute(0, 2, 3, 4, 1), (0, 0, *(p for pad in reversed(pads) for p in (pad, pad))))
        grad_last = grad.to(wide).permute(0, 2, 3, 4, 1)
        taps = weight.to(wide).flatten(1)  # (C, t*h*w)
        grad_padded = None if stride == (1, 1, 1) else torch.zeros_like(padded)
        grad_taps = torch.empty_like(taps)
        for i, offset in enumerate(product(*map(range, weight.shape[2:]))):
            at = (slice(None), *_positions(offset, stride, grad.shape[2:]))
            grad_taps[:, i] = (padded[at] * grad_last).sum(dim=(0, 1, 2, 3))
            if grad_padded is not None:
                grad_padded[at].addcmul_(grad_last, taps[:, i])
        if grad_padded is None:
            grad_x = F.conv3d(grad, weight.flip(2, 3, 4), padding=pads, groups=channels)
        else:
            t, h, w = (slice(p, p + n) for p, n in zip(pads, x.shape[2:], strict=True))
            grad_x = grad_padded[:, t, h, w].permute(0, 4, 1, 2, 3)
        return grad_x.to(x.dtype), grad_taps.reshape(weight.shape).to(weight.dtype), None


def _positions(offset: tuple[int, ...], stride: Grid, out: torch.Size) -> tuple[slice, ...]:
    return tuple(slice(o, o + s * (n - 1) + 1, s) for o, s, n in zip(offset, stride, out, strict=True))
