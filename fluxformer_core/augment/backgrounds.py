"""Backgrounds for people who are cut out: a stock of painted ones and, if given, of the user's pictures and videos."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.errors import ConfigError, FluxformerError
from fluxformer_core.io.sources import open_source
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.types import ClipSpec

log = logging.getLogger(__name__)

Canvas = NDArray[np.float32]
"""(side, side, 3) RGB, about 0..1."""
Stock = NDArray[np.uint8]
"""(n, side, side, 4): RGB, and how well motion can be seen, 0 (plain) to 255 (structured)."""

ROOM = 1.5
"""Side of a background, in sides of a clip, so that a moving camera stays inside."""
PAINTED = 192
"""Painted backgrounds in the stock."""
PICTURES = 400
"""Files of one of the user's folders that are read, at most."""
_SUFFIXES = {".avi", ".bmp", ".jpeg", ".jpg", ".m4v", ".mkv", ".mov", ".mp4", ".png", ".webm", ".webp"}
_LOOKS, _LOOK_EVERY = 9, 12  # frames of a video, whose median shows no moving people
_STRUCTURE = 0.0015  # brightness difference of neighbouring pixels at which DIS finds half of the motion


@lru_cache(maxsize=4)
def backgrounds(size: int, folders: tuple[str, ...] = ()) -> Stock:
    """The stock for clips of this size in px, the same in every process: (n, side, side, 4) with side = ROOM * size.

    Pictures and videos in the folders, and below, join the painted backgrounds; of a video the median of its first
    seconds, which shows no moving people.

    Raises:
        ConfigError: if a folder does not exist, or no file in the folder can be read.
    """
    rng = np.random.default_rng(0xBAC)
    side = round(ROOM * size)
    stock = [_painted(side, rng) for _ in range(PAINTED)]
    for folder in folders:
        found = [_finished(picture) for picture in _pictures(Path(folder), side)]
        if not found:
            raise ConfigError(f"no picture or video in {folder} can be read: backgrounds need some")
        log.info("%d backgrounds from %s", len(found), folder)
        # However few the user's pictures are, they are drawn as often as the painted backgrounds.
        stock += [found[i % len(found)] for i in range(max(len(found), PAINTED // len(folders)))]
    pictures = np.stack(stock)
    pictures.flags.writeable = False
    return pictures


def structure(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Per pixel, 0..1, how surely a flow estimator sees the motion of a picture (H, W): not at all on a plain wall."""
    steep = np.abs(cv2.Scharr(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Scharr(grey, cv2.CV_32F, 0, 1))
    # Estimators work on patches, in which pixels near an edge move with the edge.
    near = cv2.blur(steep, (9, 9)) / np.float32(32.0)
    return np.asarray(near / (near + np.float32(_STRUCTURE)), dtype=np.float32)


def _pictures(folder: Path, side: int) -> Iterator[Canvas]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: backgrounds are taken from folders")
    spec = ClipSpec(size=side)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    for path in files[:: max(1, len(files) // PICTURES)]:
        try:
            with open_source(str(path)) as source:
                frames = islice(source, 0, _LOOKS * _LOOK_EVERY, _LOOK_EVERY)
                looks = [prepare(frame.image, frame.pixels, spec) for frame in frames]
        except FluxformerError as error:
            log.warning("skipped: %s", error)
            continue
        if looks:
            yield (np.median(looks, axis=0) / 255.0).astype(np.float32)


def _painted(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    canvas = _PAINTERS[rng.integers(len(_PAINTERS))](side, rng)
    canvas *= _field(side, 2, rng, 0.15)[..., None] + np.float32(1.0)  # uneven light
    if rng.random() < 0.7:
        canvas += _grain(side, rng)[..., None] * np.float32(rng.uniform(0.0, 0.05))
    grey = canvas.mean(axis=2, keepdims=True)
    canvas = grey + (canvas - grey) * np.float32(rng.uniform(0.1, 1.0))  # most real places are less colourful
    canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.3))
    return _finished(np.asarray(canvas, dtype=np.float32))


def _finished(canvas: Canvas) -> NDArray[np.uint8]:
    canvas = np.clip(canvas, 0, 1)
    seen = structure(np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), dtype=np.float32))
    return np.asarray(np.dstack([canvas, seen]) * np.float32(255), dtype=np.uint8)


def _tone(rng: np.random.Generator, low: float, high: float, tint: float) -> tuple[float, float, float]:
    level = rng.uniform(low, high)
    red, green, blue = np.clip(level + rng.uniform(-tint, tint, 3), 0, 1).tolist()
    return red, green, blue


def _field(side: int, cells: int, rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
    coarse = rng.normal(0.0, strength, (cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))


def _grain(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise like natural surfaces: the coarser the grain, the stronger."""
    return np.asarray(sum(_field(side, cells, rng, 2.0 / cells**0.4) for cells in (4, 8, 16, 32, 64)), dtype=np.float32)


def _plain(side: int, rng: np.random.Generator, low: float = 0.1, high: float = 0.95) -> Canvas:
    return np.full((side, side, 3), _tone(rng, low, high, 0.12), np.float32)


def _gradient(side: int, rng: np.random.Generator) -> Canvas:
    corners = np.array([[_tone(rng, 0.1, 0.95, 0.15) for _ in range(2)] for _ in range(2)], np.float32)
    return np.asarray(cv2.resize(corners, (side, side), interpolation=cv2.INTER_LINEAR))


def _blotches(side: int, rng: np.random.Generator) -> Canvas:
    canvas = _plain(side, rng, 0.25, 0.75)
    tint = np.array(_tone(rng, 0.6, 1.0, 0.3), np.float32)
    return np.asarray(canvas + _grain(side, rng)[..., None] * tint * np.float32(rng.uniform(0.05, 0.2)))


def _room(side: int, rng: np.random.Generator) -> Canvas:
    """A wall, a floor, and furniture before the wall."""
    canvas = _plain(side, rng, 0.3, 0.95)
    edge = round(side * rng.uniform(0.55, 0.95))
    floor = np.array(_tone(rng, 0.15, 0.8, 0.12), np.float32)
    canvas[edge:] = floor * np.linspace(0.85, 1.1, side - edge, dtype=np.float32)[:, None, None]
    if rng.random() < 0.5:
        cv2.line(canvas, (0, edge), (side, edge), _tone(rng, 0.1, 0.9, 0.05), 2)
    for _ in range(int(rng.integers(0, 7))):
        wide, tall = (side * rng.uniform(0.06, 0.4, 2)).tolist()
        left = rng.uniform(-0.1, 1.0) * side
        foot = edge + rng.uniform(0, 0.06) * side if rng.random() < 0.6 else rng.uniform(0.15, 0.5) * side
        colour = _tone(rng, 0.1, 0.9, 0.2)
        box = (round(left), round(foot - tall)), (round(left + wide), round(foot))
        cv2.rectangle(canvas, *box, colour, -1)
        if rng.random() < 0.5:
            cv2.rectangle(canvas, *box, _tone(rng, 0.05, 0.9, 0.1), int(rng.integers(1, 4)))
        if rng.random() < 0.4:  # shelves
            (x, top), (end, bottom) = box
            rows = int(rng.integers(2, 5))
            for row in range(1, rows):
                height = round(top + (bottom - top) * row / rows)
                cv2.line(canvas, (x, height), (end, height), _tone(rng, 0.1, 0.9, 0.1), 1)
    return canvas


def _clutter(side: int, rng: np.random.Generator) -> Canvas:
    canvas = _gradient(side, rng)
    for _ in range(int(rng.integers(6, 30))):
        centre = (rng.uniform(0, side), rng.uniform(0, side))
        extent = (rng.uniform(0.03, 0.35) * side, rng.uniform(0.03, 0.35) * side)
        box = (centre, extent, rng.choice((0.0, 0.0, 90.0, rng.uniform(0, 90))))
        colour = _tone(rng, 0.05, 0.95, 0.25)
        if rng.random() < 0.3:
            cv2.ellipse(canvas, box, colour, -1)
        else:
            cv2.fillConvexPoly(canvas, np.round(cv2.boxPoints(box)).astype(np.int32), colour)
    return canvas


def _bricks(side: int, rng: np.random.Generator) -> Canvas:
    """Courses of bricks, or tiles."""
    canvas = _plain(side, rng, 0.25, 0.8)
    joint = _tone(rng, 0.1, 0.9, 0.05)
    tall = rng.uniform(0.04, 0.16) * side
    wide = tall * rng.choice((1.0, 2.2, 3.0))
    for course, top in enumerate(np.arange(0, side, tall)):
        cv2.line(canvas, (0, round(top)), (side, round(top)), joint, 1)
        for left in np.arange((course % 2) * 0.5 * wide, side, wide):
            x, y, end = round(left), round(top), round(top + tall)
            brick = (canvas[y, 0] * rng.uniform(0.85, 1.15)).tolist()
            cv2.rectangle(canvas, (x, y + 1), (round(left + wide), end - 1), brick, -1)
            cv2.line(canvas, (x, y), (x, end), joint, 1)
    return canvas


def _outdoors(side: int, rng: np.random.Generator) -> Canvas:
    """The sky, perhaps houses and bushes, and the ground."""
    canvas = np.empty((side, side, 3), np.float32)
    horizon = round(side * rng.uniform(0.15, 0.75))
    sky = np.array(_tone(rng, 0.55, 0.98, 0.08), np.float32) + np.array([-0.06, 0.0, 0.08], np.float32)
    canvas[:horizon] = sky * np.linspace(0.9, 1.05, horizon, dtype=np.float32)[:, None, None]
    green = np.array([0.75, 1.0, 0.5]) if rng.random() < 0.5 else np.array([1.0, 0.97, 0.9])
    ground = (green * rng.uniform(0.25, 0.75)).astype(np.float32)
    blades = cv2.resize(rng.normal(0, 1, (side, side // 2)).astype(np.float32), (side, side)) * rng.uniform(0.0, 0.12)
    canvas[horizon:] = ground * (1 + blades[horizon:, :, None].astype(np.float32))
    for _ in range(int(rng.integers(0, 5))):  # houses
        left, wide, tall = (side * rng.uniform((-0.2, 0.15, 0.1), (1.0, 0.6, 0.6))).tolist()
        top = max(0, round(horizon - tall))
        cv2.rectangle(canvas, (round(left), top), (round(left + wide), horizon), _tone(rng, 0.2, 0.9, 0.1), -1)
        pane = _tone(rng, 0.1, 0.6, 0.1)
        for x in np.arange(left + 0.04 * side, left + wide - 0.06 * side, 0.12 * side):
            for y in np.arange(top + 0.05 * side, horizon - 0.08 * side, 0.13 * side):
                cv2.rectangle(canvas, (round(x), round(y)), (round(x + 0.05 * side), round(y + 0.07 * side)), pane, -1)
    for _ in range(int(rng.integers(0, 14))):  # leaves
        centre = (rng.uniform(0, side), horizon - rng.uniform(-0.05, 0.35) * side)
        extent = (rng.uniform(0.05, 0.3) * side, rng.uniform(0.05, 0.25) * side)
        leaf = (np.array([0.5, 0.8, 0.35]) * rng.uniform(0.2, 0.8)).tolist()
        cv2.ellipse(canvas, (centre, extent, 0.0), (leaf[0], leaf[1], leaf[2]), -1)
    if rng.random() < 0.3:
        path = horizon + round(rng.uniform(0.05, 0.3) * side)
        canvas[path : path + round(rng.uniform(0.05, 0.3) * side)] = _tone(rng, 0.3, 0.8, 0.04)
    return canvas


def _curtain(side: int, rng: np.random.Generator) -> Canvas:
    """Vertical or horizontal stripes: curtains, fences, blinds."""
    x = np.linspace(0, 1, side, dtype=np.float32)
    waves = sum(np.sin(2 * np.pi * (rng.uniform(2, 14) * x + rng.random())) for _ in range(3))
    folds = np.asarray(waves, dtype=np.float32)[None, :, None] * np.float32(rng.uniform(0.02, 0.1))
    if rng.random() < 0.3:
        folds = folds.transpose(1, 0, 2)
    return np.asarray(_plain(side, rng, 0.15, 0.85) + folds)


_PAINTERS: tuple[Callable[[int, np.random.Generator], Canvas], ...] = (
    _plain, _gradient, _blotches, _room, _room, _room, _clutter, _bricks, _outdoors, _outdoors, _outdoors, _curtain,
)  # fmt: skip
