"""Examples of an action: footage from a file or of a spell of motion, and what a model makes of it in several views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fluxformer_core.errors import SourceError
from fluxformer_core.flow.classical import DisFlow, FlowEstimator
from fluxformer_core.io.sources import open_source
from fluxformer_core.models.layers import Prediction
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import build_clip
from fluxformer_core.stream.config import MotionConfig
from fluxformer_core.stream.inference import Trials, clip_of
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.selection import SELECTORS, FrameSequence, Selector
from fluxformer_core.types import SECOND, ClipSpec

LONGEST = 512
"""Frames that are read of a file; 25 s at 20 Hz."""

_LONGEST_GAP = 3600.0  # s: a recording may pause, its example goes on


@dataclass(frozen=True)
class View:
    """One way to look at an example: from nearer or farther, at another pace, a little late or with frames missing."""

    late: float = 0.0  # share of the footage that is missed at its beginning
    missing: int = 0  # every so manyeth frame is missing; 0: none
    scale: float = 1.0  # of the picture
    shift: tuple[float, float] = (0.0, 0.0)  # of the picture, in shares of its side
    tempo: float = 1.0  # factor on the flow


VIEWS = (View(), View(missing=3), View(late=0.12, missing=4))
"""The first is the example as it was. None is mirrored: the direction may be what the action means."""


@dataclass(frozen=True, eq=False)
class Example:
    """What a model makes of one example."""

    embeddings: NDArray[np.float32]  # (views, D)
    logits: NDArray[np.float32]  # (views, labels), divided by the model's temperature


@dataclass(frozen=True, eq=False)
class _Seen:
    """Some frames of footage."""

    frames: NDArray[np.uint8]
    flow: NDArray[np.float32]
    motion: NDArray[np.float32]
    change: NDArray[np.float32]
    descriptors: NDArray[np.float32]


def read_example(
    source: str,
    spec: ClipSpec,
    flow: FlowEstimator | None,
    *,
    topic: str | None = None,
    rate: float | None = None,
) -> Window:
    """All of a video, bag or folder of images as one example.

    Args:
        source: as `open_source` takes it.
        spec: clip that the model takes.
        flow: estimator of optical flow.
        topic: likewise.
        rate: likewise.

    Raises:
        SourceError: if it cannot be read, or shows no motion.
        ConfigError: if `topic` or `rate` does not fit the source.
    """
    buffer = RollingBuffer(replace(spec, window=LONGEST), flow)
    admission = Admission(spec, _LONGEST_GAP)
    with open_source(source, topic=topic, rate=rate) as opened:
        for frame in opened:
            if admission.judge(frame.stamp) is AdmissionResult.ADMIT:
                buffer.push(prepare(frame.image, frame.pixels, spec), frame.stamp)
            if len(buffer) == LONGEST:
                break
    window = buffer.window()
    if float(window.energy.max()) < MotionConfig().start_motion:
        raise SourceError(f"{source} shows no motion that could be an example")
    return window


def recorded_trials(sources: Sequence[str]) -> Trials:
    """Trial clips for engines from recordings, as `open_source` takes them.

    The clips are read when the engine is built; reading raises `SourceError` if a recording cannot be used.
    """

    def read(spec: ClipSpec, flow: bool) -> list[tuple[Tensor, ...]]:
        estimator = DisFlow() if flow else None
        return [clip_of(read_example(source, spec, estimator), spec, flow=flow) for source in sources]

    return read


def spell_footage(window: Window, start: int, last_motion: int, *, before: float, after: float) -> Window | None:
    """A copy of one spell of motion and what surrounds it, or None if its beginning has left the window already.

    Args:
        window: of the stream.
        start: ns, first moving frame.
        last_motion: ns, last moving frame.
        before: seconds before the spell that belong to it.
        after: likewise.
    """
    if len(window) == 0 or int(window.stamps[0]) > start:
        return None
    first = int(np.searchsorted(window.stamps, start - round(before * SECOND)))
    stop = int(np.searchsorted(window.stamps, last_motion + round(after * SECOND), side="right"))
    return Window(*(getattr(window, member.name)[first:stop].copy() for member in fields(window)))


@torch.inference_mode()
def describe(recognizer: Recognizer, footage: FrameSequence, views: Sequence[View] = VIEWS) -> Example:
    """What a recogniser's model makes of an example, in several views; may be called from any thread.

    Args:
        recognizer: has the model and says how frames are selected.
        footage: the example.
        views: the ways to look at it.
    """
    model, spec, flow = recognizer.model, recognizer.spec, recognizer.flow is not None
    selector, temperature = SELECTORS[recognizer.config.selection or spec.selection], recognizer.temperature
    predictions: list[Prediction] = []
    for view in views:
        frames, motion = look(footage, view, spec.frames, selector)
        predictions.append(model(*build_clip(frames, motion if flow else None, spec)))
    return Example(
        torch.cat([p.embedding for p in predictions]).float().cpu().numpy(),
        (torch.cat([p.logits for p in predictions]) / temperature).float().cpu().numpy(),
    )


def look(
    footage: FrameSequence, view: View, count: int, selector: Selector
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Frames (T, S, S, 3) and flow (T, S, S, 2) of footage in one view."""
    n, side = footage.frames.shape[:2]
    kept = np.arange(min(round(view.late * n), max(n - count, 0)), n)
    if view.missing and len(kept) - len(kept) // view.missing >= count:
        kept = np.delete(kept, np.s_[view.missing - 1 :: view.missing])
    seen = _Seen(*(getattr(footage, member.name)[kept] for member in fields(_Seen)))
    chosen = selector(seen, count).indices
    frames, flow = seen.frames[chosen], seen.flow[chosen] * np.float32(view.tempo * view.scale)
    if view.scale == 1.0 and view.shift == (0.0, 0.0):
        return frames, flow
    middle = side / 2 - 0.5
    across, down = (middle * (1 - view.scale) + shift * side for shift in view.shift)
    matrix = np.array([[view.scale, 0, across], [0, view.scale, down]])
    border = cv2.BORDER_REPLICATE
    frames = np.stack([cv2.warpAffine(frame, matrix, (side, side), borderMode=border) for frame in frames])
    return frames, np.stack([cv2.warpAffine(field, matrix, (side, side)) for field in flow])
