"""The figures of streams that were held against their truth: of all together, of each bag and of each label."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.bags.outcome import Outcome, Track
from fluxformer_core.evaluation.bags.truth import Line, Truth, intervals
from fluxformer_core.evaluation.metrics.frames import average_precision
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent
from fluxformer_core.evaluation.metrics.matching import Matching, match
from fluxformer_core.evaluation.metrics.stream_output import frame_truth
from fluxformer_core.evaluation.metrics.streams import Stream, StreamReport, score_streams
from fluxformer_core.types import State


@dataclass(frozen=True)
class Judged:
    """One track and its truth."""

    track: Track
    known: tuple[Interval, ...]  # actions that the recogniser could name
    unknown: tuple[Interval, ...]  # actions that it could not
    matching: Matching[PredictedEvent]

    def stream(self) -> Stream:
        """For `score_streams`."""
        track = self.track
        return Stream(track.stamps, self.known, track.events, track.scores.astype(np.float64))


@dataclass(frozen=True)
class Named:
    """How often whole actions get their label, each by the mean of the scores while it is performed."""

    actions: int = 0
    first: int = 0  # whose own label has the highest mean
    fifth: int = 0  # whose own label is among the five highest

    @property
    def top1(self) -> float:
        """Share whose label has the highest mean score."""
        return self.first / self.actions if self.actions else math.nan

    @property
    def top5(self) -> float:
        """Share whose label is among the five highest."""
        return self.fifth / self.actions if self.actions else math.nan


@dataclass(frozen=True)
class LabelFigures:
    """One label in all streams. What is not defined is NaN."""

    label: str
    performed: int
    detected: int
    false: int  # events of this label that stand for no action
    delay: float  # s: median onset delay of those detected
    ap: float  # of frames
    calibrated_ap: float
    top1: float

    @property
    def detection_rate(self) -> float:
        """Share of the performed ones that have an event."""
        return self.detected / self.performed if self.performed else math.nan


@dataclass(frozen=True)
class Figures:
    """Everything that is measured on some streams together; docs/usage/evaluation.md defines each figure."""

    report: StreamReport
    named: Named
    unknown_actions: int  # performed ones that the recogniser does not know
    unknown_auroc: float


@dataclass(frozen=True)
class Scored:
    """One stream with its figures."""

    outcome: Outcome
    judged: tuple[Judged, ...]  # empty without a result or without truth
    figures: Figures | None  # likewise

    @property
    def name(self) -> str:
        """Bag and topic."""
        return f"{self.outcome.job.bag} {self.outcome.job.topic}"


def judge(outcome: Outcome, truth: Truth) -> Scored:
    """Hold a stream against its truth; without one it gets a fault instead of figures."""
    if not outcome.usable:
        return Scored(outcome, (), None)
    lines = truth.of(outcome.job)
    if lines is None:
        text = "the truth says nothing about it, so it has no figures (a line with its name alone says that nothing is)"
        return Scored(outcome.with_fault(text, fatal=True), (), None)
    judged = []
    for track in outcome.tracks:
        known, unknown = _actions(lines, track, outcome)
        judged.append(Judged(track, known, unknown, match(known, track.events)))
    for text in _outside(lines, outcome):
        outcome = outcome.with_fault(text, fatal=False)
    return Scored(outcome, tuple(judged), measure(judged, outcome.labels))


def measure(judged: Sequence[Judged], labels: Sequence[str]) -> Figures:
    """Measure tracks together; there must be one at least."""
    named = Named()
    for one in judged:
        for action in one.known:
            named = _with(named, action, one.track, labels)
    return Figures(
        score_streams([one.stream() for one in judged], labels),
        named,
        sum(len(one.unknown) for one in judged),
        _unknown_auroc(judged),
    )


def by_label(judged: Sequence[Judged], labels: Sequence[str]) -> list[LabelFigures]:
    """The labels that are performed or said, in alphabetical order."""
    scores = np.concatenate([one.track.scores for one in judged])
    truth = np.concatenate([frame_truth(one.known, labels, one.track.stamps) for one in judged])
    found = []
    for column, label in sorted(enumerate(labels), key=lambda item: item[1]):
        pairs = [pair for one in judged for pair in one.matching.pairs if pair.truth.label == label]
        performed = [(action, one.track) for one in judged for action in one.known if action.label == label]
        false = sum(event.label == label for one in judged for event in one.matching.false)
        if not performed and not false:
            continue
        named = Named()
        for action, track in performed:
            named = _with(named, action, track, labels)
        delays = [(pair.predicted.published - pair.truth.start) / 1e9 for pair in pairs]
        found.append(
            LabelFigures(
                label,
                len(performed),
                len(pairs),
                false,
                float(np.median(delays)) if delays else math.nan,
                average_precision(scores[:, column], truth[:, column]),
                average_precision(scores[:, column], truth[:, column], calibrated=True),
                named.top1,
            )
        )
    return found


def mean_scores(action: Interval, track: Track) -> NDArray[np.float32]:
    """Mean score of every label while an action is performed, (labels,); zeros if no frame lies in it."""
    first, end = np.searchsorted(track.stamps, [action.start, action.end])
    if first == end:
        return np.zeros(track.scores.shape[1], np.float32)
    return np.asarray(track.scores[first:end].mean(axis=0))


def _with(named: Named, action: Interval, track: Track, labels: Sequence[str]) -> Named:
    means = mean_scores(action, track)
    own = means[list(labels).index(action.label)]
    above = int((means >= own).sum()) - 1  # of equal scores the own one counts as the last
    first, fifth = (int(own > 0 and above < k) for k in (1, 5))
    return Named(named.actions + 1, named.first + first, named.fifth + fifth)


def _actions(
    lines: Iterable[Line], track: Track, outcome: Outcome
) -> tuple[tuple[Interval, ...], tuple[Interval, ...]]:
    found, _ = intervals(lines, int(track.stamps[0]), int(track.stamps[-1]), outcome.origin)
    return (
        tuple(action for action in found if action.label in outcome.labels),
        tuple(action for action in found if action.label not in outcome.labels),
    )


def _outside(lines: Sequence[Line], outcome: Outcome) -> list[str]:
    """A complaint about lines of which no track shows anything."""
    by_track = [
        intervals(lines, int(track.stamps[0]), int(track.stamps[-1]), outcome.origin)[1] for track in outcome.tracks
    ]
    lost = [line for line in by_track[0] if all(line in others for others in by_track)]
    if not lost:
        return []
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return [f"{outcome.job.topic}: {lost[0].label} at {lost[0].times}{more} lies outside the recording and is left out"]


def _unknown_auroc(judged: Sequence[Judged]) -> float:
    """How well what the recogniser does not know is told from what it knows, at recognitions in motion."""
    values, unknown = [], []
    for one in judged:
        track = one.track
        moving = (track.states == State.UNKNOWN) | (track.states == State.ACTION)
        for actions, strange in ((one.known, False), (one.unknown, True)):
            for action in actions:
                inside = moving & (track.stamps >= action.start) & (track.stamps < action.end)
                values.append(track.unknown[inside])
                unknown.append(np.full(int(inside.sum()), strange))
    if not any(one.unknown for one in judged):
        return math.nan
    from fluxformer_core.evaluation.metrics.unknown import unknown_auroc

    return unknown_auroc(np.concatenate(values), np.concatenate(unknown))
