"""From scores to decisions: states, and events with the action's own times.

One motion segment (motion.py) counts as one action while the window can hold the whole segment. Within the segment,

- the label may change as more of the action is seen: UPDATED;
- the motion may turn out to be no known action: RETRACTED, with the label that is withdrawn;
- an action that ends although its score never reached `sure_score` is retracted, too. An action may be reported before
  its label is certain; an action that has ended may have to be certain.

In motion that outlasts the window, another label is another action.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.stream.belief import Belief
from fluxformer_core.stream.config import DecisionConfig
from fluxformer_core.stream.motion import MotionSegment, MotionTracker
from fluxformer_core.types import OTHER, SECOND, ActionEvent, EventKind, State

MAJORITY = 0.5
"""Smoothed score of `other` at which an action is retracted: more than that of all actions together."""


@dataclass(frozen=True)
class Decision:
    """The decision on one window."""

    state: State
    label: str
    score: float
    unknown_score: float
    probabilities: NDArray[np.float32]  # (labels,) smoothed; zeros outside a motion segment


class Decider:
    """Follows one stream: `observe` every admitted frame, `decide` at every model output.

    Args:
        labels: in the order of the probabilities.
        config: thresholds.
    """

    def __init__(self, labels: tuple[str, ...], config: DecisionConfig) -> None:
        self.labels, self.config = labels, config
        self.motion = MotionTracker(config.motion)
        self._instances = 0
        self._open: ActionEvent | None = None
        self._belief: Belief | None = None  # over the current segment
        self._candidate = ""  # the label with the highest smoothed score
        self._candidate_since = 0  # ns: since when that label has had the highest score
        self._newest_start = 0  # ns: start of the newest action of this segment; what lies before is over

    def configure(self, config: DecisionConfig) -> None:
        """Use other thresholds from now on; an open action stays open."""
        self.config = config
        self.motion.config = config.motion

    @property
    def open_event(self) -> ActionEvent | None:
        """The newest event of the action that is under way, if any."""
        return self._open

    def observe(self, stamp: int, energy: float, appearance: NDArray[np.float32]) -> tuple[ActionEvent, ...]:
        """Take in one admitted frame, as `MotionTracker.push` does; returns the end of an action, if it ended."""
        before = self.motion.segment
        self.motion.push(stamp, energy, appearance)
        segment = self.motion.segment
        if segment is not before:
            self._forget_segment()
        if segment is not None and segment.closed:
            return self._close(stamp, segment.last_motion)
        return ()

    def due(self) -> MotionSegment | None:
        """The motion segment that is worth classifying now, if any."""
        segment = self.motion.segment
        if segment is None or segment.closed:
            return None
        # The duration counts to the newest motion, not to now: after a flash of light, rest is certain only later.
        long_enough = segment.last_motion - segment.start >= self.config.min_duration * SECOND
        return segment if long_enough else None

    def decide(
        self, stamp: int, probabilities: NDArray[np.float32], window_start: int
    ) -> tuple[Decision, tuple[ActionEvent, ...]]:
        """Take in calibrated probabilities of the current segment's clip.

        Args:
            stamp: ns, of the newest frame.
            probabilities: (labels,) summing to one.
            window_start: ns, of the oldest frame in the window.
        """
        segment = self.motion.segment
        assert segment is not None
        if self._belief is None:
            self._belief = Belief(self.labels, segment.start)
        belief = self._belief
        belief.update(stamp, probabilities, self.config.smoothing)
        label, score = belief.best, belief.of(belief.best)
        if label != self._candidate:
            self._candidate, self._candidate_since = label, stamp
        events = self._advance(stamp, label, score, segment, window_start)
        if self._open is None:
            return Decision(State.UNKNOWN, "", 0.0, belief.unknown, belief.mean), events
        label = self._open.label
        return Decision(State.ACTION, label, belief.of(label), belief.unknown, belief.mean), events

    def reset(self, stamp: int) -> tuple[ActionEvent, ...]:
        """End the open action, as of the last motion seen, and forget the past."""
        segment = self.motion.segment
        events = self._close(stamp, segment.last_motion) if segment is not None else ()
        self.motion.reset()
        self._forget_segment()
        return events

    def _advance(
        self, stamp: int, label: str, score: float, segment: MotionSegment, window_start: int
    ) -> tuple[ActionEvent, ...]:
        config, current = self.config, self._open
        if current is None:
            if label == OTHER or score < config.start_score:
                return ()
            return (self._start(stamp, label, score, max(segment.start, self._newest_start)),)
        if label == current.label:
            # The peak is kept without an event: an event for every step of the score would bury those that matter.
            self._open = replace(current, score=max(score, current.score))
            return ()
        kept = self._belief is not None and self._belief.of(current.label) >= config.keep_score
        if kept or score < (MAJORITY if label == OTHER else config.start_score):
            return ()
        whole = window_start <= current.start
        if label == OTHER:
            # In motion that outlasts the window, the action may have been there and be over: it is not retracted.
            return self._finish(EventKind.RETRACTED, stamp, self._candidate_since) if whole else ()
        if whole:
            self._open = replace(current, kind=EventKind.UPDATED, stamp=stamp, label=label, score=score)
            return (self._open,)
        ended = self._close(stamp, self._candidate_since)
        return (*ended, self._start(stamp, label, score, self._candidate_since))

    def _start(self, stamp: int, label: str, score: float, start: int) -> ActionEvent:
        self._instances += 1
        self._newest_start = start
        self._open = ActionEvent(stamp, EventKind.STARTED, label, self._instances, start, score=score)
        return self._open

    def _close(self, stamp: int, end: int) -> tuple[ActionEvent, ...]:
        unsure = self._open is not None and self._open.score < self.config.sure_score
        return self._finish(EventKind.RETRACTED if unsure else EventKind.ENDED, stamp, end)

    def _finish(self, kind: EventKind, stamp: int, end: int) -> tuple[ActionEvent, ...]:
        if self._open is None:
            return ()
        finished = replace(self._open, kind=kind, stamp=stamp, end=max(end, self._open.start))
        self._open = None
        return (finished,)

    def _forget_segment(self) -> None:
        self._belief = None
        self._candidate = ""
        self._candidate_since = 0
        self._newest_start = 0
