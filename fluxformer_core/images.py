"""Checks of camera images, and their conversion: to RGB, from depth to brightness, and to more light."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.errors import ImageError
from fluxformer_core.types import Pixels

_TO_RGB = {
    Pixels.BGR: cv2.COLOR_BGR2RGB,
    Pixels.RGBA: cv2.COLOR_RGBA2RGB,
    Pixels.BGRA: cv2.COLOR_BGRA2RGB,
    Pixels.GREY: cv2.COLOR_GRAY2RGB,
}
_CHANNELS = {Pixels.RGB: 3, Pixels.BGR: 3, Pixels.RGBA: 4, Pixels.BGRA: 4, Pixels.GREY: 1, Pixels.DEPTH: 1}

NEAR_GREY, FAR_GREY = 255.0, 64.0
"""Grey levels of the nearest and the farthest depth; 0 stands for "no reading"."""

BRIGHT = 200
"""Level of an image's brightest hundredth from which the image is bright enough."""

MOST_GAIN = 10.0
"""Largest gain of brightness: a larger one would show nothing but noise."""


def check_image(image: NDArray[np.generic], pixels: Pixels) -> None:
    """Refuse an image whose shape or type contradicts `pixels`.

    Raises:
        ImageError: saying what was found and what is needed.
    """
    channels = _CHANNELS[pixels]
    found = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if found != channels or (channels == 1 and image.ndim != 2) or 0 in image.shape:
        form = "(H, W)" if channels == 1 else f"(H, W, {channels})"
        raise ImageError(f"a {pixels.value} image must have shape {form} and some pixels, not {image.shape}")
    allowed = (np.uint16, np.float32) if pixels is Pixels.DEPTH else (np.uint8,)
    if image.dtype.type not in allowed:
        names = " or ".join(np.dtype(a).name for a in allowed)
        raise ImageError(f"a {pixels.value} image must be {names}, not {image.dtype}")


def to_rgb(image: NDArray[Any], pixels: Pixels) -> NDArray[np.uint8]:
    """Any uint8 image but depth as RGB (H, W, 3); an RGB image is not copied."""
    code = _TO_RGB.get(pixels)
    return np.asarray(image if code is None else cv2.cvtColor(image, code), dtype=np.uint8)


def brightened(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A dark RGB image as a longer exposure would show it; a bright image stays as it is.

    The brightest hundredth of the pixels decides. In a darker image, more of the gain goes to the shadows.
    """
    brightest = image.max(axis=2).ravel()
    level = int(np.partition(brightest, -(len(brightest) // 100) - 1)[-(len(brightest) // 100) - 1])
    if level >= BRIGHT:
        return image
    gain = min(BRIGHT / max(level, 1), MOST_GAIN)
    table = np.minimum(np.arange(256) * (gain / 255), 1) ** (gain**-0.25) * 255
    return np.asarray(cv2.LUT(image, table.astype(np.uint8)), dtype=np.uint8)


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
