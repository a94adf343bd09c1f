"""Record the model outputs of a stream, so that other settings of the decision can be tried on the same outputs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.metrics.frames import unknown_auroc
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.evaluation.metrics.stream_output import predicted_events
from fluxformer_core.evaluation.metrics.streams import StreamRecord
from fluxformer_core.stream.belief import softmax
from fluxformer_core.stream.buffer import THUMBNAIL
from fluxformer_core.stream.config import DecisionConfig
from fluxformer_core.stream.decision import Decider
from fluxformer_core.stream.measurements import ResetCause
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import OTHER, SECOND, ActionEvent, EventKind

EARLIEST = 0.4
"""Largest time, in seconds, by which a motion segment may start before its action."""


@dataclass(frozen=True)
class Moment:
    """One admitted frame, and the model output for the window that ends with the frame."""

    stamp: int  # ns
    compute: int  # ns that the push of the frame took
    fresh: bool  # whether the recogniser was reset before this frame
    energy: float
    appearance: NDArray[np.float32]
    window_start: int = 0  # ns
    logits: NDArray[np.float32] | None = None  # (labels,); None where the model did not run
    embedding: NDArray[np.float32] | None = None  # (D,)


@dataclass(frozen=True)
class Watched:
    """Moments of a stream, and the events of the live decision."""

    moments: tuple[Moment, ...]
    events: tuple[ActionEvent, ...]


@dataclass(frozen=True)
class Decided:
    """The decisions of some settings on the moments of a stream."""

    events: tuple[ActionEvent, ...]
    stamps: NDArray[np.int64]  # (m,) ns: of the moments with a decision
    unknown: NDArray[np.float64]  # (m,) unknown score at each
    scores: NDArray[np.float64]  # (m, labels) probabilities at each
    segment_starts: NDArray[np.int64]  # (m,) ns: start of the motion segment of each


def watch(recognizer: Recognizer, stream: Iterable[tuple[int, NDArray[np.uint8]]]) -> Watched:
    """Push a stream through a recogniser as fast as possible, and record everything."""
    moments: list[Moment] = []
    events: list[ActionEvent] = []
    resets = sum(recognizer.counters.resets.values())
    for stamp, picture in stream:
        admitted, forwards = recognizer.counters.admitted, recognizer.counters.forwards
        began = time.perf_counter_ns()
        update = recognizer.push(picture, stamp)
        compute = time.perf_counter_ns() - began
        events += update.events
        if recognizer.counters.admitted == admitted:
            continue
        window, now = recognizer.scene.window, sum(recognizer.counters.resets.values())
        output = recognizer.scene.last_output if recognizer.counters.forwards > forwards else None
        found = (None, None) if output is None else (output.logits, output.embedding)
        energy, appearance = float(window.energy[-1]), window.descriptors[-1, : THUMBNAIL**2].copy()
        moments.append(Moment(stamp, compute, now > resets, energy, appearance, int(window.stamps[0]), *found))
        resets = now
    events += recognizer.reset(ResetCause.REQUESTED)
    return Watched(tuple(moments), tuple(events))


def decide(
    moments: Sequence[Moment], labels: tuple[str, ...], config: DecisionConfig, temperature: float = 1.0
) -> Decided:
    """Decide again on the same outputs; motion segments must not start earlier than in the recording."""
    decider = Decider(labels, config)
    events: list[ActionEvent] = []
    rows: list[tuple[int, float, NDArray[np.float32], int]] = []
    newest = 0
    for moment in moments:
        if moment.fresh:
            events += decider.reset(newest)
        newest = moment.stamp
        events += decider.observe(moment.stamp, moment.energy, moment.appearance)
        segment = decider.due()
        if moment.logits is None or segment is None:
            continue
        decision, more = decider.decide(moment.stamp, softmax(moment.logits / temperature), moment.window_start)
        events += more
        rows.append((moment.stamp, decision.unknown_score, decision.probabilities, segment.start))
    events += decider.reset(newest)
    stamps, unknown, scores, starts = zip(*rows, strict=True) if rows else [()] * 4
    table = np.array(scores, np.float64).reshape(-1, len(labels))
    return Decided(tuple(events), np.array(stamps, np.int64), np.array(unknown), table, np.array(starts, np.int64))


def as_stream(
    moments: Sequence[Moment], decided: Decided, truth: Sequence[Interval], labels: Sequence[str], started: bool = False
) -> StreamRecord:
    """The input of `score_streams`; only actions with a known label are truth, and computing time counts as delay.

    Scores hold until the next recognition is due, and are 0 while nothing moves. With `started`, events count from
    STARTED on, whatever label they had then.
    """
    known = [label for label in labels if label != OTHER]
    compute = {moment.stamp: moment.compute for moment in moments}
    stamps = np.array([moment.stamp for moment in moments], np.int64)
    newest = np.searchsorted(decided.stamps, stamps, side="right") - 1
    columns = [list(labels).index(label) for label in known]
    scores = np.zeros((len(stamps), len(known)))
    if len(decided.stamps):
        recent = (newest >= 0) & (stamps - decided.stamps[newest] < SECOND // 5)
        scores[recent] = decided.scores[newest[recent]][:, columns]
    told = decided.events
    if started:
        named = {event.instance: event.label for event in told}
        told = tuple(replace(e, label=named[e.instance]) for e in told if e.kind is not EventKind.UPDATED)
    events = predicted_events(told, lambda event: compute[event.stamp])
    return StreamRecord(stamps, tuple(a for a in truth if a.label in known), tuple(events), scores)


def unknown_by_action(decided: Decided, truth: Sequence[Interval], labels: Sequence[str]) -> float:
    """Unknown AUROC of whole actions, each by its last unknown score."""
    seen = _last_decisions(decided, truth)
    values = np.array([decided.unknown[last] for _, last in seen])
    return unknown_auroc(values, np.array([action.label not in labels for action, _ in seen], dtype=np.bool_))


def run_together(decided: Decided, truth: Sequence[Interval]) -> float:
    """Share of the actions whose motion segment started too early, during the motion before the action."""
    leads = [action.start - decided.segment_starts[last] for action, last in _last_decisions(decided, truth)]
    return float(np.mean([lead > EARLIEST * SECOND for lead in leads])) if leads else 0.0


def _last_decisions(decided: Decided, truth: Sequence[Interval]) -> list[tuple[Interval, int]]:
    """Actions with at least one decision, and the index of the last decision."""
    first = np.searchsorted(decided.stamps, [action.start for action in truth])
    after = np.searchsorted(decided.stamps, [action.end for action in truth])
    return [(action, int(j) - 1) for action, i, j in zip(truth, first, after, strict=True) if j > i]


def unknown_by_moment(decided: Decided, truth: Sequence[Interval], labels: Sequence[str]) -> float:
    """Unknown AUROC of single recognitions during actions."""
    inside = [(decided.stamps >= a.start) & (decided.stamps < a.end) for a in truth]
    values = np.concatenate([decided.unknown[i] for i in inside])
    unknown = np.concatenate([np.full(int(i.sum()), a.label not in labels) for i, a in zip(inside, truth, strict=True)])
    return unknown_auroc(values, unknown)
