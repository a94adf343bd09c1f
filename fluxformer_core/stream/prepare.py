"""Camera images to the model's input: a small square, RGB."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.images import brightened, check_image, to_rgb
from fluxformer_core.types import ClipSpec, Pixels

NEAR_GREY, FAR_GREY = 255.0, 64.0
"""Grey levels of the nearest and the farthest depth; 0 stands for "no reading"."""

def prepare(image: NDArray[np.generic], pixels: Pixels, spec: ClipSpec) -> NDArray[np.uint8]:
    """Take the centre square, or squeeze the whole image into one, `spec.size` wide, RGB, (S, S, 3) uint8.

    The order matters for speed: the image is shrunk in its own format, and only the few pixels left are converted.

    Raises:
        ImageError: if shape or type do not fit `pixels`.
    """
    check_image(image, pixels)
    height, width = image.shape[:2]
    if spec.framing == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
    seen: NDArray[Any] = image
    depth = pixels is Pixels.DEPTH
    if depth:
        # Averaging readings would invent depths between a person and the wall. Readings are therefore thinned out and
        # shown as brightness before anything is averaged, as in the recordings that models are trained on.
        down, across = (max(1, length // (4 * spec.size)) for length in seen.shape[:2])
        seen, pixels = depth_to_grey(seen[::down, ::across], spec.depth_range), Pixels.GREY
    shrinks = min(seen.shape[:2]) > spec.size
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = to_rgb(cv2.resize(seen, (spec.size, spec.size), interpolation=way), pixels)
    return brightened(small) if spec.brighten and not depth else small


def depth_to_grey(depth: NDArray[np.generic], depth_range: tuple[float, float]) -> NDArray[np.uint8]:
    """Show depth as brightness: near is bright; readings beyond the range and missing readings are black.

    Args:
        depth: uint16 millimetres or float32 metres, 0, NaN and inf without a reading.
        depth_range: nearest and farthest depth shown, metres; nearer readings are as bright as the nearest depth.
    """
    metres = depth.astype(np.float32) * (0.001 if depth.dtype.type is np.uint16 else 1.0)
    near, far = depth_range
    with np.errstate(invalid="ignore"):
        seen = (metres > 0) & (metres <= far)
    share = np.clip((far - np.where(seen, metres, far)) / (far - near), 0.0, 1.0)
    return np.where(seen, FAR_GREY + (NEAR_GREY - FAR_GREY) * share, 0.0).astype(np.uint8)
