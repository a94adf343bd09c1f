"""What was said in place of what: the confusion matrix of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.bags.figures import JudgedTrack
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent, jaccard, overlap

NOTHING, UNKNOWN = "(nothing)", "(not in the model)"
"""Stand for no action or no event, and for actions that the recogniser does not know."""


@dataclass(frozen=True)
class EventConfusion:
    """Counts of events by truth (row) and answer (column), over the labels, NOTHING and UNKNOWN."""

    labels: tuple[str, ...]
    confusion: NDArray[np.intp]


def pair_up(one: JudgedTrack) -> list[tuple[Interval | None, PredictedEvent | None, str]]:
    """Each action with the event that stands for it or, if there is none, with a false event in its place.

    A missed action takes, of the false events that no other one has taken, the one with the largest Jaccard index with
    it; the actions take turns in the order of time. Events that remain stand for NOTHING, or for UNKNOWN if they lie on
    an action that the recogniser does not know.

    Returns:
        (action, event, what was the case if there is no action); each action and each event once.
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
        strange = any(overlap(action, event) for action in one.unknown)
        pairs.append((None, event, UNKNOWN if strange else NOTHING))
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
        counts[names.index(UNKNOWN), names.index(UNKNOWN)] += silent  # as it should be
    return EventConfusion(names, counts)
