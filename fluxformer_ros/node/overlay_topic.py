"""~/overlay: what the recogniser sees and thinks, drawn on a thread of its own and only while somebody looks."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.render.overlay import draw_overlay, visible
from fluxformer_core.stream.people import PeopleRecognizer, PersonView
from fluxformer_core.stream.recognizer import Recognizer, Selection
from fluxformer_core.stream.timings import RecentValues
from fluxformer_core.types import SECOND, ActionEvent, Pixels, Recognition, State, Update
from fluxformer_ros.node.images import image_to_compressed, image_to_msg
from fluxformer_ros.node.mailbox import Mailbox

_LOG_PERIOD = 5.0  # s
_NEWEST = QoSProfile(depth=1)  # reliable, as RViz and rqt ask for; whoever is slow gets the newest picture only


@dataclass(frozen=True)
class _Scene:
    """What one picture shows."""

    image: np.ndarray
    pixels: Pixels
    stamp: int
    frame_id: str
    recognition: Recognition | None
    event: ActionEvent | None
    selection: Selection | None
    people: Sequence[PersonView] | None


class OverlayTopic:
    """Publishes `~/overlay` and, as JPEG for screens behind a wireless link, `~/overlay/compressed`.

    While nobody subscribes, an image costs one look at the number of subscribers. While somebody does, it is left in a
    one-slot mailbox, and the newest one is drawn when the drawing thread is free: recognition never waits for pictures.

    Args:
        node: owns the topics.
        recognizer: whose selected frames are shown.

    Attributes:
        rate: Hz, by the images' stamps; may be changed at any time, like the height.
        height: px; the picture is 16:9.
        drawn: pictures published so far.
        durations: ms that drawing and publishing one took.
    """

    def __init__(self, node: LifecycleNode, recognizer: Recognizer, *, rate: float, height: int) -> None:
        self.rate, self.height = rate, height
        self.drawn = 0
        self.durations = RecentValues(64)
        self._recognizer = recognizer
        self._logger = node.get_logger()
        self._raw: LifecyclePublisher[Image] = node.create_lifecycle_publisher(Image, "~/overlay", _NEWEST)
        self._jpeg: LifecyclePublisher[CompressedImage] = node.create_lifecycle_publisher(
            CompressedImage, "~/overlay/compressed", _NEWEST
        )
        self._mailbox: Mailbox[_Scene] = Mailbox()
        self._recognition: Recognition | None = None
        self._event: ActionEvent | None = None
        self._due = 0
        self._thread: threading.Thread | None = None

    @property
    def publishers(self) -> tuple[LifecyclePublisher[Image], LifecyclePublisher[CompressedImage]]:
        """To be destroyed with the node's others."""
        return self._raw, self._jpeg

    @property
    def skipped(self) -> int:
        """Images that were due for a picture but replaced by newer ones before they were drawn."""
        return self._mailbox.replaced + self._mailbox.discarded

    def start(self) -> None:
        """Draw from now on."""
        self._recognition = self._event = None
        self._due = 0
        self._mailbox.open()
        self._thread = threading.Thread(target=self._run, name="overlay")
        self._thread.start()

    def stop(self) -> None:
        """Finish the picture that is being drawn."""
        if self._thread is None:
            return
        self._mailbox.close()
        self._thread.join()
        self._thread = None

    def update(self, update: Update) -> None:
        """Remember what was said last."""
        if update.events:
            self._event = update.events[-1]
        if update.recognition is not None:
            self._recognition = update.recognition

    def show(
        self,
        image: np.ndarray,
        pixels: Pixels,
        stamp: int,
        frame_id: str,
        people: PeopleRecognizer | None = None,
    ) -> None:
        """Draw this image if somebody looks and a picture is due; called by the worker after each push.

        Args:
            image: as `pixels` says; kept until it is drawn, so nobody may write to it.
            pixels: how to read the image.
            stamp: ns.
            frame_id: of the camera.
            people: who recognises people apart, if they are: beside the image is told of one who does something, if
                anybody does.
        """
        if not self._raw.get_subscription_count() and not self._jpeg.get_subscription_count():
            return
        period = round(SECOND / self.rate)
        early = period // 8  # cameras jitter, and 10 Hz of 30 are every third image
        if early < self._due - stamp <= period:  # a stamp that jumped back is due
            return
        self._due = stamp + period
        recognition, event, selection = self._recognition, self._event, self._recognizer.last_selection
        views = None if people is None else people.views
        if views is not None:
            busy = [view for view in views if view.recognition and view.recognition.state is State.ACTION]
            told = next(iter([*busy, *views]), None)
            recognition, event, selection = (told.recognition, told.event, told.selection) if told else (None,) * 3
        self._mailbox.put(_Scene(image, pixels, stamp, frame_id, recognition, event, selection, views))

    def _run(self) -> None:
        while (scene := self._mailbox.take()) is not None:
            try:
                start = time.perf_counter()
                self._draw(scene)
                self.durations.add((time.perf_counter() - start) * 1e3)
                self.drawn += 1
            except Exception:
                # A picture is worth less than what goes on without it.
                self._logger.error(f"no overlay:\n{traceback.format_exc()}", throttle_duration_sec=_LOG_PERIOD)

    def _draw(self, scene: _Scene) -> None:
        picture = draw_overlay(
            visible(scene.image, scene.pixels, self._recognizer.spec.depth_range),
            recognition=scene.recognition,
            event=scene.event,
            selection=scene.selection,
            people=scene.people,
            height=self.height,
        )
        if self._raw.get_subscription_count():
            self._raw.publish(image_to_msg(picture, Pixels.RGB, scene.stamp, scene.frame_id))
        if self._jpeg.get_subscription_count():
            self._jpeg.publish(image_to_compressed(picture, Pixels.RGB, scene.stamp, scene.frame_id))
