"""How long each stage before the model takes: from a camera's image to the tensors of a clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from fluxformer_core.actor import rehearse
from fluxformer_core.evaluation.speed.machine import Timing, seconds_of
from fluxformer_core.flow.registry import create_flow
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import ClipBuffers, build_clip
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import ClipSpec, Pixels

CAMERAS = ((640, 480), (1280, 720))
"""Widths and heights of the images whose conversion is measured."""

_KINDS = (Pixels.RGB, Pixels.BGR, Pixels.GREY, Pixels.DEPTH)


@dataclass(frozen=True)
class StageTime:
    """One stage of the live path."""

    stage: str  # conversion, flow, buffer, selection, clip
    what: str  # kind of image, name of the estimator and so on
    seconds: Timing


def time_stages(spec: ClipSpec, *, rounds: int) -> Iterator[StageTime]:
    """Measure each stage for the clips of a model, `rounds` times."""
    rng = np.random.default_rng(0)
    for width, height in CAMERAS:
        for kind in _KINDS:
            shape = (height, width) if kind in (Pixels.GREY, Pixels.DEPTH) else (height, width, 3)
            top, dtype = (4000, np.uint16) if kind is Pixels.DEPTH else (256, np.uint8)
            image = rng.integers(0, top, shape).astype(dtype)
            what = f"{kind.value} {width}x{height}"
            yield StageTime("conversion", what, Timing.measure(partial(prepare, image, kind, spec), rounds))
    film = rehearse("wave", seed=0, rate=spec.rate, size=(spec.size, spec.size), mode="colour")
    frames = [np.asarray(film.frame(i)) for i in range(min(len(film), spec.window))]
    grey = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames]
    middle = len(grey) // 2
    for name in ("dis", "farneback"):
        estimate = create_flow(name)
        assert estimate is not None
        yield StageTime("flow", name, Timing.measure(partial(estimate, grey[middle], grey[middle + 1]), rounds))
    yield StageTime("buffer", "flow dis, motion and descriptors of one frame", _pushes(spec, frames, rounds))
    window = _window(spec, frames)
    for selection, choose in SELECTORS.items():
        cost = Timing.measure(partial(choose, window, spec.frames), rounds)
        yield StageTime("selection", f"{selection}, {spec.frames} of {len(window)}", cost)
    chosen, buffers = SELECTORS[spec.selection](window, spec.frames).indices, ClipBuffers(spec.frames, spec.size)
    build = partial(build_clip, window.frames[chosen], window.flow[chosen], spec, buffers)
    yield StageTime("clip", "selected frames and flow to tensors", Timing.measure(build, rounds))


def _window(spec: ClipSpec, frames: list[np.ndarray]) -> Window:
    """A full window; the frames repeat if they are too few."""
    buffer = RollingBuffer(spec, create_flow("dis"))
    for i in range(spec.window):
        buffer.push(frames[i % len(frames)], (i + 1) * spec.period)
    return buffer.window()


def _pushes(spec: ClipSpec, frames: list[np.ndarray], rounds: int) -> Timing:
    buffer = RollingBuffer(spec, create_flow("dis"))
    pushes = [partial(buffer.push, frames[i % len(frames)], (i + 1) * spec.period) for i in range(rounds + 1)]
    return Timing.of([seconds_of(push) for push in pushes][1:])  # the first push has no flow
