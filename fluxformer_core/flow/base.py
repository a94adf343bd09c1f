"""Optical flow behind one small protocol: two images in, a displacement field out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

GreyImage = NDArray[np.uint8]
"""(H, W) uint8."""
ColourImage = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""
FlowField = NDArray[np.float32]
"""(H, W, 2) float32: displacement (u, v) in pixels, u to the right, v down."""


class FlowEstimator(Protocol):
    """Anything that estimates motion between two images of one size."""

    name: str
    colour: bool  # takes ColourImage, not GreyImage

    def __call__(self, previous: GreyImage | ColourImage, current: GreyImage | ColourImage) -> FlowField:
        """Displacement of each pixel of `previous` towards `current`."""
        ...
