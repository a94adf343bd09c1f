"""Many streams over several processes; whatever becomes of one of them, the others get their results."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING

from tqdm import tqdm

from fluxformer_core.evaluation.bags.finding import Fault, Job
from fluxformer_core.evaluation.bags.outcome import Outcome

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from fluxformer_core.evaluation.bags.watch import Watcher

_POLL = 0.2  # s

_beats: Queue[int] | None = None  # of a process that watches: where it says how far it is


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def watch_streams(watcher: Watcher, jobs: Sequence[Job], workers: int, *, quiet: bool = False) -> list[Outcome]:
    """Watch every stream and show how far it is.

    The figures do not depend on the number of processes.

    Args:
        watcher: how.
        jobs: what; the outcomes come in this order.
        workers: processes at once; with one of them, or one stream, it is this one.
        quiet: no bar.
    """
    total = sum(job.length for job in jobs)
    hidden = True if quiet else None  # None: hidden where standard error is no terminal
    with tqdm(total=total, unit=" images", disable=hidden, leave=False) as bar:
        if min(workers, len(jobs)) <= 1:
            outcomes = []
            for job in jobs:
                bar.set_description(job.bag)
                outcomes.append(watcher.watch(job, bar.update))
            return outcomes
        # The longest first, so that no process is left with it at the end.
        order = sorted(range(len(jobs)), key=lambda i: -jobs[i].length)
        found = _in_processes(watcher, {i: jobs[i] for i in order}, min(workers, len(jobs)), bar.update)
    return [found[i] for i in range(len(jobs))]


def _in_processes(
    watcher: Watcher, jobs: dict[int, Job], workers: int, beat: Callable[[int], object]
) -> dict[int, Outcome]:
    found = dict(_pool(watcher, jobs, workers, beat))
    # A process that was killed takes the whole pool with it. What is not done is tried again, each on its own.
    for i in [i for i in jobs if i not in found]:
        found.update(_pool(watcher, {i: jobs[i]}, 1, beat))
        if i not in found:
            text = f"{jobs[i].topic}: the process that watched it was killed; was there too little memory?"
            found[i] = Outcome(jobs[i], faults=(Fault(jobs[i].bag, text, fatal=True),))
    return found


def _pool(
    watcher: Watcher, jobs: dict[int, Job], workers: int, beat: Callable[[int], object]
) -> Iterator[tuple[int, Outcome]]:
    # Spawned, not forked: torch and OpenCV have threads, and a fork of those may never wake.
    context = multiprocessing.get_context("spawn")
    beats: Queue[int] = context.Queue()
    pending: dict[Future[Outcome], int] = {}
    with ProcessPoolExecutor(workers, context, _begin, (beats,)) as pool:
        with suppress(BrokenProcessPool):  # what could not be asked for is not found, and so is tried again
            for i, job in jobs.items():
                pending[pool.submit(_watch, watcher, job)] = i
        try:
            while pending:
                done, _ = wait(pending, _POLL, FIRST_COMPLETED)
                for count in _drain(beats):
                    beat(count)
                for future in done:
                    i = pending.pop(future)
                    with suppress(BrokenProcessPool):
                        yield i, future.result()
        finally:
            for future in pending:  # Ctrl-C: nothing new begins
                future.cancel()


def _drain(beats: Queue[int]) -> Iterable[int]:
    with suppress(Empty):
        while True:
            yield beats.get_nowait()


def _begin(beats: Queue[int]) -> None:
    global _beats  # noqa: PLW0603  # a queue reaches a pool's processes only when they begin
    beats.cancel_join_thread()  # nobody waits for the last sign of life
    _beats = beats


def _watch(watcher: Watcher, job: Job) -> Outcome:
    return watcher.watch(job, _beat)


def _beat(count: int) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)  # who asked was killed: nobody wants the rest of a long bag
    if _beats is not None:
        _beats.put(count)
