"""Small layers that every model shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

Grid = tuple[int, int, int]
"""Tokens along time, height and width."""


MOST_FRAMES, LARGEST = 1024, 4096
"""Limits of a clip of nets none of whose weights tells it: a damaged file may name one that no memory holds."""


class Prediction(NamedTuple):
    """What every model returns."""

    logits: Tensor  # (B, classes)
    embedding: Tensor  # (B, D): what the classifier sees; taught actions are compared in this space


class ResidualBranch(nn.Module):
    """What a block adds to its residual path: scaled channel by channel, and in training left out for some samples.

    Args:
        dim: channels.
        drop: share of training samples that go without (stochastic depth, Huang et al. 2016).
        scale: start of the learned scales (Touvron et al. 2021, "Going deeper with image transformers"): with a small
            one, what lies below learns first, which little data needs; None has no scales.
    """

    def __init__(self, dim: int, drop: float, scale: float | None) -> None:
        super().__init__()
        self.drop = drop
        self.scale = None if scale is None else nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        if self.scale is not None:
            x = x * self.scale
        if not self.training or self.drop == 0.0:
            return x
        return x * sample_mask(x, self.drop) / (1.0 - self.drop)

    def extra_repr(self) -> str:
        return f"drop={self.drop:.3f}"


def drop_rates(most: float, depths: Sequence[int]) -> list[list[float]]:
    """Shares of `ResidualBranch.drop`, stage by stage: 0 in the first block of all, `most` in the last."""
    rates = iter([most * i / max(sum(depths) - 1, 1) for i in range(sum(depths))])
    return [list(islice(rates, depth)) for depth in depths]


def sample_mask(x: Tensor, drop: float) -> Tensor:
    """One Bernoulli draw per sample, (B, 1, ..., 1): 0 with probability `drop`, else 1."""
    return (torch.rand(x.shape[0], *[1] * (x.dim() - 1), device=x.device) >= drop).to(x.dtype)


class Mlp(nn.Module):
    """Two linear layers with a GELU between, token by token."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))  # type: ignore[no-any-return]


def initialise(module: nn.Module) -> None:
    """Linear layers at the start of training, scaled by their width: 0.02, usual at 768 channels, mutes narrow ones.

    Parts that start in a way of their own have a method `start`.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for part in module.modules():
        if callable(start := getattr(part, "start", None)):
            start()


def clip_problems(frames: int, size: int, stem_stride: Grid, stem_widths: tuple[int, ...], stages: int) -> list[str]:
    """What is wrong with a clip and the strides by which a net divides it, in words.

    Args:
        frames: of the clip.
        size: px, of the clip.
        stem_stride: from the clip to the first stage's grid.
        stem_widths: channels of convolutions that each halve that stride.
        stages: of which each after the first halves the grid's height and width.
    """
    if min(*stem_stride, *stem_widths) < 1 or any(s % 2 ** len(stem_widths) for s in stem_stride[1:]):
        return [f"stem_widths {stem_widths} must be positive and each halve stem_stride {stem_stride}"]
    if not (1 <= frames <= MOST_FRAMES and 1 <= size <= LARGEST):
        return [f"a clip has 1 to {MOST_FRAMES} frames of 1 to {LARGEST} px, not {frames} of {size} px"]
    steps = [s * 2 ** (stages - 1) for s in stem_stride[1:]]
    if frames % stem_stride[0] or any(size % step for step in steps):
        return [
            f"a clip of {frames} frames of {size} px does not divide by the model's strides: "
            f"frames by {stem_stride[0]}, size by {math.lcm(*steps)}"
        ]
    return []
