"""Holds what a backend computes against the model itself: eager, float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fluxformer_core.backends.base import Engine, Order, Precision, tensors_of
from fluxformer_core.errors import BackendError

TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-2, "bf16": 5e-2}
"""How far an output may be from the model's, as a share of how much the model's varies."""


@dataclass(frozen=True)
class Deviation:
    """How far an engine is from its net over some examples."""

    largest: float  # of all outputs and examples: norm of the difference over norm of the output less its mean
    agreement: float  # share of the examples whose largest value of the first output is the same


def deviation(engine: Engine, net: nn.Module, examples: Sequence[tuple[Tensor, ...]]) -> Deviation:
    """Run an engine and its net on the same inputs.

    Args:
        engine: what was built.
        net: what it was built from, on the CPU in float32.
        examples: inputs, batch 1.
    """
    largest, agreed = 0.0, 0
    with torch.inference_mode():
        for inputs in examples:
            expected, found = tensors_of(net(*inputs)), engine(*inputs)
            for ours, theirs in zip(found, expected, strict=True):
                scale = (theirs - theirs.mean()).norm().clamp_min(torch.finfo(theirs.dtype).tiny)
                away = float((ours - theirs).norm() / scale)
                largest = max(largest, float("inf") if math.isnan(away) else away)
            agreed += int(found[0].flatten().argmax() == expected[0].flatten().argmax())
    return Deviation(largest, agreed / len(examples))


def allow(engine: Engine, order: Order, away: float, tolerance: float | None = None) -> None:
    """Refuse an engine that computes something else than its net.

    Args:
        engine: what was built.
        order: what it was built for.
        away: the deviation's largest.
        tolerance: None: that of the precision.

    Raises:
        BackendError: if it is farther away than that.
    """
    allowed = TOLERANCE[order.precision] if tolerance is None else tolerance
    if not away <= allowed:
        raise BackendError(
            f"{engine.backend} in {order.precision} is {away:.2%} away from {order.name} itself, "
            f"{allowed:.2%} are allowed"
        )
