"""Tell a person from the background: MediaPipe's selfie segmentation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.people.litert import Net


class Segmenter:
    """Segments the people of a picture.

    Args:
        threads: CPU threads.

    Raises:
        PeopleError: see `Net`.
    """

    def __init__(self, threads: int = 1) -> None:
        self._net = Net("selfie_segmentation", threads)

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How much of each pixel of an RGB picture (h, w, 3) belongs to a person, (h, w), 0..1."""
        height, width = picture.shape[:2]
        size = (self._net.size, self._net.size)
        share = self._net(np.asarray(cv2.resize(picture, size) * np.float32(1 / 255), np.float32))[0]
        return np.asarray(cv2.resize(share, (width, height)), np.float32)
