"""Work spread over processes that may crash or hang: what one piece of it does to its process, no other suffers."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Beat = Callable[[], None]
Work = Callable[[Item, Beat], Result]
"""Does one piece of work; it calls the beat while it gets on, and raises nothing."""

_BEAT_PERIOD = 0.5  # s: beats are not sent more often
_ALIVE = "alive"  # what a beat sends
_SPAWN = multiprocessing.get_context("spawn")  # a fork would inherit the locks of this process's threads


@dataclass(frozen=True)
class Failure:
    """What became of work whose process did not survive it."""

    reason: str


def spread(
    work: Work[Item, Result], items: Sequence[Item], processes: int, patience: float
) -> Iterator[tuple[int, Result | Failure]]:
    """Do the work on every item, in any order, and yield each item's number with its result.

    Args:
        work: function of a module, which a new process can import.
        items: what to work on.
        processes: 0 does it here, one after the other, without protection.
        patience: seconds without a beat after which a process is stopped.
    """
    if processes == 0:
        for position, item in enumerate(items):
            yield position, work(item, lambda: None)
        return
    waiting = list(reversed(range(len(items))))
    helpers = [_Helper(work) for _ in range(min(processes, len(items)))]
    try:
        while waiting or any(helper.number is not None for helper in helpers):
            for helper in helpers:
                if helper.number is None and waiting:
                    following = waiting.pop()
                    helper.give(following, items[following])
            busy = [helper for helper in helpers if helper.number is not None]
            wait([helper.pipe for helper in busy], timeout=1.0)
            for helper in busy:
                number = helper.number
                result = helper.look(patience)
                if result is not None and number is not None:
                    yield number, result
    finally:
        for helper in helpers:
            helper.stop()


class _Helper(Generic[Item, Result]):
    """One process, started anew whenever it was lost."""

    def __init__(self, work: Work[Item, Result]) -> None:
        self._work = work
        self.number: int | None = None  # of the item at work
        self._beat = 0.0
        self._start()

    def give(self, number: int, item: Item) -> None:
        self.number, self._beat = number, time.monotonic()
        with suppress(ConnectionError):  # `look` will find out what became of the process
            self.pipe.send(item)

    def look(self, patience: float) -> Result | Failure | None:
        """The result if there is one by now."""
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                self._beat, self._ready = time.monotonic(), True
                if message != _ALIVE:
                    self.number = None
                    return message[0]  # type: ignore[no-any-return]
        except (EOFError, ConnectionError):
            self._process.join()
            return self._replace(f"its decoder crashed (exit code {self._process.exitcode})")
        if self._ready and time.monotonic() - self._beat > patience:
            return self._replace(f"its decoder gave nothing for {patience:.0f} s")
        return None

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _replace(self, reason: str) -> Failure:
        self.stop()
        self._start()
        self.number = None
        return Failure(reason)

    def _start(self) -> None:
        self._ready = False  # a busy machine may take its time to start a process
        self.pipe: Connection
        self.pipe, theirs = _SPAWN.Pipe()
        self._process: BaseProcess = _SPAWN.Process(target=_serve, args=(theirs, self._work), daemon=True)
        self._process.start()
        theirs.close()  # or the pipe would outlive the process, and its end would not be noticed


def _serve(pipe: Connection, work: Work[Item, Result]) -> None:
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > _BEAT_PERIOD:
            last = time.monotonic()
            try:
                pipe.send(_ALIVE)
            except ConnectionError:
                # Nobody wants the work any more. An exception would be taken for a fault of the item.
                raise SystemExit from None

    try:
        pipe.send(_ALIVE)
        while True:
            item = pipe.recv()
            pipe.send((work(item, beat),))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return  # nobody wants more
