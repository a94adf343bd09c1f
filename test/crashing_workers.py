"""Workers that crash or hang, as decoders do with damaged files. This module imports little, so it loads quickly."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any


def crashing_worker(item: str, beat: Callable[[], None]) -> str:
    """Crash, hang, or do as asked."""
    if item == "crash":
        os.abort()
    if item == "hang":
        os.read(os.pipe()[0], 1)
    beat()
    return item.upper()


class CrashingWatcher:
    """Stands for a Watcher that is killed in the middle of the bag named crash."""

    def watch(self, stream: Any, beat: Callable[[int], object]) -> Any:
        from fluxformer_core.evaluation.bags.stream_result import StreamResult

        beat(1)
        if stream.bag == "crash":
            os.abort()
        return StreamResult(stream, frames=stream.length)


class EndlessWatcher:
    """Never comes to the end of a bag; writes its process's number where the bag is said to be."""

    def watch(self, stream: Any, beat: Callable[[int], object]) -> Any:
        stream.path.write_text(str(os.getpid()))
        while True:
            beat(1)
            time.sleep(0.02)
