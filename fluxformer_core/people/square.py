"""The square of an image in which one person is looked at, and how the square follows the person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in px of the camera's image."""

_LEASH = 0.12  # share of the square's side that a person may move from the middle before the square follows
_SLACK = 0.25  # share of the square's side that a person may grow or shrink before the square does


@dataclass(frozen=True)
class Person:
    """A person whom a detector has found and a tracker has given an id."""

    id: str
    box: Box


class Square:
    """The part of the image in which a person is looked at.

    The boxes of detectors tremble. A square that trembled with them would make everything in it move. The square stays
    where it is until the person leaves its middle, and then follows no farther than it must.

    Args:
        box: where the person is first seen.
        margin: as in `PeopleConfig`.
    """

    def __init__(self, box: Box, margin: float) -> None:
        self._margin = margin
        self._x, self._y, self._side = self._fit(box)

    def follow(self, box: Box) -> None:
        """Take in where the person is now."""
        x, y, side = self._fit(box)
        self._side = min(max(self._side, side / (1 + _SLACK)), side * (1 + _SLACK))
        leash = _LEASH * self._side
        self._x = min(max(self._x, x - leash), x + leash)
        self._y = min(max(self._y, y - leash), y + leash)

    def within(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom within an image of a shape: moved inwards, or shrunk to fit."""
        height, width = shape[:2]
        side = max(1, min(round(self._side), height, width))
        left = min(max(0, round(self._x - side / 2)), width - side)
        top = min(max(0, round(self._y - side / 2)), height - side)
        return left, top, left + side, top + side

    def cut(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """The square of an image: a view."""
        left, top, right, bottom = self.within(image.shape)
        return image[top:bottom, left:right]

    def _fit(self, box: Box) -> tuple[float, float, float]:
        left, top, right, bottom = box
        longer = max(right - left, bottom - top)
        return (left + right) / 2, (top + bottom) / 2, longer * (1 + 2 * self._margin)
