"""What a player plays: the rendered actor, and the time line of all sources, on which each frame has its due time."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from fluxformer_core.actor import DEMO_SCRIPT, Stage
from fluxformer_core.io.sources import SourceFrame
from fluxformer_core.types import SECOND, Pixels

_AHEAD = 64  # frames that are read before they are due
_POLL = 0.02  # s
_PATIENCE = 10.0  # s: for the thread to finish the frame that it reads
_USUAL_PERIOD = SECOND // 30  # ns: the period of a source with a single frame
ACTOR_SIZE = (480, 640)
"""Height and width of the actor's images, px."""

Opener = Callable[[], AbstractContextManager[Iterable[SourceFrame]]]


@dataclass(frozen=True)
class TimedFrame:
    """One frame on the time line."""

    due: int  # ns since the playback began
    stamp: int  # ns: of the frame in its source; grows during holds; never 0, which means no stamp in ROS
    source: int  # number of the source
    index: int  # of the frame in its source
    image: np.ndarray  # (H, W) or (H, W, C)
    pixels: Pixels


@dataclass(frozen=True)
class Arrangement:
    """How sources follow one another; times in seconds."""

    hold_before: float = 0.0  # the first frame stands still
    hold_after: float = 0.0  # the last frame (with return_to_first: the first frame) stands still
    return_to_first: bool = False
    pause: float = 0.0  # silence between two sources
    loop: bool = False


def arrange(sources: list[Opener], arrangement: Arrangement) -> Iterator[TimedFrame]:
    """Put the frames of all sources, each of which is opened when the one before has ended, on one time line.

    Raises:
        SourceError: if a source cannot be opened or read.
    """
    offset = 0
    while True:
        for number, open_source in enumerate(sources):
            end = offset
            with open_source() as frames:
                for timed in _with_holds(frames, arrangement):
                    end = offset + timed.due
                    yield replace(timed, due=end, source=number)
            offset = end + max(round(arrangement.pause * SECOND), _USUAL_PERIOD)
        if not arrangement.loop:
            return


def _with_holds(frames: Iterable[SourceFrame], arrangement: Arrangement) -> Iterator[TimedFrame]:
    """One source from time 0 on: a hold, the frames, a hold."""
    before, after = round(arrangement.hold_before * SECOND), round(arrangement.hold_after * SECOND)
    first: SourceFrame | None = None
    last: TimedFrame | None = None
    base, period = 0, _USUAL_PERIOD
    for index, frame in enumerate(frames):
        if first is None:
            first = frame
            # The first hold of a video, whose stamps begin at 0, would have negative stamps.
            base = max(frame.stamp - before, 1)
            if before:
                yield from _still(TimedFrame(0, base, 0, 0, frame.image, frame.pixels), before, period)
        due = before + frame.stamp - first.stamp
        timed = TimedFrame(due, base + due, 0, index, frame.image, frame.pixels)
        if last is not None and timed.due > last.due:
            period = timed.due - last.due
        yield timed
        last = timed
    if first is not None and last is not None and after:
        still = replace(last, due=last.due + period, stamp=last.stamp + period)
        if arrangement.return_to_first:
            still = replace(still, index=0, image=first.image, pixels=first.pixels)
        yield from _still(still, after, period)


def _still(timed: TimedFrame, duration: int, period: int) -> Iterator[TimedFrame]:
    for passed in range(0, duration, period):
        yield replace(timed, due=timed.due + passed, stamp=timed.stamp + passed)


@contextmanager
def read_ahead(timed_frames: Iterable[TimedFrame]) -> Iterator[Iterator[TimedFrame]]:
    """Read frames ahead on a thread of their own, which ends with the context, even if frames are left.

    An exception of the thread is raised at the reader.
    """
    ready: queue.Queue[TimedFrame | Exception | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def fill() -> None:
        try:
            for timed in timed_frames:
                if stop.is_set():
                    return
                ready.put(timed)
            ready.put(None)
        except Exception as error:
            ready.put(error)

    def take() -> Iterator[TimedFrame]:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    # A daemon, because a camera that hangs must not delay the end of the process.
    thread = threading.Thread(target=fill, name="prefetch", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        # Without this wait the interpreter might end the thread inside OpenCV, which aborts the process.
        stop.set()
        deadline = time.monotonic() + _PATIENCE
        while thread.is_alive() and time.monotonic() < deadline:
            with suppress(queue.Empty):
                while True:
                    ready.get_nowait()  # the thread may wait for room
            thread.join(_POLL)


def actor_frames(
    *, depth: bool = False, seed: int = 0, seconds: float | None = None, size: tuple[int, int] = ACTOR_SIZE
) -> Iterator[SourceFrame]:
    """The frames of the demonstration script, in colour or in millimetres (uint16), drawn one by one.

    `seconds` is the length of the part of the script that is used, None for the whole; `size` is (height, width).
    """
    stage = Stage(DEMO_SCRIPT, seed=seed, mode="depth" if depth else "colour", size=size)
    count = len(stage) if seconds is None else min(len(stage), math.ceil(seconds * stage.rate))
    for index in range(count):
        yield SourceFrame(round(index * SECOND / stage.rate), stage.frame(index), Pixels.DEPTH if depth else Pixels.RGB)


@contextmanager
def open_drawn_actor(**settings: Any) -> Iterator[Iterator[SourceFrame]]:
    """The frames of `actor_frames`, drawn ahead and kept as lossless PNG, so that playing costs little processor time.

    A second call with the same settings draws nothing.
    """
    # OpenCV swaps the colours both when it writes and when it reads a PNG, so RGB comes back as RGB.
    packed = _drawn_actor(**settings)
    yield (replace(frame, image=np.asarray(cv2.imdecode(frame.image, cv2.IMREAD_UNCHANGED))) for frame in packed)


@lru_cache(maxsize=1)
def _drawn_actor(**settings: Any) -> list[SourceFrame]:
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    frames = actor_frames(**settings)
    return [replace(frame, image=np.asarray(cv2.imencode(".png", frame.image, fast)[1])) for frame in frames]
