"""A drawing surface with its own unit of length, so that one drawing routine serves pictures of any size.

Pillow draws the text, because OpenCV's text cannot be read at small sizes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

Colour = tuple[int, int, int]  # RGB
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom

_SMALLEST = 7  # px: text below this height cannot be read
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with


def row_of_squares(count: int, left: float, top: float, right: float, largest: float, gap: float) -> list[Box]:
    """Squares that fill a row from left to right, no larger than `largest`, with at least a gap between them."""
    side = min(largest, (right - left - (count - 1) * gap) / count)
    pitch = (right - left - side) / max(1, count - 1)
    return [(left + i * pitch, top, left + i * pitch + side, top + side) for i in range(count)]


def curve_in(box: Box, stamps: NDArray[np.int64], values: NDArray[np.float32], full: float) -> NDArray[np.float64]:
    """Points (n, 2) of a curve of values over time, as wide as a box; a value of `full` reaches the top of the box."""
    left, top, right, bottom = box
    since = stamps - stamps[0]
    return np.column_stack([left + (right - left) * since / max(1, since[-1]), bottom - (bottom - top) * values / full])


class Page:
    """A blank page of some width and height in units.

    Its height in pixels is given; its width in pixels follows, rounded to an even number, which video codecs need.
    """

    def __init__(self, size: tuple[float, float], height: int, background: Colour) -> None:
        self._scale = height / size[1]
        self._array = np.array(Image.new("RGB", (2 * round(size[0] * self._scale / 2), height), background))
        self._texts: list[tuple[Point, str, int, Colour, str]] = []

    def pixels(self) -> np.ndarray:
        """The page with all text on top, (H, W, 3) uint8 RGB."""
        image = Image.fromarray(self._array)
        draw = ImageDraw.Draw(image)
        for place, text, size, colour, anchor in self._texts:
            draw.text(place, text, colour, _font(size), anchor)
        return np.array(image)

    def fill(self, box: Box, colour: Colour) -> None:
        left, top, right, bottom = self._pixel_box(box)
        self._array[top:bottom, left:right] = colour

    def frame(self, box: Box, colour: Colour, width: float) -> None:
        """Draw a frame around the outside of a box."""
        left, top, right, bottom = box
        for y in (top - width, bottom):
            self.fill((left - width, y, right + width, y + width), colour)
        for x in (left - width, right):
            self.fill((x, top, x + width, bottom), colour)

    def picture(self, array: np.ndarray, box: Box) -> Box:
        """Fit an RGB picture into the middle of a box, and return the box that the picture covers."""
        left, top, right, bottom = self._pixel_box(box)
        height, width = array.shape[:2]
        scale = min((right - left) / width, (bottom - top) / height)
        columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
        # Averaging avoids moiré in reduced pictures; cubic interpolation gives enlarged ones smooth edges.
        fitted = cv2.resize(array, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        left, top = left + (right - left - columns) // 2, top + (bottom - top - rows) // 2
        self._array[top : top + rows, left : left + columns] = fitted
        return left / self._scale, top / self._scale, (left + columns) / self._scale, (top + rows) / self._scale

    def line(
        self, points: Sequence[Point] | np.ndarray, colour: Colour, width: float = 1.0, within: Box | None = None
    ) -> None:
        """Draw a line through points, or what of it lies within a box."""
        thickness = max(1, round(width * self._scale))
        left, top, right, bottom = (0, 0, None, None) if within is None else self._pixel_box(within)
        moved = self._fine(points) - np.array([left, top], np.int32) * (1 << _SHIFT)
        cv2.polylines(self._array[top:bottom, left:right], [moved], False, colour, thickness, cv2.LINE_AA, _SHIFT)

    def area(self, points: Sequence[Point] | np.ndarray, colour: Colour) -> None:
        cv2.fillPoly(self._array, [self._fine(points)], colour, cv2.LINE_AA, _SHIFT)

    def dot(self, centre: Point, radius: float, colour: Colour) -> None:
        (place,) = self._fine([centre]).tolist()
        cv2.circle(self._array, place, round(radius * self._scale * (1 << _SHIFT)), colour, -1, cv2.LINE_AA, _SHIFT)

    def text(
        self, place: Point, text: str, size: float, colour: Colour, anchor: str = "ls", room: float | None = None
    ) -> None:
        """Write a line of text with its anchor (Pillow's two letters; "ls": left end of the base line) at a place.

        Text that is too small to read is left out. Text that is longer than the room shrinks, and then loses its end.
        """
        pixels = round(size * self._scale)
        if room is not None:
            enough = room * self._scale
            smallest = max(_SMALLEST, pixels // 2)
            while pixels > smallest and _font(pixels).getlength(text) > enough:
                pixels -= 1
            if _font(pixels).getlength(text) > enough:
                while text and _font(pixels).getlength(text + "...") > enough:
                    text = text[:-1]
                text += "..."
        if pixels >= _SMALLEST:
            x, y = place
            self._texts.append(((x * self._scale, y * self._scale), text, pixels, colour, anchor))

    def legible(self, size: float) -> float:
        """The size of type, raised to the smallest size that can be read on this page."""
        return max(size, _SMALLEST / self._scale)

    def text_width(self, text: str, size: float) -> float:
        return float(_font(round(size * self._scale)).getlength(text)) / self._scale

    def _fine(self, points: Sequence[Point] | np.ndarray) -> np.ndarray:
        return np.rint(np.asarray(points, np.float64) * self._scale * (1 << _SHIFT)).astype(np.int32)

    def _pixel_box(self, box: Box) -> tuple[int, int, int, int]:
        left, top, right, bottom = (round(place * self._scale) for place in box)
        return left, top, right, bottom


@lru_cache(maxsize=64)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
