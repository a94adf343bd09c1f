"""Each test process computes on one core, so that results are repeatable and several processes run side by side."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported, here and in child processes

import cv2
import helpers
import numpy as np
import pytest
import torch
from hypothesis import settings

from fluxformer_core.bundle import Bundle

# A shell that starts the tests in the background ignores Ctrl-C for them and all their children; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_num_threads(1)
cv2.setNumThreads(1)

settings.register_profile("fluxformer", deadline=None)  # a busy machine is no failure
settings.load_profile("fluxformer")


@pytest.fixture(autouse=True)
def _package_logger() -> Iterator[None]:
    """Give the package's logger back its settings: commands and nodes set its level, and tests read what it logs."""
    log = logging.getLogger("fluxformer_core")
    level, propagate, handlers = log.level, log.propagate, list(log.handlers)
    yield
    log.setLevel(level)
    log.propagate, log.handlers = propagate, handlers


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The list of sixteen small recordings."""
    return helpers.moving_pictures(tmp_path)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return helpers.small_bundle()


@pytest.fixture(scope="session")
def acting() -> list[np.ndarray]:
    """Images at 20 Hz: a person stands for a second, waves until 2.6 s, and stands for another two."""
    return helpers.actor_images((1.0, 2.6), still=2.0, size=128)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: the ROS tests wait for messages for much of their time.

    A process takes about 1 GB of memory, and a container may have fewer cores than it sees: there are at most 9.
    """
    return min(os.cpu_count() or 1, 8) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files that take long to the front, so that no process ends with one of them while the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("ros") or item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
