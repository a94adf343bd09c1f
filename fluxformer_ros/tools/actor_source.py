"""The rendered actor as a source of images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from fluxformer_core.actor import DEMO_SCRIPT, Stage
from fluxformer_core.io.sources import SourceFrame
from fluxformer_core.types import SECOND, Pixels

SIZE = (480, 640)
"""Height and width of the images, px."""

_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def actor_frames(
    *, depth: bool = False, seed: int = 0, seconds: float | None = None, size: tuple[int, int] = SIZE
) -> Iterator[SourceFrame]:
    """The frames of the demonstration script, drawn one by one.

    Args:
        depth: millimetres (uint16) instead of colour.
        seed: of the performances.
        seconds: length of the part of the script that is used; the whole script if None.
        size: (height, width) of the images.
    """
    stage = Stage(DEMO_SCRIPT, seed=seed, mode="depth" if depth else "colour", size=size)
    count = len(stage) if seconds is None else min(len(stage), math.ceil(seconds * stage.rate))
    for index in range(count):
        yield SourceFrame(round(index * SECOND / stage.rate), stage.frame(index), Pixels.DEPTH if depth else Pixels.RGB)


@contextmanager
def open_drawn_actor(
    *, depth: bool = False, seed: int = 0, seconds: float | None = None, size: tuple[int, int] = SIZE
) -> Iterator[Iterator[SourceFrame]]:
    """The same frames, drawn ahead and kept as lossless PNG, so that playing costs little processor time.

    A second call with the same arguments draws nothing.
    """
    # OpenCV swaps the colours both when it writes and when it reads a PNG, so RGB comes back as RGB.
    packed = _drawn_actor(depth, seed, seconds, size)
    yield (replace(frame, image=np.asarray(cv2.imdecode(frame.image, cv2.IMREAD_UNCHANGED))) for frame in packed)


@lru_cache(maxsize=1)
def _drawn_actor(depth: bool, seed: int, seconds: float | None, size: tuple[int, int]) -> list[SourceFrame]:
    frames = actor_frames(depth=depth, seed=seed, seconds=seconds, size=size)
    return [replace(frame, image=np.asarray(cv2.imencode(".png", frame.image, _FAST)[1])) for frame in frames]
