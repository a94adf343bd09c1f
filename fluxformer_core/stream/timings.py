"""How long things took lately; one thread measures while others read."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class RecentValues:
    """The last values of a measurement; one thread adds while others read."""

    def __init__(self, size: int = 512) -> None:
        self._values = np.full(size, np.nan)
        self._added = 0

    def add(self, value: float) -> None:
        """Add a value, forgetting the oldest when full."""
        self._values[self._added % len(self._values)] = value
        self._added += 1

    def percentile(self, q: float) -> float:
        """The q-th percentile (0..100) of the values; nan while there are none."""
        values = self._values[: self._added]
        return float(np.percentile(values, q)) if len(values) else math.nan


class StageTimings:
    """Recent milliseconds of each stage of the recogniser."""

    STAGES = ("prepare", "flow", "select", "forward", "decide")

    def __init__(self, keep: int = 256) -> None:
        self._recent = {stage: RecentValues(keep) for stage in self.STAGES}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time the body of a `with`."""
        start = time.perf_counter()
        yield
        self._recent[stage].add((time.perf_counter() - start) * 1e3)

    def percentile(self, stage: str, q: float) -> float:
        """The q-th percentile (0..100) of a stage's recent milliseconds; nan before the first."""
        return self._recent[stage].percentile(q)
