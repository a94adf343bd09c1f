"""Convert events and recognitions of a recogniser to the input of the stream figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent
from fluxformer_core.types import ActionEvent, EventKind, Recognition


def predicted_events(
    events: Iterable[ActionEvent], compute: Callable[[ActionEvent], int] = lambda event: 0
) -> list[PredictedEvent]:
    """One entry for each action instance, in the order of their ends.

    An instance counts under its last label, from the publication of this label on. Earlier labels count as withdrawn,
    because a robot may have acted on them. A retracted instance has no label, and all its labels are withdrawn.

    Args:
        events: of one recogniser (and of one person), in the order of publication.
        compute: ns from an event's stamp to its publication; by default publication takes no time.

    Raises:
        ValueError: if an instance ends without a start, or has no end: close the recogniser first.
    """
    names: dict[int, list[ActionEvent]] = {}
    found = []
    for event in events:
        if event.kind is EventKind.STARTED:
            names[event.instance] = [event]
        elif event.instance not in names:
            raise ValueError(f"instance {event.instance} ({event.label}) never started")
        elif event.kind is EventKind.UPDATED:
            names[event.instance].append(event)
        else:
            told = names.pop(event.instance)
            retracted = event.kind is EventKind.RETRACTED
            before, last = (told, event) if retracted else (told[:-1], told[-1])
            label, end = "" if retracted else event.label, max(event.end, event.start + 1)
            withdrawn = tuple(earlier.label for earlier in before)
            published = last.stamp + compute(last)
            found.append(PredictedEvent(event.start, end, label, event.score, published, withdrawn))
    if names:
        raise ValueError(f"{len(names)} actions never ended: close the recogniser first")
    return found


def frame_scores(
    recognitions: Sequence[Recognition], labels: Sequence[str], stamps: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Scores (n, labels) at the frames with these stamps (n,) in ns: those of the newest recognition.

    Recognitions come in the order of their stamps; `top_k` should cover all labels. Scores are 0 before the first
    recognition and for labels that the recognition does not list.
    """
    column = {label: i for i, label in enumerate(labels)}
    table = np.zeros((len(recognitions) + 1, len(labels)))
    for row, recognition in enumerate(recognitions, start=1):
        for entry in recognition.scores:
            if entry.label in column:
                table[row, column[entry.label]] = entry.score
    newest = np.searchsorted([r.stamp for r in recognitions], stamps, side="right")
    return np.asarray(table[newest])


def frame_truth(intervals: Iterable[Interval], labels: Sequence[str], stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each action is performed at each frame, (n, labels); an interval includes its start, not its end."""
    truth = np.zeros((len(stamps), len(labels)), dtype=np.bool_)
    for interval in intervals:
        inside = (stamps >= interval.start) & (stamps < interval.end)
        truth[inside, labels.index(interval.label)] = True
    return truth


def frame_names(intervals: Iterable[Interval], stamps: NDArray[np.int64]) -> list[str]:
    """The label of each frame, empty without an action; of overlapping actions, the one that started last."""
    names = [""] * len(stamps)
    for interval in sorted(interval for interval in intervals if interval.label):
        for i in np.flatnonzero((stamps >= interval.start) & (stamps < interval.end)):
            names[i] = interval.label
    return names
