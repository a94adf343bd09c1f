"""What a recogniser sees of a stream, kept so that other ways to decide can be tried on the same evidence."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.evaluation.metrics.stream_output import predicted_events
from fluxformer_core.evaluation.metrics.streams import Stream
from fluxformer_core.evaluation.metrics.unknown import unknown_auroc
from fluxformer_core.stream.belief import softmax
from fluxformer_core.stream.buffer import THUMBNAIL
from fluxformer_core.stream.config import DecisionConfig
from fluxformer_core.stream.counters import ResetCause
from fluxformer_core.stream.decision import Decider
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import OTHER, SECOND, ActionEvent, EventKind

EARLIEST = 0.4
"""Seconds by which the beginning of a motion may be found too soon and still be that of the action."""


@dataclass(frozen=True)
class Moment:
    """One admitted frame, and what the model said of the window that ends with it."""

    stamp: int  # ns
    compute: int  # ns that the push of the frame took
    fresh: bool  # nothing before it is remembered
    energy: float
    appearance: NDArray[np.float32]
    window_start: int = 0  # ns
    logits: NDArray[np.float32] | None = None  # (labels,); None where the model was not asked
    embedding: NDArray[np.float32] | None = None  # (D,)


@dataclass(frozen=True)
class Watched:
    """Moments of a stream and what was decided live."""

    moments: tuple[Moment, ...]
    events: tuple[ActionEvent, ...]


@dataclass(frozen=True)
class Decided:
    """What some way to decide makes of the moments of a stream."""

    events: tuple[ActionEvent, ...]
    stamps: NDArray[np.int64]  # (m,) ns: of the moments that were decided on
    unknown: NDArray[np.float64]  # (m,) unknown score at each
    scores: NDArray[np.float64]  # (m, labels) probabilities at each
    spells: NDArray[np.int64]  # (m,) ns: beginning of the motion that each was part of


def watch(recognizer: Recognizer, stream: Iterable[tuple[int, NDArray[np.uint8]]]) -> Watched:
    """Push a stream through a recogniser as fast as it goes, and note everything."""
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
        window = recognizer.scene.window
        asked = recognizer.scene.last_output if recognizer.counters.forwards > forwards else None
        now = sum(recognizer.counters.resets.values())
        moments.append(
            Moment(
                stamp,
                compute,
                now > resets,
                float(window.energy[-1]),
                window.descriptors[-1, : THUMBNAIL**2].copy(),
                int(window.stamps[0]),
                None if asked is None else asked.logits,
                None if asked is None else asked.embedding,
            )
        )
        resets = now
    events += recognizer.reset(ResetCause.REQUESTED)
    return Watched(tuple(moments), tuple(events))


def decide(
    moments: Sequence[Moment], labels: tuple[str, ...], config: DecisionConfig, temperature: float = 1.0
) -> Decided:
    """Decide anew on the same evidence; spells of motion must not begin sooner than they did when it was taken."""
    decider = Decider(labels, config)
    events: list[ActionEvent] = []
    stamps, unknown, scores, spells = [], [], [], []
    newest = 0
    for moment in moments:
        if moment.fresh:
            events += decider.reset(newest)
        newest = moment.stamp
        events += decider.observe(moment.stamp, moment.energy, moment.appearance)
        spell = decider.due()
        if moment.logits is None or spell is None:
            continue
        verdict, more = decider.decide(moment.stamp, softmax(moment.logits / temperature), moment.window_start)
        events += more
        stamps.append(moment.stamp)
        unknown.append(verdict.unknown_score)
        scores.append(verdict.probabilities)
        spells.append(spell.start)
    events += decider.reset(newest)
    return Decided(
        tuple(events),
        np.array(stamps, np.int64),
        np.array(unknown),
        np.array(scores, np.float64).reshape(-1, len(labels)),
        np.array(spells, np.int64),
    )


def as_stream(
    moments: Sequence[Moment],
    decided: Decided,
    truth: Sequence[Interval],
    labels: Sequence[str],
    *,
    started: bool = False,
) -> Stream:
    """For `score_streams`: actions outside the labels are no truth, and the time of each push counts as delay.

    Scores hold until the next recognition is due, and are 0 while the scene is at rest.

    Args:
        moments: of the stream.
        decided: what was made of them.
        truth: everything performed.
        labels: of the model.
        started: events count as published when they STARTED, whatever name they had then.
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
    return Stream(stamps, tuple(a for a in truth if a.label in known), tuple(events), scores)


def unknown_by_action(decided: Decided, truth: Sequence[Interval], labels: Sequence[str]) -> float:
    """Unknown AUROC of whole actions: of each the unknown score with which it ends."""
    seen = _last_decisions(decided, truth)
    values = np.array([decided.unknown[last] for _, last in seen])
    return unknown_auroc(values, np.array([action.label not in labels for action, _ in seen], dtype=np.bool_))


def run_together(decided: Decided, truth: Sequence[Interval]) -> float:
    """Share of the actions that were taken for the rest of a motion that began before them."""
    leads = [action.start - decided.spells[last] for action, last in _last_decisions(decided, truth)]
    return float(np.mean([lead > EARLIEST * SECOND for lead in leads])) if leads else 0.0


def _last_decisions(decided: Decided, truth: Sequence[Interval]) -> list[tuple[Interval, int]]:
    """Actions during which something was decided, and the number of the last decision."""
    first = np.searchsorted(decided.stamps, [action.start for action in truth])
    after = np.searchsorted(decided.stamps, [action.end for action in truth])
    return [(action, int(j) - 1) for action, i, j in zip(truth, first, after, strict=True) if j > i]


def unknown_by_moment(decided: Decided, truth: Sequence[Interval], labels: Sequence[str]) -> float:
    """Unknown AUROC of single recognitions while actions are performed."""
    inside = [(decided.stamps >= a.start) & (decided.stamps < a.end) for a in truth]
    values = np.concatenate([decided.unknown[i] for i in inside])
    unknown = np.concatenate([np.full(int(i.sum()), a.label not in labels) for i, a in zip(inside, truth, strict=True)])
    return unknown_auroc(values, unknown)
