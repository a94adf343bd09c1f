"""Numbers about the recent past: percentiles of the last values, rates over the last seconds."""

from __future__ import annotations

import math
from collections import deque

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


class Rate:
    """How fast a counter grows, over the last few readings."""

    def __init__(self, readings: int = 3) -> None:
        self._readings: deque[tuple[float, float]] = deque(maxlen=readings)

    def read(self, now: float, count: float) -> float:
        """Take a reading.

        Args:
            now: s, of a clock that never jumps.
            count: what the counter shows.

        Returns:
            Growth per second since the oldest reading kept; nan at the first.
        """
        self._readings.append((now, count))
        then, before = self._readings[0]
        return (count - before) / (now - then) if now > then else math.nan
