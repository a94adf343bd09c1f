"""How fast things move where no flow is estimated: brightness change against brightness gradient, in no direction."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.base import GreyImage

_LEVELS = 3  # at half and quarter size, too: change grows with speed only up to the width of an edge
_WINDOW = 5  # px: the two are compared over squares of this side
_NOISE = 4.0  # grey levels per pixel: gradients below it are not told from the camera's noise


def normal_speed(previous: GreyImage, current: GreyImage) -> NDArray[np.float32]:
    """Speed along the brightness gradient, a lower bound of the true speed: (H, W) float32, pixels.

    The least-squares solution of |I_t| = s |grad I| over small squares, on three scales, of which the fastest counts;
    the noise floor keeps plain surfaces still.
    """
    first, second = previous.astype(np.float32), current.astype(np.float32)
    height, width = previous.shape
    fastest = np.zeros((height, width), np.float32)
    for level in range(_LEVELS):
        if level:
            first, second = (np.asarray(cv2.pyrDown(image), np.float32) for image in (first, second))
        middle = cv2.GaussianBlur((first + second) / 2, (3, 3), 0.8)
        change = np.abs(cv2.GaussianBlur(second - first, (3, 3), 0.8))
        across = cv2.Scharr(middle, cv2.CV_32F, 1, 0, scale=1 / 32)
        along = cv2.Scharr(middle, cv2.CV_32F, 0, 1, scale=1 / 32)
        square = across * across + along * along
        told = cv2.blur(change * np.sqrt(square), (_WINDOW, _WINDOW))
        speed = told / (cv2.blur(square, (_WINDOW, _WINDOW)) + np.float32(_NOISE**2))
        np.maximum(fastest, 2**level * cv2.resize(speed, (width, height)), out=fastest)
    return fastest
