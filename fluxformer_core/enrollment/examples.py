"""Examples of an action: reading them from recordings, and running a model on them, also with missing frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fluxformer_core.errors import SourceError
from fluxformer_core.flow.classical import DisFlow, FlowEstimator
from fluxformer_core.io.sources import open_source
from fluxformer_core.models.layers import Prediction
from fluxformer_core.stream.buffer import Window
from fluxformer_core.stream.clip import build_clip
from fluxformer_core.stream.config import MotionConfig
from fluxformer_core.stream.load import Trials, clip_of
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.recorded_view import RecordedView
from fluxformer_core.stream.selection import SELECTORS, FrameSequence, Selector
from fluxformer_core.types import ClipSpec

MAX_FRAMES = 512
"""Frames that are read of a recording: 25 s at 20 Hz."""

_MAX_GAP = 3600.0  # s: a pause in the recording does not end the example


@dataclass(frozen=True)
class Thinning:
    """One way to leave out frames of an example, as if the camera had lost them."""

    late: float = 0.0  # share of the frames that is cut off at the beginning
    missing: int = 0  # every n-th frame is missing; 0: no frame is missing


THINNINGS = (Thinning(), Thinning(missing=3), Thinning(late=0.12, missing=4))
"""The first one keeps every frame."""


@dataclass(frozen=True, eq=False)
class Example:
    """A model's outputs for one example."""

    embeddings: NDArray[np.float32]  # (thinnings, D)
    logits: NDArray[np.float32]  # (thinnings, labels), divided by the model's temperature


@dataclass(frozen=True, eq=False)
class _Kept:
    """The frames that a thinning keeps."""

    frames: NDArray[np.uint8]
    flow: NDArray[np.float32]
    motion: NDArray[np.float32]
    change: NDArray[np.float32]
    descriptors: NDArray[np.float32]


def read_example(
    source: str, spec: ClipSpec, flow: FlowEstimator | None, *, topic: str | None = None, rate: float | None = None
) -> Window:
    """Read a whole video, bag or folder of images as one example. `open_source` tells of `topic` and `rate`.

    Raises:
        SourceError: if the recording cannot be read, or shows no motion.
        ConfigError: if `topic` or `rate` does not fit the source.
    """
    view = RecordedView(spec, flow, MAX_FRAMES, max_gap=_MAX_GAP)
    with open_source(source, topic=topic, rate=rate) as opened:
        for frame in opened:
            view.push(frame.image, frame.stamp, frame.pixels)
            if view.full:
                break
    if (window := view.window) is None:
        raise SourceError(f"{source} shows {'nobody' if view.admitted else 'no image'}")
    if float(window.energy.max()) < MotionConfig().start_motion:
        raise SourceError(f"{source} shows no motion that could be an example")
    return window


def recorded_trials(sources: Sequence[str]) -> Trials:
    """Clips from recordings, for the parity check of a backend.

    The recordings are read when a net is built. Reading raises `SourceError` if a recording cannot be used.
    """

    def read(spec: ClipSpec, flow: bool) -> list[tuple[Tensor, ...]]:
        estimator = DisFlow() if flow else None
        return [clip_of(read_example(source, spec, estimator), spec, flow=flow) for source in sources]

    return read


@torch.inference_mode()
def describe(recognizer: Recognizer, example: FrameSequence, thinnings: Sequence[Thinning] = THINNINGS) -> Example:
    """Run a recogniser's model on an example, also with missing frames. Any thread may call this."""
    model, spec = recognizer.model, recognizer.model.spec
    selector, temperature = SELECTORS[recognizer.config.selection or spec.selection], model.bundle.metadata.temperature
    predictions: list[Prediction] = []
    for thinning in thinnings:
        frames, field = thin(example, thinning, spec.frames, selector)
        predictions.append(model.network(*build_clip(frames, field if model.flow is not None else None, spec)))
    return Example(
        torch.cat([p.embedding for p in predictions]).float().cpu().numpy(),
        (torch.cat([p.logits for p in predictions]) / temperature).float().cpu().numpy(),
    )


def thin(
    example: FrameSequence, thinning: Thinning, count: int, selector: Selector
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Select frames (T, S, S, 3) and flow (T, S, S, 2) of a thinned example."""
    n = len(example.frames)
    kept = np.arange(min(round(thinning.late * n), max(n - count, 0)), n)
    if thinning.missing and len(kept) - len(kept) // thinning.missing >= count:
        kept = np.delete(kept, np.s_[thinning.missing - 1 :: thinning.missing])
    rest = _Kept(*(getattr(example, member.name)[kept] for member in fields(_Kept)))
    chosen = selector(rest, count).indices
    return rest.frames[chosen], rest.flow[chosen]
