"""What a depth camera sees when nobody is there, learnt for each pixel while people come and go."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.types import SECOND

_REVEALED = 0.3  # s until what lies behind something that left is background
_DRIFT = 5.0  # s in which the background follows a sensor that warms up
_FRESH = 0.5  # s for which what has come counts as moving
_PATIENCE = 10.0  # times the learning time until a known person who never moves is background: it may be a chair
_TURN_REACH = 17  # px: twice as far as a person moves between two images
_TURN_ROWS = 3  # every third row is looked at
_TURN_PARTS, _TURN_LEAST_PARTS = 5, 3  # of the picture's width that are looked at, and that must change
_TURN_CHANGE = 0.002  # share of a part's pixels
_TURN_LEFT = 0.5  # share of the changed pixels that a shift may leave
_LONGEST_STEP = 1.0  # s: a longer pause between two images counts as this


def noise_margin(metres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Difference in metres that is no noise of a depth camera: the noise grows with the square of the distance."""
    return np.asarray(0.06 + 0.006 * np.square(np.where(np.isfinite(metres), metres, 0)), np.float32)


def turned(before: NDArray[np.float32], now: NDArray[np.float32], people: NDArray[np.bool_]) -> bool:
    """Whether a depth camera has turned sideways between two images (H, W) m.

    A camera has turned if one shift explains changes that lie far apart, and not where `people` (H, W) are known to be.
    """
    room = 1 - cv2.dilate(people.view(np.uint8), np.ones((_TURN_REACH, _TURN_REACH), np.uint8))
    before, now = (before * room)[::_TURN_ROWS], now[::_TURN_ROWS]
    changed = _differ(before, now)
    parts = np.array_split(changed, _TURN_PARTS, axis=1)
    if sum(part.sum() > _TURN_CHANGE * changed.size / _TURN_PARTS for part in parts) < _TURN_LEAST_PARTS:
        return False
    most = _TURN_LEFT * changed.sum()
    farthest = changed.shape[1] // 16
    return any(
        _differ(before[:, :-shift], now[:, shift:]).sum() < most
        or _differ(before[:, shift:], now[:, :-shift]).sum() < most
        for shift in range(1, farthest + 1)
    )


def _differ(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray((one > 0) & (other > 0) & (np.abs(one - other) > noise_margin(one)))


class DepthBackground:
    """The background of one camera that stands still.

    A surface that appears is background after `learning_time` at rest, or after ten times as long if a person is known
    to be there. What lies behind a surface is background as soon as the surface is gone, so a person who stood there at
    the start leaves no hole.

    Args:
        first: (H, W) m, the first image; 0 is no reading.
        stamp: ns, of the first image.
        learning_time: s.

    Attributes:
        depth: (H, W) m; inf where nothing has been seen.
    """

    def __init__(self, first: NDArray[np.float32], stamp: int, learning_time: float) -> None:
        self.depth = np.where(first > 0, first, np.inf).astype(np.float32)
        self._learning_time, self._stamp, self._begun = learning_time, stamp, stamp
        self._candidate = np.zeros_like(first)  # m: the newest surface that is not the background
        self._rested = np.zeros_like(first)  # s for which the candidate has been there
        self._absent = np.zeros_like(first)  # s without a reading

    def learn(self, metres: NDArray[np.float32], people: NDArray[np.bool_], stamp: int) -> None:
        """Take in an image (H, W) m with 0 for no reading; `people` (H, W) is where known people are."""
        passed = np.float32(min(max((stamp - self._stamp) / SECOND, 0.0), _LONGEST_STEP))
        self._stamp = stamp
        seen, margin = metres > 0, noise_margin(metres)
        near = seen & (np.abs(metres - self.depth) < margin)
        other = seen & ~near
        farther = other & (metres > self.depth)
        resting = other & (np.abs(metres - self._candidate) < margin)
        counted = np.where(people & ~farther, passed / np.float32(_PATIENCE), passed)
        self._rested = np.where(resting, self._rested + counted, np.where(seen, 0, self._rested))
        self._candidate = np.where(other & ~resting, metres, self._candidate)
        self._absent = np.where(seen | people, 0, self._absent + passed)
        known = resting & (self._rested >= np.where(farther, _REVEALED, self._learning_time))
        self.depth[known] = metres[known]
        near &= ~people
        self.depth[near] += min(passed / np.float32(_DRIFT), 1) * (metres - self.depth)[near]
        self.depth[self._absent >= self._learning_time] = np.inf

    def uncover(self, person: NDArray[np.bool_]) -> None:
        """Take a surface (H, W), which was learnt and turns out to be a person, out of the background.

        What is behind the person is guessed row by row from both sides. The inverse of the depth of a wall or a floor
        is linear along a row, and the guess is exact for these.
        """
        # The rim of a person is full of wrong readings, and no hole in a person shows the background.
        closed = cv2.morphologyEx(person.view(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
        hidden = cv2.dilate(closed, np.ones((5, 5), np.uint8)) > 0
        inverse = 1 / self.depth
        for row in np.flatnonzero(hidden.any(axis=1)):
            behind, beside = np.flatnonzero(hidden[row]), np.flatnonzero(~hidden[row])
            inverse[row, behind] = np.interp(behind, beside, inverse[row, beside]) if len(beside) else 0
        with np.errstate(divide="ignore"):
            guess = np.asarray(1 / inverse, np.float32)
        least = np.where(person, self.depth + 2 * noise_margin(self.depth), self.depth)
        self.depth = np.where(hidden, np.maximum(guess, least), self.depth)

    def fresh(self, stamp: int) -> NDArray[np.bool_]:
        """Pixels (H, W) of whom what is there now came within half a second; none while the background is new."""
        return (self._rested < _FRESH) if stamp - self._begun > SECOND else np.zeros(self._rested.shape, bool)
