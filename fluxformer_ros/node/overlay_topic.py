"""~/overlay: what the recogniser sees and thinks, drawn on a thread of its own and only while somebody looks."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.render.overlay import draw_views, visible
from fluxformer_core.stream.measurements import RecentValues
from fluxformer_core.stream.recognizer import Recognizer, ViewState
from fluxformer_core.types import SECOND, Pixels
from fluxformer_ros.node.images import image_to_compressed, image_to_msg
from fluxformer_ros.node.mailbox import Mailbox
from fluxformer_ros.node.worker import CameraFrame

_LOG_PERIOD = 5.0  # s
_NEWEST = QoSProfile(depth=1)  # reliable, as RViz and rqt ask for; whoever is slow gets the newest picture only


@dataclass(frozen=True)
class _Scene:
    """What one picture shows."""

    frame: CameraFrame
    views: Sequence[ViewState]


class OverlayTopic:
    """Publishes `~/overlay` and, as JPEG for screens behind a wireless link, `~/overlay/compressed`.

    While nobody subscribes, an image costs one look at the number of subscribers. While somebody subscribes, a one-slot
    mailbox holds the newest image until the drawing thread is free: recognition never waits for pictures.

    The rate (Hz, by the images' stamps) and the height (px; the picture is 16:9) may be changed at any time.
    """

    def __init__(self, node: LifecycleNode, recognizer: Recognizer, *, rate: float, height: int) -> None:
        self.rate, self.height = rate, height
        self.drawn = 0  # pictures published so far
        self.durations = RecentValues(64)  # ms that drawing and publishing a picture took
        self._recognizer = recognizer
        self._logger = node.get_logger()
        self._raw = node.create_lifecycle_publisher(Image, "~/overlay", _NEWEST)
        self._jpeg = node.create_lifecycle_publisher(CompressedImage, "~/overlay/compressed", _NEWEST)
        self._mailbox: Mailbox[_Scene] = Mailbox()
        self._due = 0
        self._thread: threading.Thread | None = None

    @property
    def publishers(self) -> list[LifecyclePublisher[Any]]:
        """The publishers, for the node to destroy."""
        return [self._raw, self._jpeg]

    @property
    def skipped(self) -> int:
        """Images that were due for a picture but replaced by newer ones before they were drawn."""
        return self._mailbox.replaced + self._mailbox.discarded

    def start(self) -> None:
        """Draw from now on."""
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

    def show(self, frame: CameraFrame) -> None:
        """Draw this frame if somebody looks and a picture is due; called by the worker after each push.

        Of several people, the picture tells of the first one who acts. Nobody may write to the image, which is kept.
        """
        if not self._raw.get_subscription_count() and not self._jpeg.get_subscription_count():
            return
        period = round(SECOND / self.rate)
        early = period // 8  # cameras jitter, and 10 Hz of 30 are every third image
        if early < self._due - frame.stamp <= period:  # a stamp that jumped back is due
            return
        self._due = frame.stamp + period
        self._mailbox.put(_Scene(frame, self._recognizer.views))

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
        frame = scene.frame
        shown = visible(frame.image, frame.pixels, self._recognizer.model.spec.depth_range)
        picture = draw_views(shown, scene.views, height=self.height)
        if self._raw.get_subscription_count():
            self._raw.publish(image_to_msg(picture, Pixels.RGB, frame.stamp, frame.frame_id))
        if self._jpeg.get_subscription_count():
            self._jpeg.publish(image_to_compressed(picture, Pixels.RGB, frame.stamp, frame.frame_id))
