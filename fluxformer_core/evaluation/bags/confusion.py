"""The confusion matrix of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.bags.figures import JudgedTrack
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent, jaccard, overlap

NOTHING, UNKNOWN = "(nothing)", "(not in the model)"
"""Rows and columns besides the labels: no action or no event, and actions whose label the model does not know."""


@dataclass(frozen=True)
class EventConfusion:
    """Counts of events by truth (row) and event (column), over the labels, NOTHING and UNKNOWN."""

    labels: tuple[str, ...]
    confusion: NDArray[np.intp]


def pair_up(one: JudgedTrack) -> list[tuple[Interval | None, PredictedEvent | None, str]]:
    """Pair each action with its event, or with a false event that overlaps the action.

    Missed actions take their false events in the order of time: each action takes the free false event with the largest
    Jaccard index. The false events that remain belong to NOTHING, or to UNKNOWN if they overlap an action whose label
    the model does not know.

    Returns:
        (action, event, NOTHING or UNKNOWN if there is no action); each action and each event once.
    """
    pairs: list[tuple[Interval | None, PredictedEvent | None, str]]
    pairs = [(pair.truth, pair.predicted, "") for pair in one.matching.pairs]
    left = list(one.matching.false)
    for action in one.matching.missed:
        near = max(left, key=lambda event: jaccard(action, event), default=None)
        if near is not None and overlap(action, near):
            left.remove(near)
            pairs.append((action, near, ""))
        else:
            pairs.append((action, None, ""))
    for event in left:
        on_unknown = any(overlap(action, event) for action in one.unknown)
        pairs.append((None, event, UNKNOWN if on_unknown else NOTHING))
    return pairs


def confusion(judged: Sequence[JudgedTrack], labels: Sequence[str]) -> EventConfusion:
    """Count the events of all tracks."""
    names = (*labels, NOTHING, UNKNOWN)
    counts = np.zeros((len(names), len(names)), np.intp)
    for one in judged:
        for truth, event, instead in pair_up(one):
            row = truth.label if truth is not None else instead
            column = event.label if event is not None else NOTHING
            counts[names.index(row), names.index(column)] += 1
        said = [e for e in one.track.events if e.label]
        silent = sum(not any(overlap(action, e) for e in said) for action in one.unknown)
        counts[names.index(UNKNOWN), names.index(UNKNOWN)] += silent  # no event is right for an unknown action
    return EventConfusion(names, counts)
