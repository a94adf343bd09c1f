"""People cut out on black, with the errors that a finder of people makes in their outline."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.backgrounds import backgrounds
from fluxformer_core.augment.config import AugmentConfig

Outlines = NDArray[np.uint8]
"""(T, S, S): how much of each pixel shows the person, 0..255."""

_DARKEST = 16  # brightness from which a pixel of a cut-out picture is the person's
_PIECE = 0.06, 0.18  # of the image side: radii of a piece of the body that is lost, or of the background that is kept


def outlines(frames: NDArray[np.uint8]) -> Outlines:
    """The outlines of people in frames (T, S, S, 3) that are black elsewhere."""
    return np.asarray(np.minimum(frames.max(axis=3), _DARKEST) * np.float32(255 / _DARKEST), np.uint8)


def disturb_outline(
    frames: NDArray[np.uint8],
    flow: NDArray[np.float32],
    shown: Outlines,
    config: AugmentConfig,
    rng: np.random.Generator,
) -> None:
    """Change frames (T, S, S, 3), flow (T, S, S, 2) and outlines, in place, as a finder of people errs."""
    if rng.random() < config.late:
        shown[1:] = np.minimum(shown[1:], shown[:-1])
    if rng.random() < config.lost:
        for i, piece in _pieces(shown, rng):
            shown[i][piece > 0] = 0
            flow[i][piece > 0] = 0
    if rng.random() < config.kept:
        stock = backgrounds(frames.shape[1], config.backgrounds)
        picture = stock[rng.integers(len(stock))][: frames.shape[1], : frames.shape[1], :3]
        for i, piece in _pieces(shown, rng):
            free = (piece > 0) & (shown[i] == 0)
            frames[i][free] = picture[free]
            shown[i][free] = 255


def on_black(frames: NDArray[np.float32], shown: Outlines) -> None:
    """Make frames (T, S, S, 3) black outside the outlines, in place."""
    frames *= (shown * np.float32(1 / 255))[..., None]


def _pieces(shown: Outlines, rng: np.random.Generator) -> list[tuple[int, NDArray[np.uint8]]]:
    """One ellipse at the rim of the person, in a run of frames: numbers of frames, and masks (S, S)."""
    count, side = shown.shape[:2]
    first = int(rng.integers(count))
    rim = cv2.morphologyEx(shown[first], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero(rim)
    if len(rows) == 0:
        return []
    at = int(rng.integers(len(rows)))
    radii = rng.uniform(*_PIECE, 2) * side
    piece = np.zeros((side, side), np.uint8)
    centre, axes = (float(columns[at]), float(rows[at])), (float(2 * radii[0]), float(2 * radii[1]))
    cv2.ellipse(piece, (centre, axes, float(rng.uniform(0, 180))), 255, -1)
    return [(i, piece) for i in range(first, min(count, first + int(rng.integers(1, count + 1))))]
