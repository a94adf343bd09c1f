"""What a recogniser measures of itself: counts of frames, and how long the stages took lately.

One thread counts and measures while others read.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import numpy as np


class ResetCause(str, Enum):
    """Why the window was emptied."""

    GAP = "gap"
    TIME_JUMP = "time_jump"
    SIZE_CHANGE = "size_change"
    REQUESTED = "requested"


@dataclass
class Counters:
    """Counts since construction. Each pushed frame is admitted, skipped, a duplicate or late."""

    frames: int = 0  # pushed
    admitted: int = 0  # entered the window
    skipped: int = 0  # not needed: the camera is faster than the model's rate
    duplicates: int = 0
    late: int = 0  # out of order
    flows: int = 0  # flow fields estimated, of all views
    recognitions: int = 0  # of all views
    forwards: int = 0  # forward passes; one pass serves all views that are due
    resets: dict[ResetCause, int] = field(default_factory=lambda: dict.fromkeys(ResetCause, 0))


class RecentValues:
    """The last values of a measurement; one thread adds while others read."""

    def __init__(self, size: int = 512) -> None:
        self._values = np.full(size, np.nan)
        self._added = 0

    def add(self, value: float) -> None:
        """Add a value, forgetting the oldest when full."""
        self._values[self._added % len(self._values)] = value
        self._added += 1

    @property
    def count(self) -> int:
        """How many values were ever added."""
        return self._added

    @property
    def newest(self) -> float:
        """The value that was added last; nan before the first."""
        return float(self._values[(self._added - 1) % len(self._values)])

    def percentile(self, q: float) -> float:
        """The q-th percentile (0..100) of the values; nan while there are none."""
        values = self._values[: self._added]
        return float(np.percentile(values, q)) if len(values) else math.nan


class StageTimings:
    """Recent milliseconds of each stage, and the processor time that each has taken in all.

    Args:
        stages: names; those of the recogniser by default.
        keep: milliseconds that are remembered of each.

    Attributes:
        recent: milliseconds, by stage.
        cpu: seconds of processor time since construction, by stage: of the measuring thread, and for stages measured
            with `pool=True` of all threads but the main one, among which a backend's are.
    """

    STAGES = ("people", "prepare", "flow", "select", "forward", "decide")

    def __init__(self, stages: Sequence[str] = STAGES, keep: int = 256) -> None:
        self.stages = tuple(stages)
        self.cpu = dict.fromkeys(self.stages, 0.0)
        self.recent = {stage: RecentValues(keep) for stage in self.stages}

    @contextmanager
    def measure(self, stage: str, *, pool: bool = False) -> Iterator[None]:
        """Time the body of a `with`."""
        cpu = _cpu_of_pools if pool else time.thread_time
        start, cpu_start = time.perf_counter(), cpu()
        yield
        self.cpu[stage] += cpu() - cpu_start
        self.recent[stage].add((time.perf_counter() - start) * 1e3)

    def percentile(self, stage: str, q: float) -> float:
        """The q-th percentile (0..100) of a stage's recent milliseconds; nan before the first."""
        return self.recent[stage].percentile(q)


def cpu_of_thread(thread: threading.Thread) -> float:
    """Processor time that a running thread of this process has taken, in seconds; nan where the system cannot say."""
    if thread.ident is None or not hasattr(time, "pthread_getcpuclockid") or not thread.is_alive():
        return math.nan
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def _cpu_of_pools() -> float:
    main = threading.main_thread()
    if threading.current_thread() is main or math.isnan(spent := cpu_of_thread(main)):
        return time.process_time()
    return time.process_time() - spent
