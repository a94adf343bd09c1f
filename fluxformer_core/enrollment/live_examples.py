"""Examples from a live stream: each motion segment, from standing still to standing still, is one example."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from fluxformer_core.stream.buffer import Window
from fluxformer_core.stream.motion import MotionSegment
from fluxformer_core.stream.recognizer import Recognizer, ViewState
from fluxformer_core.stream.stream import LEAD, Stream
from fluxformer_core.types import SECOND

MIN_MOTION = 0.4
"""Seconds of motion that make an example; a shorter segment is a false start or a small movement."""

ENTRANCE = 0.5
"""Seconds after a person has come into view: motion that begins sooner is how they came."""


@dataclass(frozen=True, eq=False)
class CaptureStatus:
    """What the newest frame means for the capture of an example."""

    moving: bool  # an example is under way
    motion: float  # frame heights per second
    example: Window | None = None  # the frames of an example that this frame completed
    hint: str = ""  # what is in the way, said once: nobody is there, or the motion that is over is no example


class ExampleCapture:
    """Captures examples while a recogniser runs. Motion that began before the capture did is ignored.

    Args:
        person_id: who shows the examples; empty: the nearest person of the first frame with people, or the scene.
    """

    def __init__(self, person_id: str = "") -> None:
        self._person_id = person_id
        self._stream: Stream | None = None  # of the person, while they are in view
        self._handled: MotionSegment | None = None  # the newest motion segment that has been reported
        self._settled = 0  # ns: motion that begins sooner is how the person came into view
        self._missed = False  # the person's absence has been reported

    def update(self, recognizer: Recognizer) -> CaptureStatus:
        """Report on the frame that the recogniser was pushed last; to be called after every push."""
        self._person_id = self._person_id or _nearest(recognizer.views)
        stream = recognizer.stream_of(self._person_id)
        if stream is None or not len(stream.window):
            return self._report_absence(stream)
        segment, window = stream.segment, stream.window
        if stream is not self._stream:
            self._stream, self._handled = stream, segment
            self._settled = int(window.stamps[0]) + round(ENTRANCE * SECOND) if self._missed else 0
            self._missed = False
        motion = float(window.energy[-1])
        if segment is None or segment is self._handled or segment.start < self._settled:
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

    def _report_absence(self, stream: Stream | None) -> CaptureStatus:
        """Say once that the person is not there; the empty stream of a scene is no absence."""
        if stream is not None or self._missed:
            return CaptureStatus(False, 0.0)
        self._missed, self._stream = True, None
        who = f"person {self._person_id} has left the view" if self._person_id else "nobody is in view"
        return CaptureStatus(False, 0.0, hint=f"{who}: step before the camera, and stand still")


def _nearest(views: tuple[ViewState, ...]) -> str:
    """The id of the nearest person; by their height in the image where no distance is known."""

    def distance(view: ViewState) -> float:
        metres = math.nan if view.sighting is None else view.sighting.distance
        return math.inf if math.isnan(metres) else metres

    nearest = min(views, key=distance, default=None)
    return "" if nearest is None else nearest.person_id
