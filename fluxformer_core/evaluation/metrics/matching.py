"""Which reported action stands for which performed one: the rule on which all figures of events rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fluxformer_core.evaluation.metrics.intervals import Interval, jaccard

P = TypeVar("P", bound=Interval)


@dataclass(frozen=True)
class Pair(Generic[P]):
    """A performed action and the report that stands for it."""

    truth: Interval
    predicted: P
    jaccard: float  # above 0, up to 1


@dataclass(frozen=True)
class Matching(Generic[P]):
    """Every performed action and every report that stands is in exactly one of the fields, each in order of time."""

    pairs: tuple[Pair[P], ...]
    missed: tuple[Interval, ...]
    false: tuple[P, ...]


def match(truth: Sequence[Interval], predicted: Sequence[P], least: float = 0.0) -> Matching[P]:
    """Pair reports with performed actions, one to one, of equal labels only.

    Pairs are taken in the order of their Jaccard index, largest first (of equal ones the earliest), from all that
    overlap at all and by at least `least`. Reports without a label were taken back, and stand for nothing.

    Args:
        truth: what was performed.
        predicted: what was reported.
        least: smallest Jaccard index of a pair, 0..1.
    """
    order_truth, order_predicted = sorted(truth), sorted(report for report in predicted if report.label)
    possible = [
        (-jaccard(t, p), i, j)
        for i, t in enumerate(order_truth)
        for j, p in enumerate(order_predicted)
        if t.label == p.label
    ]
    partner: dict[int, int] = {}
    taken: set[int] = set()
    pairs = []
    for negative, i, j in sorted(possible):
        if negative < 0 and -negative >= least and i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
            pairs.append((i, Pair(order_truth[i], order_predicted[j], -negative)))
    return Matching(
        tuple(pair for _, pair in sorted(pairs, key=lambda item: item[0])),
        tuple(t for i, t in enumerate(order_truth) if i not in partner),
        tuple(p for j, p in enumerate(order_predicted) if j not in taken),
    )
