"""Models that differ by nothing but chance: what one recipe reaches, and how much that means."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fluxformer_core.bundle import Metadata

CHANCE = ("seed", "minutes", "clips_per_second", "waiting_for_data", "top1", "kept")
"""Entries of a bundle's provenance that differ between trainings of one recipe."""


@dataclass(frozen=True)
class Spread:
    """A figure over several models."""

    mean: float
    sd: float  # of a sample (n - 1)


def recipe(metadata: Metadata) -> str:
    """The same text for models that were trained alike, on the same data, from different seeds."""
    how = {name: value for name, value in metadata.provenance.items() if name not in CHANCE}
    return json.dumps(
        [metadata.model, asdict(metadata.config), asdict(metadata.spec), metadata.labels, how], sort_keys=True
    )


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation.

    Raises:
        ValueError: with fewer than two values, which have no spread.
    """
    if len(values) < 2:
        raise ValueError(f"{len(values)} values have no spread")
    mean = math.fsum(values) / len(values)
    return Spread(mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)))
