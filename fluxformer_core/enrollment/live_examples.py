"""Examples from a live stream: each motion segment, from standing still to standing still, is one example."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from fluxformer_core.stream.buffer import Window
from fluxformer_core.stream.motion import MotionSegment
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.stream import LEAD
from fluxformer_core.types import SECOND

MIN_MOTION = 0.4
"""Seconds of motion that make an example; a shorter segment is a false start or a small movement."""


@dataclass(frozen=True, eq=False)
class CaptureStatus:
    """What the newest frame means for the capture of an example."""

    moving: bool  # an example is under way
    motion: float  # frame heights per second
    example: Window | None = None  # the frames of an example that this frame completed
    hint: str = ""  # why a motion segment that this frame completed is no example


class ExampleCapture:
    """Captures examples while a recogniser runs. Motion that began before the capture did is ignored."""

    def __init__(self) -> None:
        self._first = True
        self._handled: MotionSegment | None = None  # the newest motion segment that has been reported

    def update(self, recognizer: Recognizer) -> CaptureStatus:
        """Report on the frame that the recogniser was pushed last; to be called after every push."""
        segment, window = recognizer.scene.segment, recognizer.scene.window
        if self._first:
            self._first, self._handled = False, segment
        motion = float(window.energy[-1]) if len(window) else 0.0
        if segment is None or segment is self._handled:
            return CaptureStatus(False, motion)
        if not segment.closed:
            return CaptureStatus(True, motion)
        self._handled = segment
        seconds = (segment.last_motion - segment.start) / SECOND
        if seconds < MIN_MOTION:
            return CaptureStatus(False, motion, hint=f"{seconds:.1f} s of motion are too short for an example")
        if int(window.stamps[0]) > segment.start:
            hint = f"{seconds:.1f} s of motion are more than the model sees at once"
            return CaptureStatus(False, motion, hint=hint)
        lead = round(LEAD * SECOND)
        first = int(np.searchsorted(window.stamps, segment.start - lead))
        stop = int(np.searchsorted(window.stamps, segment.last_motion + lead, side="right"))
        example = Window(*(getattr(window, member.name)[first:stop].copy() for member in fields(window)))
        return CaptureStatus(False, motion, example)
