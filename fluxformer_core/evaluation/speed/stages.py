"""How long the other stages of a stream take: from a camera's image to a clip's tensors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from fluxformer_core.actor import rehearse
from fluxformer_core.evaluation.speed.limits import Spread
from fluxformer_core.flow.registry import create_flow
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import ClipBuffers, build_clip
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import ClipSpec, Pixels

CAMERAS = ((640, 480), (1280, 720))
"""Widths and heights of images whose conversion is measured."""

_KINDS = (Pixels.RGB, Pixels.BGR, Pixels.GREY, Pixels.DEPTH)


@dataclass(frozen=True)
class Stage:
    """One stage."""

    stage: str  # conversion, flow, buffer, selection, clip
    what: str  # of several kinds, which
    seconds: Spread


def time_stages(spec: ClipSpec, *, rounds: int) -> Iterator[Stage]:
    """Each stage for a model's clip.

    Args:
        spec: of the model.
        rounds: of each.
    """
    rng = np.random.default_rng(0)
    for width, height in CAMERAS:
        for kind in _KINDS:
            shape = (height, width) if kind in (Pixels.GREY, Pixels.DEPTH) else (height, width, 3)
            top, dtype = (4000, np.uint16) if kind is Pixels.DEPTH else (256, np.uint8)
            image = rng.integers(0, top, shape).astype(dtype)
            what = f"{kind.value} {width}x{height}"
            yield Stage("conversion", what, _clock(partial(prepare, image, kind, spec), rounds))
    frames = _frames(spec)
    grey = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames]
    middle = len(grey) // 2
    for name in ("dis", "farneback"):
        estimate = create_flow(name)
        assert estimate is not None
        yield Stage("flow", name, _clock(partial(estimate, grey[middle], grey[middle + 1]), rounds))
    yield Stage("buffer", "flow dis, motion and descriptors of one frame", _pushes(spec, frames, rounds))
    window = _window(spec, frames)
    for selection, choose in SELECTORS.items():
        cost = _clock(partial(choose, window, spec.frames), rounds)
        yield Stage("selection", f"{selection}, {spec.frames} of {len(window)}", cost)
    chosen, buffers = SELECTORS[spec.selection](window, spec.frames).indices, ClipBuffers(spec.frames, spec.size)
    yield Stage(
        "clip",
        "selected frames and flow to tensors",
        _clock(lambda: build_clip(window.frames[chosen], window.flow[chosen], spec, buffers), rounds),
    )


def _frames(spec: ClipSpec) -> list[np.ndarray]:
    film = rehearse("wave", seed=0, rate=spec.rate, size=(spec.size, spec.size), mode="colour")
    return [np.asarray(film.frame(i)) for i in range(min(len(film), spec.window))]


def _window(spec: ClipSpec, frames: list[np.ndarray]) -> Window:
    """A full window, whatever the length of the film."""
    buffer = RollingBuffer(spec, create_flow("dis"))
    for i in range(spec.window):
        buffer.push(frames[i % len(frames)], (i + 1) * spec.period)
    return buffer.window()


def _pushes(spec: ClipSpec, frames: list[np.ndarray], rounds: int) -> Spread:
    buffer = RollingBuffer(spec, create_flow("dis"))
    taken = []
    for i in range(rounds + 1):
        begin = time.perf_counter()
        buffer.push(frames[i % len(frames)], (i + 1) * spec.period)
        taken.append(time.perf_counter() - begin)
    return Spread.of(taken[1:])  # the first has no flow


def _clock(work: Callable[[], object], rounds: int) -> Spread:
    work()
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return Spread.of(taken)
