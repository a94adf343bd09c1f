"""Examples from a live stream: each spell of motion, from rest to rest, is caught as it ends."""

from __future__ import annotations

from dataclasses import dataclass

from fluxformer_core.enrollment.examples import spell_footage
from fluxformer_core.stream.buffer import Window
from fluxformer_core.stream.motion import MotionSegment
from fluxformer_core.stream.recognizer import LEAD, Recognizer
from fluxformer_core.types import SECOND

SHORTEST = 0.4
"""Seconds of motion; a shorter spell is a start or a shiver and no example."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What one pushed frame showed of an example."""

    moving: bool  # an example is under way
    motion: float  # frame heights per second
    footage: Window | None = None  # a whole example, with the frame that ended it
    hint: str = ""  # why a spell of motion that ended is no example


class SpellCatcher:
    """Watches a recogniser, frame by frame; motion that was under way when it began to watch does not count."""

    def __init__(self) -> None:
        self._first = True
        self._done: MotionSegment | None = None  # newest spell that has been dealt with

    def look(self, recognizer: Recognizer) -> Sight:
        """Say what the newest frame means; to be called after every push."""
        spell, window = recognizer.segment, recognizer.window
        if self._first:
            self._first, self._done = False, spell
        motion = float(window.energy[-1]) if len(window) else 0.0
        if spell is None or spell is self._done:
            return Sight(False, motion)
        if not spell.closed:
            return Sight(True, motion)
        self._done = spell
        seconds = (spell.last_motion - spell.start) / SECOND
        if seconds < SHORTEST:
            return Sight(False, motion, hint=f"{seconds:.1f} s of motion are too short for an example")
        footage = spell_footage(window, spell.start, spell.last_motion, before=LEAD, after=LEAD)
        if footage is None:
            return Sight(False, motion, hint=f"{seconds:.1f} s of motion are more than the model sees at once")
        return Sight(False, motion, footage)
