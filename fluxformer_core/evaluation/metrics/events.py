"""Event figures: detected actions, their delay, and false events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent, match, overlap
from fluxformer_core.types import SECOND


@dataclass(frozen=True)
class EventReport:
    """Counts and times of one stream, or the sum over several. Undefined figures are NaN."""

    performed: int = 0  # actions
    jaccards: tuple[float, ...] = ()  # of each detected action with its event
    delays: tuple[float, ...] = ()  # s, of each detected action: from its start to the publication of its label
    repeated: int = 0  # false events that overlap an action of their label, which has another event
    confused: int = 0  # false events that overlap actions of other labels only
    invented: int = 0  # false events that overlap no action
    withdrawn: int = 0  # labels that were published and then replaced or retracted
    seconds: float = 0.0  # watched

    def __add__(self, other: EventReport) -> EventReport:
        return EventReport(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def detected(self) -> int:
        return len(self.jaccards)

    @property
    def detection_rate(self) -> float:
        """Share of the performed actions that have an event."""
        return self.detected / self.performed if self.performed else math.nan

    @property
    def false(self) -> int:
        """Events that match no performed action."""
        return self.repeated + self.confused + self.invented

    @property
    def false_per_minute(self) -> float:
        return self.false / (self.seconds / 60) if self.seconds else math.nan

    @property
    def withdrawn_per_minute(self) -> float:
        return self.withdrawn / (self.seconds / 60) if self.seconds else math.nan

    @property
    def mean_jaccard(self) -> float:
        """Mean Jaccard index over the performed actions; a missed action counts 0."""
        return math.fsum(self.jaccards) / self.performed if self.performed else math.nan

    def delay(self, q: float) -> float:
        """The q-th percentile (0..100) of the onset delays, in seconds."""
        return float(np.percentile(self.delays, q)) if self.delays else math.nan


def score_events(truth: Sequence[Interval], predicted: Sequence[PredictedEvent], seconds: float) -> EventReport:
    """Compare the events of one stream, which lasts some seconds, with its performed actions.

    Raises:
        ValueError: if the time is not positive.
    """
    if not seconds > 0:
        raise ValueError(f"a stream must last longer than {seconds} s")
    matching = match(truth, predicted)
    kinds = [_kind(event, truth) for event in matching.false]
    return EventReport(
        len(truth),
        tuple(pair.jaccard for pair in matching.pairs),
        tuple((pair.predicted.published - pair.truth.start) / SECOND for pair in matching.pairs),
        kinds.count("repeated"),
        kinds.count("confused"),
        kinds.count("invented"),
        sum(len(event.withdrawn) for event in predicted),
        seconds,
    )


def _kind(event: PredictedEvent, truth: Sequence[Interval]) -> str:
    during = {action.label for action in truth if overlap(event, action)}
    if not during:
        return "invented"
    return "repeated" if event.label in during else "confused"
