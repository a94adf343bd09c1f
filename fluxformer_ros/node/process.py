"""What concerns the whole process: how memory is returned to the system, how threads are shared, how to stop."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import signal
import sys
from pathlib import Path
from types import FrameType

import cv2
import torch
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc
_MIB = 1024 * 1024
_POLL = 0.1  # s: a signal is noticed at least this often


def keep_image_memory() -> None:
    """Stop glibc from mapping and unmapping memory for every image: halves what receiving one costs."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        libc.mallopt(_M_TRIM_THRESHOLD, 128 * _MIB)
        libc.mallopt(_M_TOP_PAD, 16 * _MIB)


def set_threads(threads: int) -> int:
    """Limit the threads of one forward pass and of optical flow.

    Args:
        threads: how many; 0 for half of torch's own choice, the cores, but between 1 and 4.

    Returns:
        How many it is now.
    """
    # Torch's threads wait for each other by spinning: as soon as anything else needs one of their cores, a pass takes
    # many times longer. On two busy cores 95 ms with one thread became 600 ms with two.
    threads = threads or min(4, max(1, torch.get_num_threads() // 2))
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    return threads


def resident_memory() -> float:
    """Memory of this process that is in RAM now, in MiB; nan where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return math.nan
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


class StopSignals:
    """Turns Ctrl-C and SIGTERM into a flag, so that a node can say its last words while the middleware still runs.

    rclpy's own handlers shut the context down at once; pass `SignalHandlerOptions.NO` to `rclpy.init` with this.
    """

    def __init__(self) -> None:
        self.stopped = False
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopped = True


def spin_until_stopped(node: Node, signals: StopSignals) -> None:
    """Serve the node's callbacks in this thread until a signal arrives."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not signals.stopped:
            executor.spin_once(timeout_sec=_POLL)
    except ExternalShutdownException:
        return
    finally:
        executor.remove_node(node)
        executor.shutdown()
