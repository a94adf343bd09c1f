"""When something happens at all: cuts the stream into spells of motion, by motion and by pose.

A spell begins with the first moving frame and ends with the last one. Many actions pause in the middle (arms crossed, a
squat held), so stillness alone does not end a spell: it ends soon when the image looks as it did before the spell, and
only after a longer hold when it does not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.errors import ConfigError
from fluxformer_core.types import SECOND

START_OVER_NOISE, STOP_OVER_NOISE = 2.5, 1.7
"""In a noisy picture the thresholds rise to these multiples of what a still scene measures."""

REST_SHARE = 0.3
"""Below this share of a spell's fastest motion it is rest that is seen, if only for half a second.

Whoever came into an empty place is watched with its thresholds else, and trembles too much to be ever at rest."""

_NOISE_CAP = 0.15  # frame heights/s: a stream that begins in motion must not pass for noise altogether
_NOISE_SPAN = 600  # frames, 30 s at 20 Hz: motion that never pauses for longer than this is taken for noise
_JUST_NOW = 40  # frames
_NOISE_RUN = 10  # frames: the quietest run of this length is the noise


@dataclass(frozen=True)
class ActivityConfig:
    """Thresholds between motion and rest; speeds in frame heights per second, times in seconds.

    Raises:
        ConfigError: if a field is outside its range.
    """

    start_motion: float = 0.14  # a spell begins at this speed of the fastest pixels
    stop_motion: float = 0.09  # below this the scene is still
    fade: float = 0.2  # so it is below this share of the spell's fastest motion
    rest: float = 0.3  # stillness that ends a spell when the image is as before it
    hold: float = 1.0  # stillness that ends it in any case
    returned: float = 0.4  # the image is as before when it differs by less than this share of the spell's most

    def __post_init__(self) -> None:
        wrong = []
        if not 0 < self.stop_motion <= self.start_motion:
            wrong.append(
                f"motion thresholds must satisfy 0 < stop_motion <= start_motion, not {self.stop_motion}, "
                f"{self.start_motion}"
            )
        if not 0 <= self.fade < 1:
            wrong.append(f"fade must be in [0, 1), not {self.fade}")
        if not 0 < self.rest <= self.hold:
            wrong.append(f"times must satisfy 0 < rest <= hold, not {self.rest}, {self.hold}")
        if not 0 <= self.returned <= 1:
            wrong.append(f"returned must be in 0..1, not {self.returned}")
        if wrong:
            raise ConfigError("; ".join(wrong))


@dataclass
class Spell:
    """One stretch of motion."""

    start: int  # ns: first moving frame
    last_motion: int  # ns: newest moving frame so far
    closed: bool = False  # rest has set in; last_motion is the spell's end


class ActivityTracker:
    """Follows motion frame by frame; `spell` is the current or the last one."""

    def __init__(self, config: ActivityConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything, as after a gap in the stream."""
        self.spell: Spell | None = None
        self._recent: deque[float] = deque(maxlen=_NOISE_RUN)
        self._quiet: deque[float] = deque(maxlen=_NOISE_SPAN)
        self._rest: deque[float] = deque(maxlen=_JUST_NOW)  # the newest of them at rest
        self._rising: int | None = None  # since when there has been motion
        self._still: NDArray[np.float32] | None = None  # what the scene looked like when it was last still
        self._most_different = self._fastest = 0.0  # in the current spell
        self.thresholds = self.config.start_motion, self.config.stop_motion  # in use, at present

    @property
    def active(self) -> bool:
        """Whether a spell is under way."""
        return self.spell is not None and not self.spell.closed

    def push(self, stamp: int, motion: float, appearance: NDArray[np.float32]) -> None:
        """Take in one frame.

        Args:
            stamp: ns, later than the one before.
            motion: frame heights per second.
            appearance: any vector that tells poses apart by Euclidean distance.
        """
        config = self.config
        self._recent.append(motion)
        level = float(np.median(list(self._recent)[-3:]))  # one noisy flow field is no motion
        self.thresholds = start, stop = self._thresholds()
        onset = self._onset(stop)
        if self._rising is None and motion >= onset:
            self._rising = stamp
        elif max(motion, level) < onset:
            self._rising = None
        if self.spell is None or self.spell.closed:
            if level >= start:
                self.spell = Spell(start=stamp if self._rising is None else self._rising, last_motion=stamp)
                self._most_different, self._fastest = 0.0, level
            elif level < stop:
                self._still = appearance.copy()
            return
        difference = self._difference(appearance)
        self._most_different = max(self._most_different, difference)
        self._fastest = max(self._fastest, level)
        stop = max(stop, config.fade * self._fastest)
        self.thresholds = start, stop
        if level >= stop:
            self.spell.last_motion = stamp
            return
        returned = difference <= config.returned * self._most_different
        needed = config.rest if returned else config.hold
        if stamp - self.spell.last_motion >= needed * SECOND:
            self.spell.closed = True
            self._still = appearance.copy()
            self._rising = None  # what is slow now and goes on is no part of what ended

    def _thresholds(self) -> tuple[float, float]:
        """Start and stop speed, raised above the picture's noise."""
        config = self.config
        if len(self._recent) == _NOISE_RUN:
            run = sorted(self._recent)
            self._quiet.append(0.5 * (run[_NOISE_RUN // 2 - 1] + run[_NOISE_RUN // 2]))
            if not self.active or run[-2] < REST_SHARE * self._fastest:  # one noisy frame is none
                self._rest.append(self._quiet[-1])
        # An empty place is quieter than somebody at rest before a depth camera, whose outlines tremble.
        resting = float(np.median(self._rest)) if self._rest else 0.0
        noise = min(max(min(self._quiet, default=0.0), resting), _NOISE_CAP)
        return max(config.start_motion, START_OVER_NOISE * noise), max(config.stop_motion, STOP_OVER_NOISE * noise)

    def _onset(self, stop: float) -> float:
        """Speed from which a frame belongs to the motion that follows: less than `stop` if it was quieter just now."""
        quiet = min(self._rest, default=stop)
        return min(stop, max(stop / 2, STOP_OVER_NOISE * quiet))

    def _difference(self, appearance: NDArray[np.float32]) -> float:
        if self._still is None:
            return 0.0  # the stream began in motion: there is no pose to return to, so any rest ends the spell
        return float(np.linalg.norm(appearance - self._still))
