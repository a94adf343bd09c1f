"""The interface of optical-flow estimators, the two estimators of OpenCV, and speed without optical flow.

DIS (dense inverse search, Kroeger et al. 2016) is the estimator for CPUs. The polynomial expansion of Farnebäck (2003)
gives smoother flow and takes longer.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

GreyImage = NDArray[np.uint8]
"""(H, W) uint8."""
ColourImage = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""
FlowField = NDArray[np.float32]
"""(H, W, 2) float32: displacement (u, v) in pixels, u to the right, v down."""

# Constants of `normal_speed`.
_LEVELS = 3  # full, half and quarter size: the change grows with the speed only up to the width of an edge
_WINDOW = 5  # px: side of the squares over which change and gradient are averaged
_NOISE = 4.0  # grey levels per pixel: smaller gradients cannot be distinguished from the camera's noise


class FlowEstimator(Protocol):
    """An estimator of the motion between two images of the same size."""

    name: str
    colour: bool  # whether the estimator takes a ColourImage; otherwise a GreyImage

    def __call__(self, previous: GreyImage | ColourImage, current: GreyImage | ColourImage) -> FlowField:
        """Displacement of each pixel of `previous` towards `current`."""
        ...


class DisFlow:
    """OpenCV's DIS flow, searched down to full resolution.

    The images of a clip are small, and an arm is only a few pixels wide. At full resolution, the preset `ultrafast`
    warps one frame onto the next with a smaller error than `medium`, in a third of the time.
    """

    name = "dis"
    colour = False

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._dis.setFinestScale(0)

    def __call__(self, previous: GreyImage, current: GreyImage) -> FlowField:
        # OpenCV's type stubs do not allow None for the third argument, the initial field.
        return np.asarray(self._dis.calc(previous, current, None), dtype=np.float32)  # type: ignore[call-overload]


class FarnebackFlow:
    """OpenCV's Farnebäck flow with a narrow window for small images, in which an arm is a few pixels wide."""

    name = "farneback"
    colour = False
    _SETTINGS: ClassVar = dict(pyr_scale=0.5, levels=3, winsize=7, iterations=3, poly_n=5, poly_sigma=1.1, flags=0)

    def __call__(self, previous: GreyImage, current: GreyImage) -> FlowField:
        # OpenCV's type stubs do not allow None for the third argument, the initial field.
        flow = cv2.calcOpticalFlowFarneback(previous, current, None, **self._SETTINGS)  # type: ignore[call-overload]
        return np.asarray(flow, dtype=np.float32)


def normal_speed(previous: GreyImage, current: GreyImage) -> NDArray[np.float32]:
    """Speed along the brightness gradient, (H, W) float32, in pixels: a lower bound of the true speed.

    Solves |I_t| = s |grad I| by least squares over small squares, on three scales, and takes the largest speed of each
    pixel. The noise floor in the denominator keeps uniform surfaces still.
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
        product = cv2.blur(change * np.sqrt(square), (_WINDOW, _WINDOW))
        speed = product / (cv2.blur(square, (_WINDOW, _WINDOW)) + np.float32(_NOISE**2))
        np.maximum(fastest, 2**level * cv2.resize(speed, (width, height)), out=fastest)
    return fastest
