"""Watch many streams in several processes; a process that crashes costs no other stream its result."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING

from tqdm import tqdm

from fluxformer_core.evaluation.bags.finding import BagFault, BagStream
from fluxformer_core.evaluation.bags.stream_result import StreamResult

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from fluxformer_core.evaluation.bags.watch import Watcher

_POLL = 0.2  # s

_beats: Queue[int] | None = None  # in a worker process: where the worker reports its progress


def watch_streams(
    watcher: Watcher, streams: Sequence[BagStream], workers: int, *, quiet: bool = False
) -> list[StreamResult]:
    """Watch every stream; the results come in the order of the streams, whatever the number of processes.

    One worker, or one stream, runs in this process. A progress bar is shown unless `quiet`.
    """
    total = sum(stream.length for stream in streams)
    hidden = True if quiet else None  # None: hidden where standard error is no terminal
    with tqdm(total=total, unit=" images", disable=hidden, leave=False) as bar:
        if min(workers, len(streams)) <= 1:
            results = []
            for stream in streams:
                bar.set_description(stream.bag)
                results.append(watcher.watch(stream, bar.update))
            return results
        # The longest stream starts first, so that the other processes do not wait for it at the end.
        order = sorted(range(len(streams)), key=lambda i: -streams[i].length)
        found = dict(_pool(watcher, {i: streams[i] for i in order}, min(workers, len(streams)), bar.update))
        # A killed process breaks the whole pool. Each stream without a result gets another try in a pool of its own.
        for i in [i for i in order if i not in found]:
            found.update(_pool(watcher, {i: streams[i]}, 1, bar.update))
            if i not in found:
                text = f"{streams[i].topic}: the process that watched it was killed, perhaps for lack of memory"
                found[i] = StreamResult(streams[i], faults=(BagFault(streams[i].bag, text, fatal=True),))
    return [found[i] for i in range(len(streams))]


def _pool(
    watcher: Watcher, streams: dict[int, BagStream], workers: int, beat: Callable[[int], object]
) -> Iterator[tuple[int, StreamResult]]:
    # Spawned, not forked: torch and OpenCV run threads, and a forked process may wait for their locks forever.
    context = multiprocessing.get_context("spawn")
    beats: Queue[int] = context.Queue()
    pending: dict[Future[StreamResult], int] = {}
    with ProcessPoolExecutor(workers, context, _begin, (beats,)) as pool:
        with suppress(BrokenProcessPool):  # the caller tries streams without a result again
            for i, stream in streams.items():
                pending[pool.submit(_watch, watcher, stream)] = i
        try:
            while pending:
                done, _ = wait(pending, _POLL, FIRST_COMPLETED)
                with suppress(Empty):
                    while True:
                        beat(beats.get_nowait())
                for future in done:
                    i = pending.pop(future)
                    with suppress(BrokenProcessPool):
                        yield i, future.result()
        finally:
            for future in pending:  # after Ctrl-C no further stream begins
                future.cancel()


def _begin(beats: Queue[int]) -> None:
    global _beats  # noqa: PLW0603  # a pool passes queues to its processes only at their start
    beats.cancel_join_thread()  # a worker may exit before its last report is read
    _beats = beats


def _watch(watcher: Watcher, stream: BagStream) -> StreamResult:
    return watcher.watch(stream, _beat)


def _beat(count: int) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)  # the parent was killed: no process will read the result
    if _beats is not None:
        _beats.put(count)
