"""From scores to decisions: states, and events with the action's own times.

One spell of motion (activity.py) is taken as one action for as long as the window can hold all of it: its name may
still change while evidence grows, and then an UPDATED event says so; or it turns out to be none of the known actions,
and then an ENDED event without a label takes it back. So it does at the end of an action that was never believed enough
(`sure_score`): what is reported early need not be sure yet, what has ended may have to be. In motion that outlasts the
window a new name is a new action.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.belief import Belief
from fluxformer_core.stream.motion import ActivityConfig, ActivityTracker, Spell
from fluxformer_core.types import OTHER, SECOND, ActionEvent, EventKind, State

MAJORITY = 0.5
"""Belief in `other` at which a name is taken back: more than in all actions together."""


@dataclass(frozen=True)
class DecisionConfig:
    """Thresholds of the decision.

    Raises:
        ConfigError: if a field is outside its range.
    """

    start_score: float = 0.5  # belief at which an action starts
    keep_score: float = 0.3  # below it a running action's name is no longer believed, and others may replace it
    sure_score: float = 0.0  # an action that ends, and was never believed so much, is taken back; 0: none is
    min_duration: float = 0.2  # s: shorter spells of motion are no actions
    smoothing: float = 0.3  # s, in which belief forgets; it begins with nothing, so that the surer the sooner; 0: none
    activity: ActivityConfig = field(default_factory=ActivityConfig)

    def __post_init__(self) -> None:
        wrong = []
        if not 0 < self.keep_score <= self.start_score <= 1:
            wrong.append(
                f"scores must satisfy 0 < keep_score <= start_score <= 1, not {self.keep_score}, {self.start_score}"
            )
        if not 0 <= self.sure_score <= 1:
            wrong.append(f"sure_score must be in 0..1, not {self.sure_score}")
        if not self.min_duration >= 0:
            wrong.append(f"min_duration must not be negative, not {self.min_duration}")
        if not 0 <= self.smoothing < float("inf"):
            wrong.append(f"smoothing must not be negative, not {self.smoothing}")
        if wrong:
            raise ConfigError("; ".join(wrong))


@dataclass(frozen=True)
class Verdict:
    """The decision on one window."""

    state: State
    label: str
    score: float
    unknown_score: float
    probabilities: NDArray[np.float32]  # (labels,) smoothed; zeros outside a spell of motion


class Decider:
    """Follows the stream: `observe` every admitted frame, `decide` at every recognition.

    Args:
        labels: in the order of the probabilities.
        config: thresholds; may be replaced at any time.
    """

    def __init__(self, labels: tuple[str, ...], config: DecisionConfig) -> None:
        self.labels, self.config = labels, config
        self.activity = ActivityTracker(config.activity)
        self._instances = 0
        self._open: ActionEvent | None = None
        self._belief: Belief | None = None  # over the current spell
        self._candidate = ""  # the label that is believed most,
        self._since = 0  # and since when
        self._begun = 0  # where the newest action of this spell begins: what lies before it is over

    def configure(self, config: DecisionConfig) -> None:
        """Use other thresholds from now on; an open action stays open."""
        self.config = config
        self.activity.config = config.activity

    @property
    def open_event(self) -> ActionEvent | None:
        """The newest event of the action that is under way, if any."""
        return self._open

    def observe(self, stamp: int, motion: float, appearance: NDArray[np.float32]) -> tuple[ActionEvent, ...]:
        """Take in one admitted frame; returns the end of an action when rest has set in."""
        before = self.activity.spell
        self.activity.push(stamp, motion, appearance)
        spell = self.activity.spell
        if spell is not before:
            self._forget_spell()
        if spell is not None and spell.closed:
            return self._close(stamp, spell.last_motion)
        return ()

    def due(self) -> Spell | None:
        """The spell of motion that is worth classifying now, if any."""
        spell = self.activity.spell
        # Counted to the newest motion, not to now: after a flash of light, time passes before rest is sure.
        if spell is None or spell.closed or spell.last_motion - spell.start < self.config.min_duration * SECOND:
            return None
        return spell

    def decide(
        self, stamp: int, probabilities: NDArray[np.float32], window_start: int
    ) -> tuple[Verdict, tuple[ActionEvent, ...]]:
        """Take in calibrated probabilities of the current spell's clip.

        Args:
            stamp: ns, of the newest frame.
            probabilities: (labels,) summing to one.
            window_start: ns, of the oldest frame that was looked at.
        """
        spell = self.activity.spell
        assert spell is not None
        config = self.config
        if self._belief is None:
            self._belief = Belief(self.labels, spell.start)
        belief = self._belief
        belief.update(stamp, probabilities, config.smoothing)
        label, score = belief.best, belief.of(belief.best)
        if label != self._candidate:
            self._candidate, self._since = label, stamp
        events = self._advance(stamp, label, score, spell, window_start)
        if self._open is None:
            return Verdict(State.UNKNOWN, "", 0.0, belief.unknown, belief.mean), events
        return Verdict(State.ACTION, self._open.label, belief.of(self._open.label), belief.unknown, belief.mean), events

    def reset(self, stamp: int) -> tuple[ActionEvent, ...]:
        """End what is open, as of the last motion seen, and forget the past."""
        spell = self.activity.spell
        events = self._close(stamp, spell.last_motion) if spell is not None else ()
        self.activity.reset()
        self._forget_spell()
        return events

    def _advance(
        self, stamp: int, label: str, score: float, spell: Spell, window_start: int
    ) -> tuple[ActionEvent, ...]:
        config, current = self.config, self._open
        if current is None:
            decisive = label != OTHER and score >= config.start_score
            return (self._start(stamp, label, score, max(spell.start, self._begun)),) if decisive else ()
        if label == current.label:
            # The peak is carried along silently: an event for every step of it would bury those that matter.
            self._open = replace(current, score=max(score, current.score))
            return ()
        believed = self._belief is not None and self._belief.of(current.label) >= config.keep_score
        if believed or score < (MAJORITY if label == OTHER else config.start_score):
            return ()
        whole = window_start <= current.start
        if label == OTHER:
            # In motion that outlasts the window the action may have been there, and be over.
            return self._close(stamp, self._since, label="") if whole else ()
        if whole:
            renamed = _follow(current, EventKind.UPDATED, stamp, label=label, score=score)
            self._open = renamed
            return (renamed,)
        ended = self._close(stamp, self._since)
        return (*ended, self._start(stamp, label, score, self._since))

    def _start(self, stamp: int, label: str, score: float, start: int) -> ActionEvent:
        self._instances += 1
        self._begun = start
        self._open = ActionEvent(stamp, EventKind.STARTED, label, self._instances, start, score=score)
        return self._open

    def _close(self, stamp: int, end: int, label: str | None = None) -> tuple[ActionEvent, ...]:
        if self._open is None:
            return ()
        if self._open.score < self.config.sure_score:
            label = ""
        ended = _follow(self._open, EventKind.ENDED, stamp, label=label, end=max(end, self._open.start))
        self._open = None
        return (ended,)

    def _forget_spell(self) -> None:
        self._belief = None
        self._candidate = ""
        self._since = 0
        self._begun = 0


def _follow(
    event: ActionEvent,
    kind: EventKind,
    stamp: int,
    *,
    label: str | None = None,
    score: float | None = None,
    end: int = 0,
) -> ActionEvent:
    """The next event of the same action."""
    return ActionEvent(
        stamp=stamp,
        kind=kind,
        label=event.label if label is None else label,
        instance=event.instance,
        start=event.start,
        end=end,
        score=event.score if score is None else score,
        person_id=event.person_id,
    )
