"""Match events with performed actions; all event figures rest on this rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fluxformer_core.evaluation.metrics.intervals import Interval, jaccard

P = TypeVar("P", bound=Interval)


@dataclass(frozen=True)
class Pair(Generic[P]):
    """A performed action and its event."""

    truth: Interval
    predicted: P
    jaccard: float  # above 0, up to 1


@dataclass(frozen=True)
class Matching(Generic[P]):
    """Every action, and every event that was not retracted, is in exactly one field, in the order of time."""

    pairs: tuple[Pair[P], ...]
    missed: tuple[Interval, ...]
    false: tuple[P, ...]


def match(truth: Sequence[Interval], predicted: Sequence[P], least: float = 0.0) -> Matching[P]:
    """Pair events with performed actions of the same label, one to one.

    The possible pairs overlap and have a Jaccard index of at least `least`. Pairs are chosen greedily, the largest
    Jaccard index first, the earliest pair first among equal ones. Retracted events (without a label) match nothing.

    Args:
        truth: performed actions.
        predicted: events.
        least: smallest Jaccard index of a pair, 0..1.
    """
    order_truth, order_predicted = sorted(truth), sorted(event for event in predicted if event.label)
    possible = [
        (-jaccard(t, p), i, j)
        for i, t in enumerate(order_truth)
        for j, p in enumerate(order_predicted)
        if t.label == p.label
    ]
    matched: dict[int, int] = {}
    taken: set[int] = set()
    pairs = []
    for negative, i, j in sorted(possible):
        if negative < 0 and -negative >= least and i not in matched and j not in taken:
            matched[i] = j
            taken.add(j)
            pairs.append((i, Pair(order_truth[i], order_predicted[j], -negative)))
    return Matching(
        tuple(pair for _, pair in sorted(pairs, key=lambda item: item[0])),
        tuple(t for i, t in enumerate(order_truth) if i not in matched),
        tuple(p for j, p in enumerate(order_predicted) if j not in taken),
    )
