"""Depth clips seen from another side: depth tells where in space each pixel is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.colourise import SOLID
from fluxformer_core.images import FAR_GREY, NEAR_GREY

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def rotated_view(depth: NDArray[np.uint8], yaw: float, pitch: float, depth_relief: float) -> NDArray[np.uint8]:
    """Rotate the people of a depth clip about their middle.

    Surfaces that were hidden and come into view get the depth of the farthest surface beside them. Depth (T, S, S) is
    bright if near, 0 without a reading; `depth_relief` is how many frame heights the whole range of brightness stands
    for. Yaw (positive: near surfaces move to the right) and pitch (positive: they move down) are in degrees.
    """
    side = depth.shape[2]
    frame, row, column = np.nonzero(depth >= SOLID)
    if len(frame) == 0:
        return depth
    grey = np.stack([_surface(picture) for picture in depth])[frame, row, column]
    unit = np.float32(side * depth_relief / (NEAR_GREY - FAR_GREY))  # px that a grey level stands for
    # One middle for all frames, so that a step forward stays a step forward.
    places = np.stack([column, row, grey * unit]).astype(np.float32)
    middle = np.median(places, axis=1, keepdims=True)
    rotated_places = _rotation(yaw, pitch) @ (places - middle) + middle
    columns, rows = np.rint(rotated_places[:2]).astype(np.intp)
    shown = np.clip(rotated_places[2] / unit, FAR_GREY, NEAR_GREY).astype(np.uint8)
    # The nearest surface is written last, and so stays in the pixel.
    order = np.argsort(shown, kind="stable")
    rotated = np.zeros_like(depth)
    inside = order[((columns >= 0) & (columns < side) & (rows >= 0) & (rows < depth.shape[1]))[order]]
    rotated[frame[inside], rows[inside], columns[inside]] = shown[inside]
    for picture in rotated:
        _mend(picture)
    return rotated


def _rotation(yaw: float, pitch: float) -> NDArray[np.float32]:
    """(3, 3), of columns to the right, rows downwards and depth towards the camera."""
    a, b = np.deg2rad(yaw), np.deg2rad(pitch)
    about_upright = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    about_level = [[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]]
    return np.asarray(np.array(about_level) @ np.array(about_upright), dtype=np.float32)


def _surface(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Depth without the pixels of the outline, which mix person and background and so show no real depth."""
    inner = cv2.erode(np.where(picture >= SOLID, np.uint8(255), np.uint8(0)), _NEIGHBOURS)
    return np.asarray(np.where(inner > 0, picture, cv2.dilate(picture, _NEIGHBOURS)), dtype=np.uint8)


def _mend(picture: NDArray[np.uint8]) -> None:
    """Close tears of the surface, in place, and soften the edges like those of a resized picture.

    Other gaps as narrow as a tear, such as between legs that stand together, are closed as well.
    """
    seen = np.minimum(picture, np.uint8(1))
    torn = cv2.subtract(cv2.morphologyEx(seen, cv2.MORPH_CLOSE, _NEIGHBOURS), seen)
    farthest = cv2.erode(np.where(seen > 0, picture, np.uint8(255)), _NEIGHBOURS)
    np.copyto(picture, farthest, where=torn > 0)
    cv2.GaussianBlur(picture, (3, 3), 0.6, dst=picture)
