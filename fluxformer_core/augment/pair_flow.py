"""Flow between two frames of a training clip that did not follow each other in the recording."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.classical import FlowEstimator
from fluxformer_core.flow.registry import create_flow


class PairFlow:
    """Estimates such flow with the estimator of the rest of the clip's flow, named as `create_flow` takes a name.

    Raises:
        ConfigError: if there is no such estimator, or gmflow is named without its weights.
        BundleError: if gmflow's weights cannot be read.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        create_flow(name)  # refuses a wrong name here, before any worker process starts

    @cached_property
    def _estimator(self) -> FlowEstimator | None:
        """Created in the process that uses the estimator: OpenCV's estimators cannot be sent to another process."""
        return create_flow(self.name)

    def __call__(self, before: NDArray[np.uint8], here: NDArray[np.uint8], nanoseconds: int) -> NDArray[np.float32]:
        """Flow (S, S, 2), frame heights per second, between two RGB (S, S, 3) or grey (S, S) frames; 0 without flow."""
        estimate = self._estimator
        if estimate is None:
            return np.zeros((*here.shape[:2], 2), np.float32)
        pair = (before, here)
        if not estimate.colour and here.ndim == 3:
            pair = tuple(np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), np.uint8) for f in pair)  # type: ignore[assignment]
        return estimate(*pair) * np.float32(1e9 / (nanoseconds * len(here)))
