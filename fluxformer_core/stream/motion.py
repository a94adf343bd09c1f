"""When something happens: cuts the stream into segments of motion.

A segment begins with the first moving frame and ends with the last one. Many actions pause in the middle (arms crossed,
a squat held), so stillness alone does not end a segment. A segment ends after `still_time` when the image looks as it
did before the segment, and after `max_still_time` in any case.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.stream.config import MotionConfig
from fluxformer_core.types import SECOND

START_OVER_NOISE, STOP_OVER_NOISE = 2.5, 1.7
"""In a noisy image, the thresholds rise to these multiples of the motion energy that a still scene has."""

REST_SHARE = 0.3
"""Half a second slower than this share of the segment's top speed counts as rest.

A person who enters an empty room moves a little even at rest, above the noise of the empty room. Without this rule, the
thresholds learnt from the empty room would read that as motion forever."""

_NOISE_CAP = 0.15  # frame heights/s: highest noise level, so that a stream that begins in motion is not all noise
_NOISE_SPAN = 600  # frames, 30 s at 20 Hz: motion without a pause for longer than this counts as noise
_RECENT_RESTS = 40  # frames
_NOISE_RUN = 10  # frames: the noise level is that of the quietest run of this length


@dataclass
class MotionSegment:
    """One stretch of motion."""

    start: int  # ns: first moving frame
    last_motion: int  # ns: newest moving frame so far
    closed: bool = False  # the scene has come to rest; last_motion is the segment's end


class MotionTracker:
    """Follows motion frame by frame; `segment` is the current or the last one."""

    def __init__(self, config: MotionConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything, as after a gap in the stream."""
        self.segment: MotionSegment | None = None
        self._recent: deque[float] = deque(maxlen=_NOISE_RUN)
        self._quiet: deque[float] = deque(maxlen=_NOISE_SPAN)
        self._resting: deque[float] = deque(maxlen=_RECENT_RESTS)  # the newest values of `_quiet` from a scene at rest
        self._rising: int | None = None  # ns: since when there has been motion
        self._still: NDArray[np.float32] | None = None  # appearance of the scene when it was last still
        self._largest_difference = self._top_speed = 0.0  # in the current segment
        self.thresholds = self.config.start_motion, self.config.stop_motion  # in use now, frame heights per second

    @property
    def active(self) -> bool:
        """Whether a segment is under way."""
        return self.segment is not None and not self.segment.closed

    def push(self, stamp: int, energy: float, appearance: NDArray[np.float32]) -> None:
        """Take in one frame.

        Args:
            stamp: ns, later than the one before.
            energy: speed of the fastest pixels, frame heights per second.
            appearance: any vector that tells poses apart by Euclidean distance.
        """
        config = self.config
        self._recent.append(energy)
        level = float(np.median(list(self._recent)[-3:]))  # a single noisy frame does not start a segment
        self.thresholds = start, stop = self._thresholds()
        onset = self._onset(stop)
        if self._rising is None and energy >= onset:
            self._rising = stamp
        elif max(energy, level) < onset:
            self._rising = None
        if self.segment is None or self.segment.closed:
            if level >= start:
                self.segment = MotionSegment(start=stamp if self._rising is None else self._rising, last_motion=stamp)
                self._largest_difference, self._top_speed = 0.0, level
            elif level < stop:
                self._still = appearance.copy()
            return
        difference = self._difference(appearance)
        self._largest_difference = max(self._largest_difference, difference)
        self._top_speed = max(self._top_speed, level)
        stop = max(stop, config.relative_threshold * self._top_speed)
        self.thresholds = start, stop
        if level >= stop:
            self.segment.last_motion = stamp
            return
        returned = difference <= config.returned * self._largest_difference
        needed = config.still_time if returned else config.max_still_time
        if stamp - self.segment.last_motion >= needed * SECOND:
            self.segment.closed = True
            self._still = appearance.copy()
            self._rising = None  # slow motion that goes on is not part of the segment that ended

    def _thresholds(self) -> tuple[float, float]:
        """Start and stop speed, raised above the noise of the image."""
        config = self.config
        if len(self._recent) == _NOISE_RUN:
            run = sorted(self._recent)
            self._quiet.append(0.5 * (run[_NOISE_RUN // 2 - 1] + run[_NOISE_RUN // 2]))
            # The second-largest value decides: a single noisy frame does not make the run one of motion.
            if not self.active or run[-2] < REST_SHARE * self._top_speed:
                self._resting.append(self._quiet[-1])
        # An empty room is quieter than a person at rest before a depth camera, whose outline trembles.
        resting = float(np.median(self._resting)) if self._resting else 0.0
        noise = min(max(min(self._quiet, default=0.0), resting), _NOISE_CAP)
        return max(config.start_motion, START_OVER_NOISE * noise), max(config.stop_motion, STOP_OVER_NOISE * noise)

    def _onset(self, stop: float) -> float:
        """Speed from which a frame belongs to the motion that follows; below `stop` if the scene was quieter lately."""
        quiet = min(self._resting, default=stop)
        return min(stop, max(stop / 2, STOP_OVER_NOISE * quiet))

    def _difference(self, appearance: NDArray[np.float32]) -> float:
        if self._still is None:
            return 0.0  # the stream began in motion: without an earlier pose, any rest ends the segment
        return float(np.linalg.norm(appearance - self._still))
