"""Polynomial expansion (Farnebäck 2003) from OpenCV: smoother than DIS, for comparison."""

from __future__ import annotations

import cv2
import numpy as np

from fluxformer_core.flow.base import FlowField, GreyImage


class FarnebackFlow:
    """OpenCV's Farnebäck flow, set for small images: a narrow window, since an arm is a few pixels wide."""

    name = "farneback"
    colour = False

    def __call__(self, previous: GreyImage, current: GreyImage) -> FlowField:
        # OpenCV's stubs do not know that the third argument, a field to start from, may be missing.
        flow = cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]
            previous,
            current,
            None,
            pyr_scale=0.5,
            levels=3,
            winsize=7,
            iterations=3,
            poly_n=5,
            poly_sigma=1.1,
            flags=0,
        )
        return np.asarray(flow, dtype=np.float32)
