"""What a player shows and when: the frames of its sources on one time line, prepared ahead of time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace

import numpy as np

from fluxformer_core.io.sources import SourceFrame
from fluxformer_core.types import SECOND, Pixels

_AHEAD = 64  # frames that are ready before they are due
_POLL = 0.02  # s
_PATIENCE = 10.0  # s: for the item that is being prepared
_USUAL_PERIOD = SECOND // 30  # of a source with a single frame

Opener = Callable[[], AbstractContextManager[Iterable[SourceFrame]]]


@dataclass(frozen=True)
class Shot:
    """One frame on the time line."""

    due: int  # ns since the playback began
    stamp: int  # ns: of the frame in its source, counted on through holds; never 0, which means no stamp in ROS
    source: int  # which of the sources
    index: int  # of the frame in its source
    image: np.ndarray  # (H, W) or (H, W, C)
    pixels: Pixels


@dataclass(frozen=True)
class Arrangement:
    """How sources follow one another; times in seconds."""

    hold_before: float = 0.0  # the first frame stands still
    hold_after: float = 0.0  # the last frame stands still, or the first one does so again
    return_to_first: bool = False
    pause: float = 0.0  # silence between two sources
    loop: bool = False


def arrange(sources: list[Opener], arrangement: Arrangement) -> Iterator[Shot]:
    """Put the frames of all sources on one time line.

    Args:
        sources: each is opened when its turn comes.
        arrangement: holds, pauses and repetition.

    Raises:
        SourceError: if a source cannot be opened or read.
    """
    offset = 0
    while True:
        for number, open_source in enumerate(sources):
            end = offset
            with open_source() as frames:
                for shot in _with_holds(frames, arrangement):
                    end = offset + shot.due
                    yield replace(shot, due=end, source=number)
            offset = end + max(round(arrangement.pause * SECOND), _USUAL_PERIOD)
        if not arrangement.loop:
            return


def _with_holds(frames: Iterable[SourceFrame], arrangement: Arrangement) -> Iterator[Shot]:
    """One source from time 0 on: standing still, moving, standing still."""
    before, after = round(arrangement.hold_before * SECOND), round(arrangement.hold_after * SECOND)
    first: SourceFrame | None = None
    last: Shot | None = None
    base, period = 0, _USUAL_PERIOD
    for index, frame in enumerate(frames):
        if first is None:
            first = frame
            # A video begins at 0, and what stands still before it would lie before all time.
            base = max(frame.stamp - before, 1)
            if before:
                yield from _still(Shot(0, base, 0, 0, frame.image, frame.pixels), before, period)
        due = before + frame.stamp - first.stamp
        shot = Shot(due, base + due, 0, index, frame.image, frame.pixels)
        if last is not None and shot.due > last.due:
            period = shot.due - last.due
        yield shot
        last = shot
    if first is not None and last is not None and after:
        still = replace(last, due=last.due + period, stamp=last.stamp + period)
        if arrangement.return_to_first:
            still = replace(still, index=0, image=first.image, pixels=first.pixels)
        yield from _still(still, after, period)


def _still(shot: Shot, duration: int, period: int) -> Iterator[Shot]:
    for passed in range(0, duration, period):
        yield replace(shot, due=shot.due + passed, stamp=shot.stamp + passed)


class Prefetched:
    """Iterates something slow in a thread of its own, a few items ahead; what it raises is raised at the reader.

    A context manager: leaving it ends the thread at the next item, read to the end or not.
    """

    def __init__(self, shots: Iterable[Shot]) -> None:
        self._shots = shots
        self._queue: queue.Queue[Shot | BaseException | None] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        # A daemon, since a camera that hangs must not hold up the end of the process.
        self._thread = threading.Thread(target=self._fill, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # The thread is waited for: ended by the interpreter in the middle of OpenCV's code it would abort the process.
        self._stop.set()
        deadline = time.monotonic() + _PATIENCE
        while self._thread.is_alive() and time.monotonic() < deadline:
            with suppress(queue.Empty):
                while True:
                    self._queue.get_nowait()  # it may be waiting for room
            self._thread.join(_POLL)

    def __iter__(self) -> Iterator[Shot]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _fill(self) -> None:
        end: BaseException | None = None
        try:
            for shot in self._shots:
                if self._stop.is_set():
                    return
                self._queue.put(shot)
        except Exception as error:
            end = error
        self._queue.put(end)
