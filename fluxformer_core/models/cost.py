"""The cost of a model, counted on the meta device, where large models take no longer than small ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fluxformer_core.models.fluxformer.attention import PoolingAttention


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_multiply_adds(model: nn.Module, clip: Sequence[int]) -> int:
    """Multiply-adds of one forward of both streams: convolutions and all matrix products, attention's included.

    The model is on the meta device and in evaluation mode; the clip is channels, frames, height and width. The extra
    multiply-adds by which the attention is faster than its textbook form do not count.
    """
    rgb = torch.empty(1, *clip, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(rgb, rgb)
    extra = sum(part.extra_multiply_adds for part in model.modules() if isinstance(part, PoolingAttention))
    return int(counter.get_total_flops()) // 2 - extra  # a multiplication and its addition are counted as two
