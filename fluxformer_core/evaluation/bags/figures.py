"""Figures of streams compared with their truth: of all streams, of each stream and label, and a confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.bags.stream_result import StreamResult, Track
from fluxformer_core.evaluation.bags.truth import Truth, TruthLine, intervals
from fluxformer_core.evaluation.metrics.frames import average_precision, unknown_auroc
from fluxformer_core.evaluation.metrics.intervals import Interval, Matching, PredictedEvent, jaccard, match, overlap
from fluxformer_core.evaluation.metrics.stream_output import frame_truth
from fluxformer_core.evaluation.metrics.streams import StreamRecord, StreamReport, score_streams
from fluxformer_core.types import SECOND, State

NOTHING, UNKNOWN = "(nothing)", "(not in the model)"
"""Rows and columns besides the labels: no action or no event, and actions whose label the model does not know."""


@dataclass(frozen=True)
class JudgedTrack:
    """One track and its truth."""

    track: Track
    known: tuple[Interval, ...]  # actions whose label the model knows
    unknown: tuple[Interval, ...]  # actions whose label the model does not know
    matching: Matching

    def stream(self) -> StreamRecord:
        track = self.track
        return StreamRecord(track.stamps, self.known, track.events, track.scores.astype(np.float64))


@dataclass(frozen=True)
class ActionAccuracy:
    """How often whole actions get their label, each by its mean scores."""

    actions: int = 0
    first: int = 0  # actions whose own label has the highest mean score
    fifth: int = 0  # actions whose own label is among the five highest

    @property
    def top1(self) -> float:
        return self.first / self.actions if self.actions else math.nan

    @property
    def top5(self) -> float:
        return self.fifth / self.actions if self.actions else math.nan


@dataclass(frozen=True)
class LabelFigures:
    """One label in all streams. Undefined figures are NaN."""

    label: str
    performed: int
    detected: int
    false: int  # events of this label that match no action
    delay: float  # s: median onset delay of the detected actions
    ap: float  # of frames
    calibrated_ap: float
    top1: float

    @property
    def detection_rate(self) -> float:
        return self.detected / self.performed if self.performed else math.nan


@dataclass(frozen=True)
class BagFigures:
    """All figures of some streams together; docs/usage/evaluation.md defines each figure."""

    report: StreamReport
    accuracy: ActionAccuracy
    unknown_actions: int  # performed actions whose label the model does not know
    unknown_auroc: float


@dataclass(frozen=True)
class JudgedStream:
    """One stream with its figures."""

    result: StreamResult
    judged: tuple[JudgedTrack, ...]  # empty without a result or without truth
    figures: BagFigures | None  # None without a result or without truth

    @property
    def name(self) -> str:
        return f"{self.result.stream.bag} {self.result.stream.topic}"


@dataclass(frozen=True)
class EventConfusion:
    """Counts of events by truth (row) and event (column), over the labels, NOTHING and UNKNOWN."""

    labels: tuple[str, ...]
    confusion: NDArray[np.intp]


def judge(result: StreamResult, truth: Truth) -> JudgedStream:
    """Compare a stream with its truth; a stream without truth gets a fault and no figures."""
    if not result.usable:
        return JudgedStream(result, (), None)
    lines = truth.of(result.stream)
    if lines is None:
        text = "the truth does not name it: no figures (a line with its name alone says that nothing is performed)"
        return JudgedStream(result.with_fault(text, fatal=True), (), None)
    judged: list[JudgedTrack] = []
    lost: list[TruthLine] = []
    for track in result.tracks:
        found, outside = intervals(lines, int(track.stamps[0]), int(track.stamps[-1]), result.origin)
        known = tuple(action for action in found if action.label in result.labels)
        unknown = tuple(action for action in found if action.label not in result.labels)
        judged.append(JudgedTrack(track, known, unknown, match(known, track.events)))
        lost = [line for line in outside if len(judged) == 1 or line in lost]
    if lost:  # lines outside all tracks
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        where = f"{result.stream.topic}: {lost[0].label} at {lost[0].times}{more}"
        result = result.with_fault(f"{where} lies outside the recording and is left out", fatal=False)
    return JudgedStream(result, tuple(judged), measure(judged, result.labels))


def measure(judged: Sequence[JudgedTrack], labels: Sequence[str]) -> BagFigures:
    """Figures of one or more tracks together."""
    return BagFigures(
        score_streams([one.stream() for one in judged], labels),
        _accuracy([(action, one.track) for one in judged for action in one.known], labels),
        sum(len(one.unknown) for one in judged),
        _unknown_auroc(judged),
    )


def by_label(judged: Sequence[JudgedTrack], labels: Sequence[str]) -> list[LabelFigures]:
    """Figures of each label that was performed or reported, in alphabetical order."""
    scores = np.concatenate([one.track.scores for one in judged])
    truth = np.concatenate([frame_truth(one.known, labels, one.track.stamps) for one in judged])
    found = []
    for column, label in sorted(enumerate(labels), key=lambda item: item[1]):
        pairs = [pair for one in judged for pair in one.matching.pairs if pair.truth.label == label]
        performed = [(action, one.track) for one in judged for action in one.known if action.label == label]
        false = sum(event.label == label for one in judged for event in one.matching.false)
        if not performed and not false:
            continue
        delays = [(pair.predicted.published - pair.truth.start) / SECOND for pair in pairs]
        found.append(
            LabelFigures(
                label,
                len(performed),
                len(pairs),
                false,
                float(np.median(delays)) if delays else math.nan,
                average_precision(scores[:, column], truth[:, column]),
                average_precision(scores[:, column], truth[:, column], calibrated=True),
                _accuracy(performed, labels).top1,
            )
        )
    return found


def pair_up(one: JudgedTrack) -> list[tuple[Interval | None, PredictedEvent | None, str]]:
    """Each action with its event or an overlapping false event, or None, and each other event with NOTHING or UNKNOWN.

    Missed actions take their false events in the order of time: each action takes the free false event with the largest
    Jaccard index. The false events that remain belong to NOTHING, or to UNKNOWN if they overlap an action whose label
    the model does not know.
    """
    pairs: list[tuple[Interval | None, PredictedEvent | None, str]]
    pairs = [(pair.truth, pair.predicted, "") for pair in one.matching.pairs]
    left = list(one.matching.false)
    for action in one.matching.missed:
        near = max((e for e in left if overlap(action, e)), key=lambda event: jaccard(action, event), default=None)
        pairs.append((action, near, ""))
        if near is not None:
            left.remove(near)
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


def mean_scores(action: Interval, track: Track) -> NDArray[np.float32]:
    """Mean score of every label while an action is performed, (labels,); zeros if the action has no frame."""
    first, end = np.searchsorted(track.stamps, [action.start, action.end])
    if first == end:
        return np.zeros(track.scores.shape[1], np.float32)
    return np.asarray(track.scores[first:end].mean(axis=0))


def _accuracy(performed: Sequence[tuple[Interval, Track]], labels: Sequence[str]) -> ActionAccuracy:
    first = fifth = 0
    for action, track in performed:
        means = mean_scores(action, track)
        own = means[list(labels).index(action.label)]
        above = int((means >= own).sum()) - 1  # among equal scores, the own score counts as the last
        first, fifth = first + int(own > 0 and above < 1), fifth + int(own > 0 and above < 5)
    return ActionAccuracy(len(performed), first, fifth)


def _unknown_auroc(judged: Sequence[JudgedTrack]) -> float:
    """AUROC of the unknown score between actions unknown to the model and known ones, at recognitions in motion."""
    if not any(one.unknown for one in judged):
        return math.nan
    values, unknown = [], []
    for one in judged:
        moving = np.isin(one.track.states, (State.UNKNOWN, State.ACTION))
        for action in (*one.known, *one.unknown):
            inside = moving & (one.track.stamps >= action.start) & (one.track.stamps < action.end)
            values.append(one.track.unknown[inside])
            unknown.append(np.full(int(inside.sum()), action in one.unknown))
    return unknown_auroc(np.concatenate(values), np.concatenate(unknown))
