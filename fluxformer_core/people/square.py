"""The square of an image in which one person is seen, in proportion to the person's height."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.people.person import Box, mapped

SIDE = 1.45
"""Side of the square in heights of the person: raised and spread arms fit in, as in the recordings of the training."""

BORDER = 0.05
"""Share of the side: a person who is nearer to the square's border than this is about to leave the square."""

SMALLEST_SHARE = 0.45
"""Share of the side: the square shrinks when the person is smaller than this. A person who crouches is not."""

Rectangle = tuple[int, int, int]
"""Left, top and side of a square in px; the square may reach beyond the image."""


class Square:
    """Where one person is looked at; moves and grows only when the person nears its border.

    The outlines of detectors tremble. A square that trembled with them would make everything in it move.

    Args:
        box: where the person is first seen.
    """

    def __init__(self, box: Box) -> None:
        self._x, self._y, self._side = _fit(box)

    @property
    def rectangle(self) -> Rectangle:
        """The square in whole px."""
        side = max(2, round(self._side))
        return round(self._x - side / 2), round(self._y - side / 2), side

    def follow(self, box: Box) -> None:
        """Take in where the person is now."""
        left, top, right, bottom = box
        if max(right - left, bottom - top) < SMALLEST_SHARE * self._side:
            self._x, self._y, self._side = _fit(box)
            return
        self._side = max(self._side, max(right - left, bottom - top) / (1 - 2 * BORDER))
        reach = (0.5 - BORDER) * self._side
        self._x = min(max(self._x, right - reach), left + reach)
        self._y = min(max(self._y, bottom - reach), top + reach)

    def move(self, camera: NDArray[np.float64]) -> None:
        """Stay on the same part of the scene while the camera moves.

        Args:
            camera: (3, 3) homography from px of the previous image to px of this image.
        """
        half = self._side / 2
        corners = [(self._x - half, self._y - half), (self._x + half, self._y + half)]
        (left, top), (right, bottom) = mapped(camera, corners)
        self._x, self._y = float(left + right) / 2, float(top + bottom) / 2
        self._side = float(right - left + bottom - top) / 2


def _fit(box: Box) -> tuple[float, float, float]:
    """Middle and side of the square round a person."""
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, SIDE * max(right - left, bottom - top)
