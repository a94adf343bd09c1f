"""Models of one recipe that differ by their seed only: mean and standard deviation of their figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fluxformer_core.bundle import Metadata

CHANCE = ("seed", "minutes", "clips_per_second", "waiting_for_data", "top1", "kept")
"""Entries of a bundle's provenance that may differ between two trainings of one recipe."""


@dataclass(frozen=True)
class MeanAndStd:
    """A figure over several models."""

    mean: float
    sd: float  # standard deviation of a sample (n - 1)


def recipe(metadata: Metadata) -> str:
    """The same text for models that were trained alike, on the same data, from different seeds."""
    how = {name: value for name, value in metadata.provenance.items() if name not in CHANCE}
    return json.dumps(
        [metadata.model, asdict(metadata.config), asdict(metadata.spec), metadata.labels, how], sort_keys=True
    )


def mean_and_std(values: Sequence[float]) -> MeanAndStd:
    """Mean and standard deviation.

    Raises:
        ValueError: with fewer than two values, which have no standard deviation.
    """
    if len(values) < 2:
        raise ValueError(f"{len(values)} values have no standard deviation")
    mean = math.fsum(values) / len(values)
    return MeanAndStd(mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)))
