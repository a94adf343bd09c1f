"""Small layers that every model shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

Grid = tuple[int, int, int]
"""Tokens along time, height and width."""

AtLeastOne = Annotated[int, Field(ge=1)]
Stride = tuple[AtLeastOne, AtLeastOne, AtLeastOne]
"""Along time, height and width."""
Depths = Annotated[tuple[AtLeastOne, ...], Field(min_length=1)]
"""Blocks of each stage."""
BelowOne = Annotated[float, Field(ge=0, lt=1)]
LayerScale = Annotated[float, Field(gt=0, le=1)] | None
"""Start of the learned scale on a block's contribution to the residual path; None: no scale."""

MOST_FRAMES, LARGEST = 1024, 4096
"""Limits of a clip: a damaged file may name a size that does not fit into memory."""


class Prediction(NamedTuple):
    """The output of every model."""

    logits: Tensor  # (B, classes)
    embedding: Tensor  # (B, D): the classifier's input, in which taught actions are compared


class ResidualBranch(nn.Module):
    """The contribution of a block to its residual path: scaled by channel, and dropped for some training samples.

    Args:
        dim: channels.
        drop: share of training samples without the contribution (stochastic depth, Huang et al. 2016).
        scale: start of the learned scales (Touvron et al. 2021, "Going deeper with image transformers"). With a small
            scale the lower layers learn first, which helps with little data. None has no scales.
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
    """Initialise linear layers by their width: the usual deviation of 0.02 is too small below 768 channels.

    Parts with an initialisation of their own have a method `start`.
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
    """Contradictions between a clip and the strides of a net, in words.

    Args:
        frames: of the clip.
        size: px, of the clip.
        stem_stride: from the clip to the first stage's grid.
        stem_widths: channels of convolutions, each of which takes a factor of 2 of that stride.
        stages: number of stages; each after the first halves the grid's height and width.
    """
    if any(s % 2 ** len(stem_widths) for s in stem_stride[1:]):
        return [f"stem_widths {stem_widths} must each halve stem_stride {stem_stride}"]
    if not (1 <= frames <= MOST_FRAMES and 1 <= size <= LARGEST):
        return [f"a clip has 1 to {MOST_FRAMES} frames of 1 to {LARGEST} px, not {frames} of {size} px"]
    steps = [s * 2 ** (stages - 1) for s in stem_stride[1:]]
    if frames % stem_stride[0] or any(size % step for step in steps):
        return [
            f"a clip of {frames} frames of {size} px does not divide by the model's strides: "
            f"frames by {stem_stride[0]}, size by {math.lcm(*steps)}"
        ]
    return []
