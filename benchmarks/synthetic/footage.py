"""Recordings of single actions as parts of synthetic scenes: their frames, and the extent of the action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.actor import rehearse
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import SourceError
from fluxformer_core.flow.classical import normal_speed
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
    if len(begins) == 0:
        return 0, len(frames) - 1
    return int(begins[0]), int(begins[-1]) + _MOVING_RUN - 1


def nanoseconds(frames: int) -> int:
    """Duration of a number of frames."""
    return round(frames * SECOND / RATE)


def _shrunk(frame: Picture) -> Picture:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (_MEASURED, _MEASURED), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _speed(before: Picture, after: Picture) -> float:
    speed = normal_speed(before, after).ravel()
    return float(np.partition(speed, speed.size - _FASTEST)[-_FASTEST:].mean())
