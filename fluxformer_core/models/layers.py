"""Small layers that every model shares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Prediction(NamedTuple):
    """The output of every model."""

    logits: Tensor  # (B, classes)
    embedding: Tensor  # (B, D): the classifier's input, in which taught actions are compared


class ResidualBranch(nn.Module):
    """The contribution of a block to its residual path: scaled by channel, and dropped for some training samples.

    `drop` is the share of training samples without the contribution (stochastic depth, Huang et al. 2016), `scale` the
    start of the learned scales (Touvron et al. 2021, "Going deeper with image transformers"). With a small scale the
    lower layers learn first, which helps with little data. None has no scales.
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
