"""How fast things have grown over the last seconds."""

from __future__ import annotations

import math
from collections import deque


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
