"""The rendered actor as a source of images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import cv2
import numpy as np

from fluxformer_core.actor import DEMO_SCRIPT, Stage
from fluxformer_core.io.sources import SourceFrame
from fluxformer_core.types import SECOND, Pixels

SIZE = (480, 640)
"""Height and width of the images, px."""

_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class RenderedActor:
    """The frames of the demonstration script.

    Args:
        depth: millimetres (uint16) instead of colour.
        seed: of the performances.
        seconds: length of the part of the script that is used; the whole script if None.
        size: (height, width) of the images.
    """

    def __init__(
        self, *, depth: bool = False, seed: int = 0, seconds: float | None = None, size: tuple[int, int] = SIZE
    ) -> None:
        self._stage = Stage(DEMO_SCRIPT, seed=seed, mode="depth" if depth else "colour", size=size)
        rate = self._stage.rate
        self._count = len(self._stage) if seconds is None else min(len(self._stage), math.ceil(seconds * rate))
        self._pixels = Pixels.DEPTH if depth else Pixels.RGB
        self._drawn: list[np.ndarray] = []

    def draw_ahead(self) -> None:
        """Draw every frame now and keep it as a lossless PNG, so that playing costs little processor time."""
        self._drawn = [_packed(self._stage.frame(index)) for index in range(self._count)]

    def __iter__(self) -> Iterator[SourceFrame]:
        for index in range(self._count):
            image = _unpacked(self._drawn[index]) if self._drawn else self._stage.frame(index)
            yield SourceFrame(round(index * SECOND / self._stage.rate), image, self._pixels)


@contextmanager
def open_drawn_actor(
    *, depth: bool = False, seed: int = 0, seconds: float | None = None, size: tuple[int, int] = SIZE
) -> Iterator[RenderedActor]:
    """An actor whose frames are drawn ahead; a second call with the same arguments draws nothing."""
    yield _drawn_actor(depth, seed, seconds, size)


@lru_cache(maxsize=1)
def _drawn_actor(depth: bool, seed: int, seconds: float | None, size: tuple[int, int]) -> RenderedActor:
    actor = RenderedActor(depth=depth, seed=seed, seconds=seconds, size=size)
    actor.draw_ahead()
    return actor


def _packed(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.imencode(".png", image, _FAST)[1])


def _unpacked(png: np.ndarray) -> np.ndarray:
    # OpenCV swaps the colours both when it writes and when it reads a PNG, so RGB comes back as RGB.
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED))
