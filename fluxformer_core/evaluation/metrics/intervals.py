"""Time intervals of performed actions and of events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Interval:
    """One action, from its start to its end.

    Raises:
        ValueError: if the end is not after the start.
    """

    start: int  # ns
    end: int  # ns
    label: str

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"{self.label} ends at {self.end}, which is not after its start at {self.start}")


@dataclass(frozen=True, order=True)
class PredictedEvent(Interval):
    """One action that the recogniser reported, under its last label; the label is empty if the action was retracted."""

    score: float = 0.0  # peak, 0..1
    published: int = 0  # ns, on the clock of the stamps: first publication of the label
    withdrawn: tuple[str, ...] = ()  # labels published before


def overlap(a: Interval, b: Interval) -> int:
    """Duration of the intersection of two intervals, ns."""
    return max(0, min(a.end, b.end) - max(a.start, b.start))


def jaccard(a: Interval, b: Interval) -> float:
    """Duration of the intersection over that of the union, 0..1."""
    shared = overlap(a, b)
    return shared / (a.end - a.start + b.end - b.start - shared)
