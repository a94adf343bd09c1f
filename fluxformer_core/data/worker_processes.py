"""Work divided among processes that may crash or hang, so that one damaged item does not stop the others."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Beat = Callable[[], None]
Work = Callable[[Item, Beat], Result]
"""A function that works on one item. It calls the beat while it makes progress, and raises nothing."""

_BEAT_PERIOD = 0.5  # s: the shortest time between two beats that are sent
_ALIVE = "alive"  # what a beat sends
_SPAWN = multiprocessing.get_context("spawn")  # a fork would inherit the locks of this process's threads


@dataclass(frozen=True)
class Failure:
    """The result of an item whose process crashed or hung."""

    reason: str


def run_in_processes(
    work: Work[Item, Result], items: Sequence[Item], processes: int, patience: float
) -> Iterator[tuple[int, Result | Failure]]:
    """Work on every item, in any order, and yield each item's number with its result.

    A process is stopped after `patience` seconds without a beat. New processes import `work`, a function of a module. 0
    `processes`: this process works, one item after the other, without protection.
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
            busy = [(helper, helper.number) for helper in helpers if helper.number is not None]
            wait([helper.pipe for helper, _ in busy], timeout=1.0)
            for helper, number in busy:
                if (result := helper.look(patience)) is not None:
                    yield number, result
    finally:
        for helper in helpers:
            helper.stop()


class _Helper(Generic[Item, Result]):
    """One process, which is started anew after a crash."""

    def __init__(self, work: Work[Item, Result]) -> None:
        self._work = work
        self.number: int | None = None  # of the item at work
        self._beat = 0.0
        self._start()

    def give(self, number: int, item: Item) -> None:
        self.number, self._beat = number, time.monotonic()
        with suppress(ConnectionError):  # `look` handles a lost process
            self.pipe.send(item)

    def look(self, patience: float) -> Result | Failure | None:
        """The result, if there is one by now."""
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
        self._ready = False  # a busy machine may take long to start a process
        self.pipe: Connection
        self.pipe, theirs = _SPAWN.Pipe()
        self._process: BaseProcess = _SPAWN.Process(target=_serve, args=(theirs, self._work), daemon=True)
        # A process must not import the user's script, which would run the script again.
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            self._process.start()
        finally:
            sys.modules["__main__"] = main
        theirs.close()  # with this end open, the end of the process would not close the pipe


def _serve(pipe: Connection, work: Work[Item, Result]) -> None:
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > _BEAT_PERIOD:
            last = time.monotonic()
            try:
                pipe.send(_ALIVE)
            except ConnectionError:
                # The waiting process has ended. Any other exception would count as a fault of the item.
                raise SystemExit from None

    try:
        pipe.send(_ALIVE)
        while True:
            item = pipe.recv()
            pipe.send((work(item, beat),))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return  # the waiting process has ended
