"""Smooth the joints of one person over time, as MediaPipe does: strongly at rest, hardly in motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.people.person import Joints
from fluxformer_core.types import SECOND

Array = NDArray[np.float64]


class OneEuro:
    """A low-pass filter whose cut-off grows with the speed of what it smooths (Casiez et al. 2012).

    Args:
        cutoff: Hz, at rest.
        beta: Hz that one unit of speed adds to the cut-off.
    """

    def __init__(self, cutoff: float, beta: float) -> None:
        self._cutoff, self._beta = cutoff, beta
        self._last: Array | None = None
        self._smooth: Array = np.zeros(0)
        self._speed: Array = np.zeros(0)

    def __call__(self, values: Array, step: float, unit: float = 1.0) -> Array:
        """Smooth values of any shape.

        Args:
            values: as measured now.
            step: s since the last call; not used in the first call.
            unit: what counts as one when speed is measured, in units of the values.
        """
        if self._last is None:
            self._smooth, self._speed = values, np.zeros_like(values)
        else:
            speed = (values - self._last) / (unit * step)
            self._speed = self._speed + _weight(np.ones(1), step) * (speed - self._speed)
            cutoff = self._cutoff + self._beta * np.abs(self._speed)
            self._smooth = self._smooth + _weight(cutoff, step) * (values - self._smooth)
        self._last = values
        return self._smooth


class JointSmoother:
    """Smooths the joints of one person."""

    def __init__(self) -> None:
        self._points = OneEuro(cutoff=0.05, beta=80)
        self._metres = OneEuro(cutoff=0.1, beta=40)
        self._visibility: Array | None = None
        self._stamp = 0

    def __call__(self, joints: Joints, size: float, stamp: int) -> Joints:
        """The smoothed joints.

        Args:
            joints: as seen in the image with this stamp.
            size: px, of the person: speeds are measured in it.
            stamp: ns, later than in the last call.
        """
        step = (stamp - self._stamp) / SECOND
        self._stamp = stamp
        seen = joints.visibility.astype(np.float64)
        before = seen if self._visibility is None else self._visibility
        self._visibility = before + 0.1 * (seen - before)
        return Joints(
            self._points(joints.points.astype(np.float64), step, size).astype(np.float32),
            self._visibility.astype(np.float32),
            self._metres(joints.metres.astype(np.float64), step).astype(np.float32),
        )


def _weight(cutoff: Array, step: float) -> Array:
    turn = 2 * np.pi * cutoff * step
    return np.asarray(turn / (1 + turn))
