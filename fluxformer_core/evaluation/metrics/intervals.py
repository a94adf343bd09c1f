"""Stretches of time in which an action is performed, or said to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Interval:
    """One action, from its first moment to its last.

    Raises:
        ValueError: if it does not end after its start.
    """

    start: int  # ns
    end: int  # ns
    label: str

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"{self.label} ends at {self.end}, which is not after its start at {self.start}")


@dataclass(frozen=True, order=True)
class PredictedEvent(Interval):
    """One action that the recogniser reported, under the name that it had in the end; empty: it was taken back."""

    score: float = 0.0  # peak, 0..1
    published: int = 0  # ns, on the clock of the stamps: when this name was first out
    withdrawn: tuple[str, ...] = ()  # names that were out before it


def overlap(a: Interval, b: Interval) -> int:
    """Nanoseconds that two intervals share."""
    return max(0, min(a.end, b.end) - max(a.start, b.start))


def jaccard(a: Interval, b: Interval) -> float:
    """Share of the time of either interval that is in both, 0..1."""
    shared = overlap(a, b)
    return shared / (a.end - a.start + b.end - b.start - shared)
