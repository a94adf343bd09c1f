"""The frames of one view of a whole recording, as a stream would see them: for training, enrolment and evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.classical import FlowEstimator
from fluxformer_core.people.finder import Finder, create_finder
from fluxformer_core.people.tracker import PeopleConfig
from fluxformer_core.people.watch import PeopleWatch
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.prepare import person_pictures, prepare
from fluxformer_core.types import ClipSpec, Pixels


class RecordedView:
    """Takes in the images of a recording, and holds the frames of the scene or of the person who is seen longest.

    Args:
        spec: names the view, and the size and rate of the frames.
        flow: estimator of optical flow; None: flow is zero.
        length: frames that are held at most; later images are ignored.
        max_gap: seconds; a recording with a longer gap ends there.
        finder: finds people in the person view; None: the shipped nets in colour, and surfaces in depth.
    """

    def __init__(
        self, spec: ClipSpec, flow: FlowEstimator | None, length: int, *, max_gap: float, finder: Finder | None = None
    ) -> None:
        self._spec, self._flow, self._finder = replace(spec, window=length), flow, finder
        self._admission = Admission(spec, max_gap)
        self._watch: PeopleWatch | None = None
        self._buffers = {"": RollingBuffer(self._spec, flow)} if spec.view == "scene" else {}
        self.admitted = 0

    @property
    def full(self) -> bool:
        """Whether as many images have been taken in as can be held."""
        return self.admitted == self._spec.window

    @property
    def window(self) -> Window | None:
        """The frames; None: no image was taken in or, in the person view, nobody was seen."""
        windows = [buffer.window() for buffer in self._buffers.values() if len(buffer)]
        return max(windows, key=lambda window: (len(window), float(window.motion.sum())), default=None)

    def push(self, image: NDArray[np.generic], stamp: int, pixels: Pixels) -> None:
        """Take in an image; the arguments are those of `Recognizer.push`.

        Raises:
            ImageError: if shape or type do not fit `pixels`.
            PeopleError: if people are to be found, and the nets cannot be used.
        """
        if self.full or self._admission.judge(stamp) is not AdmissionResult.ADMIT:
            return
        self.admitted += 1
        if self._spec.view == "scene":
            self._buffers[""].push(prepare(image, pixels, self._spec), stamp)
            return
        if self._watch is None:
            self._watch = PeopleWatch(self._finder or create_finder(pixels), PeopleConfig())
        self._watch.observe(image, pixels, stamp)
        for track in self._watch.people:
            frame, earlier = person_pictures(self._watch, track, stamp, pixels, self._spec)
            self._buffers.setdefault(track.id, RollingBuffer(self._spec, self._flow)).push(frame, stamp, earlier)
