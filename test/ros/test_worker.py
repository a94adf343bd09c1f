"""The worker's thread recognises the next image, whatever happens to one image."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rclpy.logging import get_logger
from ros_bench import PATIENCE

from fluxformer_core.bundle import Bundle
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Pixels, Update
from fluxformer_ros.node.images import image_to_msg
from fluxformer_ros.node.worker import Worker

BUG = 13
"""The brightness at which the recogniser of these tests raises an unexpected exception."""


class FragileRecognizer(Recognizer):
    def push(self, image: np.ndarray, stamp: int, pixels: Pixels = Pixels.RGB, people: Any = None) -> Update:
        if image[0, 0, 0] == BUG:
            raise KeyError("unexpected")
        return super().push(image, stamp, pixels, people)


class WorkerBench:
    """A running worker that is given one image after the other."""

    def __init__(self, bundle: Bundle) -> None:
        self.updates: list[tuple[Update, str]] = []
        self.worker = Worker(
            FragileRecognizer(bundle), lambda *update: self.updates.append(update), get_logger("worker_test"), 1
        )
        self.stamp = SECOND
        self.worker.start()

    def give(self, brightness: int, **changes: object) -> None:
        """Give an image and wait until the worker is done with it."""
        message = image_to_msg(np.full((48, 64, 3), brightness, np.uint8), Pixels.RGB, self.stamp, "eye")
        for name, value in changes.items():
            setattr(message, name, value)
        self.stamp += SECOND // 15
        done, end = self.done, time.monotonic() + PATIENCE
        self.worker.mailbox.put(message)
        while self.done == done:
            assert time.monotonic() < end
            time.sleep(0.001)

    @property
    def done(self) -> int:
        return self.worker.pushed + self.worker.refused.total() + self.worker.failures


@pytest.fixture
def bench(bundle: Bundle) -> Iterator[WorkerBench]:
    bench = WorkerBench(bundle)
    yield bench
    bench.worker.stop()


def test_every_image_leads_to_an_update_with_its_frame_id(bench: WorkerBench) -> None:
    for _ in range(5):
        bench.give(100)
    assert bench.worker.pushed == 5
    assert [frame_id for _, frame_id in bench.updates] == ["eye"] * 5
    assert bench.updates[0][0].recognition is not None


def test_a_bug_is_counted_and_logged_and_the_next_image_is_recognised(
    bench: WorkerBench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.give(100)
    bench.give(BUG)
    bench.give(100)
    assert (bench.worker.pushed, bench.worker.failures) == (2, 1)
    assert bench.worker.last_failure[0] == "KeyError: 'unexpected'"
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert "unexpected" in said


def test_refusals_in_a_row_are_counted_until_an_image_is_good(bench: WorkerBench) -> None:
    bench.give(100, encoding="rgb7")
    bench.give(100, step=3)
    assert bench.worker.refused_in_a_row == 2
    assert "a row has 3 bytes" in bench.worker.last_refusal
    bench.give(100)
    assert bench.worker.refused_in_a_row == 0
    assert sorted(bench.worker.refused.values()) == [1, 1]


def test_causes_do_not_grow_without_end(bench: WorkerBench) -> None:
    for number in range(40):
        bench.give(100, encoding=f"odd{number}")
    assert bench.worker.refused.total() == 40
    assert len(bench.worker.refused) <= 17
    assert bench.worker.refused["other causes"] > 0


def test_a_worker_that_has_stopped_can_start_again(bench: WorkerBench) -> None:
    bench.give(100)
    bench.worker.stop()
    bench.worker.stop()
    bench.worker.mailbox.put(image_to_msg(np.zeros((48, 64, 3), np.uint8), Pixels.RGB, SECOND, ""))
    assert bench.worker.mailbox.discarded == 1
    bench.worker.start()
    bench.give(100)
    assert bench.worker.pushed == 2
