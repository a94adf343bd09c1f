"""Time intervals of performed actions and of events, and the rule that matches the two."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Pair:
    """A performed action and its event."""

    truth: Interval
    predicted: PredictedEvent
    jaccard: float  # above 0, up to 1


@dataclass(frozen=True)
class Matching:
    """Every action, and every event that was not retracted, is in exactly one field, in the order of time."""

    pairs: tuple[Pair, ...]
    missed: tuple[Interval, ...]
    false: tuple[PredictedEvent, ...]


def match(truth: Sequence[Interval], predicted: Sequence[PredictedEvent]) -> Matching:
    """Pair overlapping actions and events of the same label, one to one; all event figures rest on this rule.

    Pairs are chosen greedily, the largest Jaccard index first, the earliest pair first among equal ones. Retracted
    events (without a label) match nothing.
    """
    truth, events = sorted(truth), sorted(event for event in predicted if event.label)
    possible = [
        (-jaccard(action, event), i, j)
        for i, action in enumerate(truth)
        for j, event in enumerate(events)
        if action.label == event.label and overlap(action, event)
    ]
    matched: dict[int, int] = {}
    for _, i, j in sorted(possible):
        if i not in matched and j not in matched.values():
            matched[i] = j
    return Matching(
        tuple(Pair(truth[i], events[j], jaccard(truth[i], events[j])) for i, j in sorted(matched.items())),
        tuple(action for i, action in enumerate(truth) if i not in matched),
        tuple(event for j, event in enumerate(events) if j not in matched.values()),
    )
