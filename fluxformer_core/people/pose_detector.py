"""Find people in an image: MediaPipe's pose detector, for several people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.people.litert import Net, sigmoid
from fluxformer_core.people.rotated_square import RotatedSquare

_CELLS = ((28, 2), (14, 2), (7, 6))  # cells in a row of each grid, and anchors in each cell
_OVERLAP = 0.3  # intersection over union from which two boxes are the same head


@dataclass(frozen=True)
class Detection:
    """A person as the detector sees them."""

    points: NDArray[np.float64]  # (4, 2) px: mid hips, rim of the body's circle, mid shoulders, rim of the trunk's
    score: float  # 0..1

    @property
    def square(self) -> RotatedSquare:
        """The square in which the joints are looked for."""
        return RotatedSquare.around(self.points[0], self.points[1])


class PoseDetector:
    """Finds people of any number whose heads are visible.

    Args:
        least_score: 0..1, of a detection.
        threads: CPU threads.

    Raises:
        PeopleError: see `Net`.
    """

    def __init__(self, least_score: float = 0.5, threads: int = 1) -> None:
        self.least_score = least_score
        self._net = Net("pose_detection", threads)

    def __call__(self, image: NDArray[np.uint8], square: RotatedSquare | None = None) -> list[Detection]:
        """Find people in a square of an RGB image (H, W, 3), or in the whole image; the surest first."""
        height, width = image.shape[:2]
        square = square or RotatedSquare(width / 2, height / 2, max(height, width))
        raw, logits = self._net(2 * square.cut(image, self._net.size, cv2.BORDER_CONSTANT) - 1)
        scores = sigmoid(logits[:, 0])
        sure = np.flatnonzero(scores >= self.least_score)
        heads = merge(scores[sure], decode(raw, self._net.size)[sure])
        return [Detection(square.places(places[2:]), score) for score, places in heads]


@lru_cache
def anchors() -> NDArray[np.float64]:
    """Middles of the 2,254 anchors, (2254, 2) as shares of the picture: row by row, the finest grid first."""
    grids = []
    for cells, each in _CELLS:
        middles = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(middles, middles, indexing="ij")
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(grids)


def decode(raw: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    """What the net says of each anchor as places.

    Args:
        raw: (n, 12) middle, width and height of the box, and four points, px relative to the anchor.
        size: px of the net's picture.

    Returns:
        (n, 6, 2) shares of the picture: the box's corners, left top first, and the four points.
    """
    numbers = raw.reshape(-1, 6, 2).astype(np.float64) / size
    middle, half = numbers[:, 0], numbers[:, 1] / 2
    corners = np.stack([middle - half, middle + half], axis=1)
    return np.asarray(np.concatenate([corners, numbers[:, 2:]], axis=1) + anchors()[:, None])


def merge(scores: NDArray[np.float32], places: NDArray[np.float64]) -> list[tuple[float, NDArray[np.float64]]]:
    """Merge detections of the same head into their mean, weighted by score.

    Args:
        scores: (n,)
        places: (n, 6, 2) of which the first two are the box's corners.

    Returns:
        The best score and the mean places (6, 2) of each head, the best score first.
    """
    merged = []
    order = np.argsort(-scores, kind="stable")
    while len(order):
        same = overlap(places[order[0], :2], places[order, :2]) > _OVERLAP
        same[0] = True  # also where the box is empty
        group = order[same]
        merged.append((float(scores[order[0]]), np.average(places[group], axis=0, weights=scores[group])))
        order = order[~same]
    return merged


def overlap(box: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union (n,) of a box (2, 2) with boxes (n, 2, 2), each as left top and right bottom."""
    low, high = np.maximum(box[0], boxes[:, 0]), np.minimum(box[1], boxes[:, 1])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(np.maximum(boxes[:, 1] - boxes[:, 0], 0), axis=1) + np.prod(np.maximum(box[1] - box[0], 0))
    return np.asarray(shared / np.maximum(areas - shared, np.finfo(np.float64).tiny))
