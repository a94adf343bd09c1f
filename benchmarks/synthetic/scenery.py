"""Pictures of synthetic scenes: recordings of single actions with the extent of the action, and what lies between them.

Between actions a person rests, walks in and out or passes close by, or the scene is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.actor import rehearse
from fluxformer_core.augment.augment_clip import LIT
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import SourceError
from fluxformer_core.flow.classical import DisFlow, normal_speed
from fluxformer_core.io.sources import open_source
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.types import SECOND, ClipSpec, Pixels

SIDE = 128
"""px: streams are made of square pictures of this size."""

RATE = 20.0
"""Hz of the streams and of the actor's clips; recordings are not resampled."""

_MEASURED = 64  # px: size of the pictures in which motion is measured
_FASTEST = 82  # pixels whose mean speed counts as the speed of a picture
_MOVING_SHARE, _MOVING_OVER_REST = 0.2, 2.0
_QUIET_RUN, _MOVING_RUN = 8, 3  # frames

Picture = NDArray[np.uint8]
"""(SIDE, SIDE, 3) RGB."""


@dataclass(frozen=True)
class Footage:
    """One recording, decoded."""

    frames: tuple[Picture, ...]
    label: str
    first: int  # frame with which the action begins
    last: int  # its last frame


def load(clip: Recording | ActorClip) -> Footage:
    """Decode a recording, or render the actor.

    Raises:
        SourceError: if the recording cannot be read, or has fewer than four images.
    """
    spec = ClipSpec(size=SIDE)
    if isinstance(clip, Recording):
        with open_source(clip.path, topic=clip.topic or None) as source:
            frames = tuple(prepare(frame.image, frame.pixels, spec) for frame in source)
    else:
        film = rehearse(clip.label, clip.seed, rate=RATE, size=(SIDE, SIDE))
        frames = tuple(prepare(image, Pixels.DEPTH, spec) for _, image in film)
    if len(frames) < 4:
        raise SourceError(f"{clip} has only {len(frames)} images, too few to show an action")
    return Footage(frames, clip.label, *extent(frames))


def extent(frames: Sequence[Picture]) -> tuple[int, int]:
    """First and last frame of the action in a recording without such a truth.

    A frame belongs to the action if the fastest pixels between its neighbours are faster than a fifth of the
    recording's fastest motion (its 95th percentile) and than twice the speed of its stillest part, in a run of three
    frames. The measure uses frames after the frame and the whole recording, which a recogniser of streams cannot.
    """
    grey = [_shrunk(frame) for frame in frames]
    between = [_speed(before, after) for before, after in zip(grey, grey[2:], strict=False)]
    speed = np.array([between[0], *between, between[-1]])
    runs = np.lib.stride_tricks.sliding_window_view(speed, min(_QUIET_RUN, len(speed)))
    rest = float(np.median(runs, axis=1).min())
    moving = speed > max(_MOVING_SHARE * float(np.percentile(speed, 95)), _MOVING_OVER_REST * rest)
    sustained = np.convolve(moving, np.ones(_MOVING_RUN), mode="valid") == _MOVING_RUN
    begins = np.flatnonzero(sustained)
    return (int(begins[0]), int(begins[-1]) + _MOVING_RUN - 1) if len(begins) else (0, len(frames) - 1)


def nanoseconds(frames: int) -> int:
    """Duration of a number of frames."""
    return round(frames * SECOND / RATE)


def _shrunk(frame: Picture) -> Picture:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (_MEASURED, _MEASURED), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _speed(before: Picture, after: Picture) -> float:
    speed = normal_speed(before, after).ravel()
    return float(np.partition(speed, speed.size - _FASTEST)[-_FASTEST:].mean())


EDGE_JITTER = 0.5
"""px: standard deviation of the noise of a depth camera's outlines."""

GRAIN = 1.5
"""Grey levels: standard deviation of the noise of surfaces."""

SETTLING = 6
"""Frames between walking and standing still."""

_SCALES = 0.75, 1.33  # limits of the scaling that gives all recordings of a person the same height
_CELLS = 24  # cells across the picture in which outlines move together


def noisy(picture: Picture, rng: np.random.Generator, strength: float = 1.0) -> Picture:
    """The picture with new sensor noise: outlines move, surfaces get grain, the empty background stays empty."""
    shift = rng.normal(0, strength * EDGE_JITTER, (_CELLS, _CELLS, 2)).astype(np.float32)
    offset = cv2.resize(shift, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    row, column = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    trembling = cv2.remap(picture, column + offset[..., 0], row + offset[..., 1], cv2.INTER_LINEAR)
    grain = rng.normal(0, strength * GRAIN, (SIDE, SIDE, 1)) * (trembling.max(axis=2, keepdims=True) > LIT)
    return np.asarray(np.clip(trembling + grain, 0, 255), dtype=np.uint8)


def placement(opening: Picture, now: Picture) -> NDArray[np.float64]:
    """The affine view (2, 3) that gives the person in `opening` the place and height of the person in `now`."""
    (x, y, tall), (to_x, to_y, as_tall) = _stance(opening), _stance(now)
    scale = float(np.clip(as_tall / tall, *_SCALES))
    return np.array([[scale, 0, to_x - scale * x], [0, scale, to_y - scale * y]])


def placed(picture: Picture, view: NDArray[np.float64]) -> Picture:
    """The picture in another view."""
    return np.asarray(cv2.warpAffine(picture, view, (SIDE, SIDE), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def _stance(picture: Picture) -> tuple[float, float, float]:
    """Middle of the person's outline (x, y), and height of the outline, in px."""
    rows, columns = np.nonzero(picture.max(axis=2) > LIT)
    if len(rows) < SIDE:
        return SIDE / 2, SIDE / 2, SIDE / 2
    top, bottom = np.percentile(rows, (1, 99))
    return float(np.median(columns)), float(top + bottom) / 2, float(bottom - top)


def still(picture: Picture, count: int, rng: np.random.Generator) -> Iterator[Picture]:
    """The same picture with new noise for `count` frames."""
    return (noisy(picture, rng) for _ in range(count))


def change_over(before: Picture, after: Picture, count: int, rng: np.random.Generator) -> Iterator[Picture]:
    """`count` frames between two similar poses, as when a person shifts their weight."""
    estimate = DisFlow()
    one, two = (np.asarray(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), dtype=np.uint8) for p in (before, after))
    there, back = estimate(one, two), estimate(two, one)
    row, column = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    for i in range(count):
        share = np.float32((i + 1) / (count + 1))
        share = share * share * (3 - 2 * share)
        sources = ((before, there, share), (after, back, 1 - share))
        early, late = (
            cv2.remap(p, column - s * f[..., 0], row - s * f[..., 1], cv2.INTER_LINEAR) for p, f, s in sources
        )
        yield noisy(np.asarray(cv2.addWeighted(early, float(1 - share), late, float(share), 0), np.uint8), rng)


def walk_in(
    gait: Sequence[Picture], arrived: Picture, side: int, rng: np.random.Generator, *, leaving: bool = False
) -> list[Picture]:
    """A person of these gait pictures walks in from a side (-1: left, 1: right) and stands still, or walks out."""
    pace = rng.uniform(0.5, 0.8) / RATE  # picture heights a frame: 1 to 1.5 m/s
    steps = int(1.0 / pace)
    begin = int(rng.integers(max(1, len(gait) - steps)))
    order = np.resize(np.concatenate([np.arange(begin, len(gait)), np.arange(len(gait))]), steps)
    places = (side * SIDE * (1 - (i + 1) / steps) for i in range(steps))
    shown = [noisy(_moved(gait[number], where, 0.0, 1.0), rng) for number, where in zip(order, places, strict=True)]
    settled = list(change_over(gait[order[-1]], arrived, SETTLING, rng))
    return (shown + settled)[::-1] if leaving else shown + settled


def pass_by(
    gait: Sequence[Picture], behind: Picture, rng: np.random.Generator, *, least: float = 1.5, most: float = 2.6
) -> Iterator[Picture]:
    """A person walks past close to the camera; the picture behind stays the same."""
    size, side = rng.uniform(least, most), int(rng.choice((-1, 1)))
    pace = rng.uniform(0.5, 0.8) * size / RATE
    reach = 0.5 + 0.4 * size
    steps = int(2 * reach / pace)
    down = rng.uniform(0.1, 0.3) * size * SIDE
    for i in range(steps):
        where = side * SIDE * reach * (2 * (i + 0.5) / steps - 1)
        near = _moved(gait[i % len(gait)], where, down, size)
        hides = cv2.GaussianBlur((near.max(axis=2) > LIT).astype(np.float32), (3, 3), 0)[..., None]
        yield noisy(np.asarray(hides * near + (1 - hides) * behind, dtype=np.uint8), rng)


def _moved(picture: Picture, right: float, down: float, scale: float) -> Picture:
    middle = SIDE / 2
    view = np.array([[scale, 0, middle * (1 - scale) + right], [0, scale, middle * (1 - scale) + down]])
    return placed(picture, view)
