"""How long one clip takes from decoded frames to scores, one clip at a time as in a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fluxformer_core.data.clip_store import FLOW_STEP, ClipStore
from fluxformer_core.flow.registry import create_flow
from fluxformer_core.stream.clip import build_clip
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import ClipSpec

STAGES = {
    "flow": "optical flow of one new frame",
    "select": "choice among all frames of the recording",
    "forward": "tensors and the model, batch of one",
}
"""The stages, with the recogniser's names for them, and what each stage does here."""

WARM_UP = 3
"""Clips before the measurement; they set up memory and kernels."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds of each stage, clip by clip."""

    milliseconds: dict[str, NDArray[np.float64]]  # by stage, (clips,)

    def percentile(self, stage: str, q: float) -> float:
        return float(np.percentile(self.milliseconds[stage], q))


def measure_latency(
    model: nn.Module, store: ClipStore, spec: ClipSpec, *, flow: str = "", most: int = 200, patience: float = 20.0
) -> Latency:
    """Classify clips one by one and measure each stage; a model without flow has no flow stage.

    At most `most` clips are measured, spread evenly over the store; no further clip starts after `patience` seconds.
    `flow` is the name of an estimator, see `create_flow`; empty: the spec's.
    """
    estimate, choose = create_flow(flow or spec.flow), SELECTORS[spec.selection]
    taken: dict[str, list[float]] = {stage: [] for stage in STAGES if stage != "flow" or estimate is not None}
    evenly = np.linspace(0, len(store) - 1, min(most, len(store))).round().astype(int).tolist()
    began = time.monotonic()
    for done, i in enumerate([*evenly[:WARM_UP], *evenly]):
        if done > WARM_UP and time.monotonic() - began > patience:
            break
        sample = store[i]
        if estimate is not None:
            before, after = sample.frames[[0, -1]]
            if not estimate.colour:
                before, after = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
            with _clock(taken["flow"]):
                estimate(before, after)
        with _clock(taken["select"]):
            chosen = choose(sample, spec.frames).indices
        frames, field = np.asarray(sample.frames[chosen]), sample.flow[chosen] * np.float32(FLOW_STEP)
        with _clock(taken["forward"]), torch.inference_mode():
            model(*build_clip(frames, None if estimate is None else field, spec))
    return Latency({stage: np.array(values[min(WARM_UP, len(evenly)) :]) for stage, values in taken.items()})


@contextmanager
def _clock(taken: list[float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    taken.append((time.perf_counter() - start) * 1e3)
