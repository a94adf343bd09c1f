"""What a model costs, counted while it runs on tensors without memory: large ones take no longer than small ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fluxformer_core.models.fluxformer.attention import PoolingAttention


def count_parameters(model: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_multiply_adds(model: nn.Module, clip: Sequence[int]) -> int:
    """Multiply-adds of one forward of both streams: convolutions and all matrix products, attention's included.

    What attention does more than its formula asks for, because that is faster, does not count.

    Args:
        model: on the meta device, in evaluation mode.
        clip: channels, frames, height and width.
    """
    rgb = torch.empty(1, *clip, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(rgb, rgb)
    detours = sum(part.detour for part in model.modules() if isinstance(part, PoolingAttention))
    return int(counter.get_total_flops()) // 2 - detours  # it counts a multiplication and its addition as two
