"""What concerns the whole process: memory, threads, signals, the library's log, and installed files."""

from __future__ import annotations

import ctypes
import logging
import math
import os
import platform
import signal
import sys
from pathlib import Path
from types import FrameType

import cv2
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc
_MIB = 1024 * 1024
_POLL = 0.1  # s: the longest time until a signal is noticed


def keep_image_memory() -> None:
    """Stop glibc from mapping and unmapping memory for every image; receiving an image then takes half the time."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        libc.mallopt(_M_TRIM_THRESHOLD, 128 * _MIB)
        libc.mallopt(_M_TOP_PAD, 16 * _MIB)


def set_threads(threads: int) -> None:
    """Limit the threads of one forward pass and of optical flow; 0: half of torch's own choice, within 1 .. 4."""
    import torch  # costs seconds; the player and the listener, which need this module, do without

    # Torch's threads wait for each other by spinning. When another process needs one of their cores, a forward pass
    # takes many times longer: on two busy cores 95 ms with one thread became 600 ms with two.
    threads = threads or min(4, max(1, torch.get_num_threads() // 2))
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def resident_memory(pid: int | str = "self") -> float:
    """Resident memory of a process in MiB; nan where the system does not report it."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return math.nan
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def resource(name: str) -> Path:
    """Find a file, such as "config/fastdds.xml", in the source tree or in the share folder of an installation.

    Raises:
        FileNotFoundError: if the file is in neither place.
    """
    path = Path(__file__).resolve().parents[2] / name
    if path.is_file():
        return path
    try:
        path = Path(get_package_share_directory("fluxformer")) / name
    except (PackageNotFoundError, OSError) as error:  # ament raises OSError where no prefix is set
        raise FileNotFoundError(f"{name} is not installed: {error}") from error
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install the package again")
    return path


class _ToNode(logging.Handler):
    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        # rclpy allows one severity for each line of code, so every severity has its own line.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def forward_logs(name: str, logger: RcutilsLogger) -> None:
    """Send records of the Python logger `name` from INFO on to a node's logger; a later call replaces the node."""
    source = logging.getLogger(name)
    for handler in [handler for handler in source.handlers if isinstance(handler, _ToNode)]:
        source.removeHandler(handler)
    source.addHandler(_ToNode(logger))
    source.setLevel(logging.INFO)
    source.propagate = False


class StopSignals:
    """Turns Ctrl-C and SIGTERM into a flag, so that a node can publish its last events before the middleware ends.

    rclpy's own handlers shut the context down at once; pass `SignalHandlerOptions.NO` to `rclpy.init` with this class.
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
