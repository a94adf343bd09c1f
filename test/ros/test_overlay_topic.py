"""~/overlay publishes pictures only while somebody subscribes, and never delays recognition."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.logging import get_logger
from ros_bench import wait_until
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.bundle import Bundle
from fluxformer_core.people.person import FoundBy, Sighting
from fluxformer_core.stream.recognizer import Recognizer, ViewState
from fluxformer_core.types import SECOND, Pixels, Recognition, State
from fluxformer_ros.node.overlay_topic import OverlayTopic
from fluxformer_ros.node.worker import CameraFrame

PICTURE = np.full((48, 64, 3), (200, 30, 120), np.uint8)


class Screen:
    """A publisher of pictures, and the number of its subscribers."""

    def __init__(self) -> None:
        self.subscribers = 0
        self.seen: list[Any] = []
        self.before_publishing: Callable[[], Any] = lambda: None

    def get_subscription_count(self) -> int:
        return self.subscribers

    def publish(self, message: Any) -> None:
        self.before_publishing()
        self.seen.append(message)


class OverlayBench:
    def __init__(self, recognizer: Recognizer) -> None:
        screens = {Image: Screen(), CompressedImage: Screen()}
        node: Any = SimpleNamespace(
            create_lifecycle_publisher=lambda kind, _topic, _qos: screens[kind],
            get_logger=lambda: get_logger("overlay_test"),
        )
        self.raw, self.jpeg = screens[Image], screens[CompressedImage]
        self.overlay = OverlayTopic(node, recognizer, rate=10.0, height=120)
        self.overlay.start()

    def show(self, *stamps: int) -> None:
        for stamp in stamps:
            self.overlay.show(CameraFrame(PICTURE, Pixels.RGB, stamp, "eye"))

    def picture(self, number: int = 0) -> np.ndarray:
        wait_until(lambda: len(self.raw.seen) > number)
        return np.frombuffer(self.raw.seen[number].data, np.uint8).reshape(120, 214, 3)


@pytest.fixture
def bench(bundle: Bundle) -> Iterator[OverlayBench]:
    bench = OverlayBench(Recognizer(bundle))
    yield bench
    bench.overlay.stop()


def test_nothing_is_drawn_without_subscribers(bench: OverlayBench) -> None:
    bench.show(SECOND, 2 * SECOND, 3 * SECOND)
    bench.overlay.stop()
    assert (bench.overlay.drawn, bench.overlay.skipped) == (0, 0)
    assert not bench.raw.seen + bench.jpeg.seen


SCENE = ViewState("", None, None, Recognition(SECOND, 0, SECOND, State.IDLE), None, None)
SEEN = Sighting((0.0, 0.0, 20.0, 20.0), FoundBy.POSE)
IDLE = ViewState("ann", (0, 0, 20), SEEN, Recognition(SECOND, 0, SECOND, State.IDLE), None, None)
ACTS = ViewState("bob", (0, 0, 20), SEEN, Recognition(SECOND, 0, SECOND, State.ACTION, "wave"), None, None)
BLUE, GREEN = (96, 165, 250), (52, 211, 153)  # of idle and of an action


@pytest.mark.parametrize(("views", "colour"), [([SCENE], BLUE), ([IDLE, ACTS], GREEN)], ids=["scene", "people"])
def test_a_picture_has_the_images_header_and_shows_the_state_or_the_one_who_acts(
    bench: OverlayBench, views: list[ViewState], colour: tuple[int, int, int]
) -> None:
    bench.raw.subscribers = 1
    model = bench.overlay._recognizer.model
    bench.overlay._recognizer = SimpleNamespace(views=views, model=model)
    bench.show(SECOND)
    assert (bench.picture() == colour).all(axis=-1).sum() > 50
    (message,) = bench.raw.seen
    assert (message.header.stamp.sec, message.header.frame_id) == (1, "eye")
    assert (message.height, message.width, message.encoding) == (120, 214, "rgb8")
    assert not bench.jpeg.seen


def test_the_compressed_topic_carries_the_same_picture(bench: OverlayBench) -> None:
    bench.raw.subscribers = bench.jpeg.subscribers = 1
    bench.show(SECOND)
    wait_until(lambda: bench.jpeg.seen)
    jpeg = cv2.imdecode(np.frombuffer(bench.jpeg.seen[0].data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(bench.picture().astype(int) - jpeg).mean() < 5
    assert "jpeg" in bench.jpeg.seen[0].format


@pytest.mark.parametrize(("camera", "rate", "pictures"), [(30, 10.0, 10), (15, 10.0, 8), (30, 0.5, 1), (5, 60.0, 5)])
def test_pictures_come_at_their_rate_by_stamp(bench: OverlayBench, camera: int, rate: float, pictures: int) -> None:
    bench.raw.subscribers = 1
    bench.overlay.rate = rate
    for number in range(camera):
        due = bench.overlay.drawn
        bench.show(SECOND + number * SECOND // camera)
        if bench.overlay._mailbox.received > due:
            wait_until(lambda due=due: bench.overlay.drawn > due)
    assert bench.overlay.drawn == pictures


def test_a_stamp_that_jumps_back_does_not_stop_the_pictures(bench: OverlayBench) -> None:
    bench.raw.subscribers = 1
    for number, stamp in enumerate((1000 * SECOND, 10 * SECOND)):
        bench.show(stamp)
        bench.picture(number)


def test_showing_an_image_never_waits_for_drawing(bench: OverlayBench) -> None:
    bench.raw.subscribers, free = 1, threading.Event()
    bench.raw.before_publishing = free.wait
    bench.show(*range(SECOND, 6 * SECOND, SECOND))  # returns, although no picture can be published
    free.set()
    wait_until(lambda: bench.raw.seen and bench.raw.seen[-1].header.stamp.sec == 5)
    assert bench.overlay.skipped + len(bench.raw.seen) == 5
    assert bench.overlay.skipped >= 3


def test_a_picture_that_fails_is_logged_and_the_next_one_is_drawn(bench: OverlayBench, capfd: Any) -> None:
    bench.raw.subscribers = 1
    bench.overlay.show(CameraFrame(np.zeros((0, 0, 3), np.uint8), Pixels.RGB, SECOND, "eye"))
    wait_until(lambda: bench.overlay._mailbox.taken == 1)
    bench.show(2 * SECOND)
    wait_until(lambda: bench.raw.seen)
    assert "no overlay" in capfd.readouterr().err
    assert bench.overlay.drawn == len(bench.raw.seen)
