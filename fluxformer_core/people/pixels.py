"""The picture of one person: the square of the image, black where the person is not."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.people.person import Mask
from fluxformer_core.people.square import Rectangle

_FINENESS = 2
"""The mask is averaged from this many times the picture's resolution."""


def cut_square(
    image: NDArray[Any], square: Rectangle, camera: NDArray[np.float64] | None = None
) -> NDArray[Any]:
    """The square of an image, (side, side[, channels]); zero beyond the image.

    Args:
        image: (H, W[, channels]).
        square: the rectangle to cut out; it may reach beyond the image.
        camera: (3, 3) homography from px of `image` to px of the image that `square` belongs to; None: the same px.
    """
    left, top, side = square
    if camera is not None:
        there = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]]) @ camera
        way = cv2.INTER_NEAREST if image.dtype != np.uint8 else cv2.INTER_LINEAR  # no depths between two surfaces
        return np.asarray(cv2.warpPerspective(np.asarray(image), there, (side, side), flags=way))
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    if (x1 - x0, y1 - y0) == (side, side):
        return image[y0:y1, x0:x1]
    seen = np.zeros((side, side, *image.shape[2:]), image.dtype)
    if x0 < x1 and y0 < y1:
        seen[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return seen


def cut_mask(mask: Mask, square: Rectangle, size: int, camera: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
    """The mask in a square, (size, size) uint8 with a soft edge; arguments as for `cut_square`."""
    left, top, right, bottom = mask.box
    rows, columns = mask.share.shape
    fine = _FINENESS * size
    to_image = _scaling((right - left) / columns, (bottom - top) / rows, left, top)
    zoom = fine / square[2]
    to_square = _scaling(zoom, zoom, -square[0] * zoom, -square[1] * zoom)
    moved = np.eye(3) if camera is None else camera
    # OpenCV counts from the middle of the first pixel, boxes from its corner.
    middle = _scaling(1, 1, 0.5, 0.5)
    there = np.linalg.inv(middle) @ to_square @ moved @ to_image @ middle
    warped = cv2.warpPerspective(mask.share, there, (fine, fine), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def on_black(picture: NDArray[np.uint8], share: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An RGB picture (S, S, 3) in proportion to a mask (S, S)."""
    return np.asarray(cv2.multiply(picture, cv2.merge([share] * 3), scale=1 / 255), np.uint8)


def _scaling(across: float, down: float, right: float, below: float) -> NDArray[np.float64]:
    return np.array([[across, 0, right], [0, down, below], [0, 0, 1]], dtype=np.float64)
