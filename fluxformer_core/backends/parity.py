"""The parity check: what a backend computes is compared with the model itself, run by PyTorch in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fluxformer_core.backends.base import BuildRequest, InferencePrecision, LoadedNet, tensors_of
from fluxformer_core.errors import BackendError

TOLERANCE: dict[InferencePrecision, float] = {"fp32": 1e-3, "fp16": 1e-2, "bf16": 5e-2}
"""Largest relative difference that the parity check accepts."""


@dataclass(frozen=True)
class Parity:
    """How closely a loaded net follows the model over some examples."""

    max_relative_difference: float  # largest norm(difference) / norm(output - mean(output)) of any output and example
    same_label: float  # share of the examples for which the first output has its maximum at the same place


def measure_parity(loaded: LoadedNet, net: nn.Module, examples: Sequence[tuple[Tensor, ...]]) -> Parity:
    """Compare a loaded net with the model, which is on the CPU in float32, on inputs of batch 1."""
    largest, same = 0.0, 0
    with torch.inference_mode():
        for inputs in examples:
            expected, found = tensors_of(net(*inputs)), loaded(*inputs)
            for ours, theirs in zip(found, expected, strict=True):
                scale = (theirs - theirs.mean()).norm().clamp_min(torch.finfo(theirs.dtype).tiny)
                difference = float((ours - theirs).norm() / scale)
                largest = max(largest, float("inf") if math.isnan(difference) else difference)
            same += int(found[0].flatten().argmax() == expected[0].flatten().argmax())
    return Parity(largest, same / len(examples))


def check_parity(
    loaded: LoadedNet, request: BuildRequest, max_relative_difference: float, tolerance: float | None = None
) -> None:
    """Refuse a net that differs too much from the model; without a tolerance, the one of the precision applies.

    Raises:
        BackendError: if the difference exceeds the tolerance.
    """
    allowed = TOLERANCE[request.precision] if tolerance is None else tolerance
    if not max_relative_difference <= allowed:
        raise BackendError(
            f"{loaded.backend} in {loaded.precision} differs from {request.name} by {max_relative_difference:.2%}, "
            f"{allowed:.2%} are allowed"
        )
