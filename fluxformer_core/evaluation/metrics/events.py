"""How well a stream's events tell what was performed: found, in time, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent, overlap
from fluxformer_core.evaluation.metrics.matching import match
from fluxformer_core.types import SECOND


@dataclass(frozen=True)
class EventReport:
    """Counts and times of one stream or, added up, of several. Figures are NaN where nothing defines them."""

    performed: int = 0  # actions
    jaccards: tuple[float, ...] = ()  # of each detected action with its event
    delays: tuple[float, ...] = ()  # s, of each: from the action's start to the publication of its name
    repeated: int = 0  # false events that lie on an action of that label, which has another event already
    confused: int = 0  # false events that lie on actions of other labels only
    invented: int = 0  # false events that lie on no action
    withdrawn: int = 0  # names that were published and then replaced or taken back
    seconds: float = 0.0  # watched
    by_label: dict[str, tuple[int, int]] = field(default_factory=dict)  # (detected, performed)

    def __add__(self, other: EventReport) -> EventReport:
        """Both streams together."""
        labels = sorted(self.by_label.keys() | other.by_label.keys())
        pairs = {name: (self.by_label.get(name, (0, 0)), other.by_label.get(name, (0, 0))) for name in labels}
        return EventReport(
            self.performed + other.performed,
            self.jaccards + other.jaccards,
            self.delays + other.delays,
            self.repeated + other.repeated,
            self.confused + other.confused,
            self.invented + other.invented,
            self.withdrawn + other.withdrawn,
            self.seconds + other.seconds,
            {name: (a[0] + b[0], a[1] + b[1]) for name, (a, b) in pairs.items()},
        )

    @property
    def detected(self) -> int:
        """Actions that have an event."""
        return len(self.jaccards)

    @property
    def detection_rate(self) -> float:
        """Share of the performed actions that have an event."""
        return self.detected / self.performed if self.performed else math.nan

    @property
    def false(self) -> int:
        """Events that stand for no performed action."""
        return self.repeated + self.confused + self.invented

    @property
    def false_per_minute(self) -> float:
        """False events for each minute watched."""
        return self.false / (self.seconds / 60) if self.seconds else math.nan

    @property
    def withdrawn_per_minute(self) -> float:
        """Names taken back for each minute watched."""
        return self.withdrawn / (self.seconds / 60) if self.seconds else math.nan

    @property
    def mean_jaccard(self) -> float:
        """Mean over the performed actions, in which those that were missed count 0."""
        return math.fsum(self.jaccards) / self.performed if self.performed else math.nan

    def delay(self, q: float) -> float:
        """The q-th percentile (0..100) of the onset delays, in seconds."""
        return float(np.percentile(self.delays, q)) if self.delays else math.nan


def score_events(
    truth: Sequence[Interval], predicted: Sequence[PredictedEvent], seconds: float, least: float = 0.0
) -> EventReport:
    """Hold the events of one stream against what was performed in it.

    Args:
        truth: performed actions.
        predicted: reported ones.
        seconds: how long the stream was watched.
        least: smallest Jaccard index at which an event stands for an action; by default any overlap will do.

    Raises:
        ValueError: if the time is not positive.
    """
    if not seconds > 0:
        raise ValueError(f"a stream must last longer than {seconds} s")
    matching = match(truth, predicted, least)
    kinds = [_kind(event, truth) for event in matching.false]
    found = [pair.truth.label for pair in matching.pairs]
    performed = [action.label for action in truth]
    return EventReport(
        len(truth),
        tuple(pair.jaccard for pair in matching.pairs),
        tuple((pair.predicted.published - pair.truth.start) / SECOND for pair in matching.pairs),
        kinds.count("repeated"),
        kinds.count("confused"),
        kinds.count("invented"),
        sum(len(event.withdrawn) for event in predicted),
        seconds,
        {label: (found.count(label), performed.count(label)) for label in sorted(set(performed))},
    )


def _kind(event: PredictedEvent, truth: Sequence[Interval]) -> str:
    during = {action.label for action in truth if overlap(event, action)}
    if not during:
        return "invented"
    return "repeated" if event.label in during else "confused"
