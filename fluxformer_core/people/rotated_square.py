"""A square of an image, turned with the person in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.people.person import Box, mapped

_ROOM = 1.25  # side of the square relative to the circle round a person
_NEAR = 0.15  # distance of two squares' middles, as a share of the side, below which they may show the same person
_ALIKE = 0.4  # natural logarithm of the ratio of the two sides, below which they may


@dataclass(frozen=True)
class RotatedSquare:
    """The square in which a pose net looks at one person. It may reach beyond the image."""

    x: float  # px of the image: the middle
    y: float
    side: float  # px of the image
    angle: float = 0.0  # radians, clockwise in the picture: 0 if the person's head is up

    @classmethod
    def around(cls, middle: NDArray[np.floating], rim: NDArray[np.floating]) -> RotatedSquare:
        """The square round a person's circle.

        Args:
            middle: (2,) px, the middle of the hips.
            rim: (2,) px, the point of the circle that lies over the head.
        """
        x, y = (float(value) for value in middle)
        right, down = (float(value) for value in rim - middle)
        return cls(x, y, max(1.0, 2 * _ROOM * float(np.hypot(right, down))), float(np.arctan2(right, -down)))

    @classmethod
    def of_box(cls, box: Box) -> RotatedSquare:
        """The upright square round a box."""
        left, top, right, bottom = box
        return cls((left + right) / 2, (top + bottom) / 2, _ROOM * max(1.0, right - left, bottom - top))

    @property
    def box(self) -> Box:
        """The smallest upright box that holds the square, px."""
        half = self.side / 2 * (abs(np.cos(self.angle)) + abs(np.sin(self.angle)))
        return float(self.x - half), float(self.y - half), float(self.x + half), float(self.y + half)

    @property
    def to_image(self) -> NDArray[np.float64]:
        """(2, 3) from places in the square, 0..1 from its left and its top, to px of the image."""
        axes = self.side * self.turn
        return np.column_stack([axes, np.array([self.x, self.y]) - axes @ (0.5, 0.5)])

    @property
    def turn(self) -> NDArray[np.float64]:
        """(2, 2) turns directions in the square into directions in the image."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])

    def moved(self, camera: NDArray[np.float64], shift: NDArray[np.float64]) -> RotatedSquare:
        """The square round the person after the camera and the person have moved; see `Sighting.moved`."""
        up = self.side / (2 * _ROOM) * np.array([np.sin(self.angle), -np.cos(self.angle)])
        middle = np.array([self.x, self.y])
        middle, rim = mapped(camera, [middle, middle + up]) + shift
        return RotatedSquare.around(middle, rim)

    def places(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Places (n, 2) in the square, 0..1, as px of the image."""
        return np.asarray(points @ self.to_image[:, :2].T + self.to_image[:, 2])

    def near(self, other: RotatedSquare) -> bool:
        """Whether both squares are about the same: they then show the same person."""
        apart = float(np.hypot(self.x - other.x, self.y - other.y))
        return apart < _NEAR * other.side and abs(np.log(self.side / other.side)) < _ALIKE

    def cut(self, image: NDArray[np.uint8], size: int, border: int = cv2.BORDER_REPLICATE) -> NDArray[np.float32]:
        """The square's picture, (size, size, 3), 0..1; `border` says how OpenCV continues the image beyond its edge."""
        matrix = self.to_image / (size, size, 1)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=border)
        return np.asarray(picture * np.float32(1 / 255), np.float32)

    def upright(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A map (n, n) over the square as a map (n, n) over the square's upright `box`; 0 outside the square."""
        size = len(values)
        left, top, right, _ = self.box
        box = np.array([[(right - left) / size, 0, left], [0, (right - left) / size, top], [0, 0, 1]])
        square = np.vstack([self.to_image / (size, size, 1), (0, 0, 1)])
        matrix = (np.linalg.inv(square) @ box)[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(values, matrix, (size, size), flags=flags), np.uint8)
