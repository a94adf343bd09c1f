"""The one thread that recognises: it takes an image from the mailbox, decodes it, pushes it and publishes."""

from __future__ import annotations

import math
import re
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.enrolled import EnrolledAction
from fluxformer_core.errors import ImageError
from fluxformer_core.people.person import Sighting
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.measurements import ResetCause, StageTimings
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import ActionEvent, Pixels, Update
from fluxformer_ros.node.images import image_from_msg
from fluxformer_ros.node.mailbox import Mailbox
from fluxformer_ros.node.messages import time_from_msg

_MAX_CAUSES = 16  # a damaged camera must not grow the table of causes without end
_LOG_PERIOD = 5.0  # s


@dataclass(frozen=True)
class CameraFrame:
    """One decoded image of the camera."""

    image: np.ndarray  # as `pixels` says
    pixels: Pixels
    stamp: int  # ns
    frame_id: str


class Worker:
    """Runs a recogniser on the images that are left in a mailbox.

    Pushing and resetting exclude each other. The results of one are published before the other begins, so that events
    leave in the order in which they happened.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        publish: Callable[[Update, str], None],
        logger: RcutilsLogger,
        queue_size: int,
        *,
        people_at: Callable[[int, tuple[int, ...]], Sequence[Sighting] | None] | None = None,
        on_frame: Callable[[CameraFrame], None] | None = None,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            recognizer: used from the worker's thread only, but for `reset` and `enroll`.
            publish: called with what an image led to and the image's frame_id; from any thread.
            logger: for images that cannot be used and for failures.
            queue_size: images that may wait; the newest image replaces the oldest one.
            people_at: who is where at the stamp (ns) of an image of a shape, or None if no detector has looked.
            on_frame: called after every push, on the worker's thread; it must not wait.
        """
        self.mailbox: Mailbox[Image | CompressedImage] = Mailbox(queue_size)  # where the subscription leaves messages
        self.recognizer = recognizer
        self.pushed = 0  # images that were recognised, or skipped by the recogniser on purpose
        self.refused: Counter[str] = Counter()  # images that could not be used, by cause
        self.refused_in_a_row = 0  # refused images since the last usable image
        self.last_refusal = ""  # why the newest refused image could not be used
        self.failures = 0  # unexpected exceptions
        self.last_failure = ("", -math.inf)  # what the newest exception said, and when, by `time.monotonic`
        self.last_push = time.monotonic()  # when the newest image was pushed
        self.timings = StageTimings(("convert", "publish"))  # the stages before and after the recogniser's own
        self._publish, self._logger = publish, logger
        self._people_at, self._on_frame = people_at, on_frame
        self._observer: Callable[[Recognizer], None] | None = None
        self._frame_id = ""
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread and wait until the model is warm."""
        self.mailbox.open()
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="recognition")
        self._thread.start()
        self._ready.wait()
        self.last_push = time.monotonic()

    def stop(self) -> None:
        """Let the thread finish its image, join it, and end the open actions."""
        if self._thread is None:
            return
        self.mailbox.close()
        self._thread.join()
        self._thread = None
        self.reset(ResetCause.REQUESTED)

    def reset(self, cause: ResetCause) -> None:
        """Clear the window and end the open actions; from any thread."""
        with self._lock:
            self._publish_events(self.recognizer.reset(cause))

    def enroll(self, actions: Sequence[EnrolledAction]) -> None:
        """Recognise these taught actions from now on, and no others; ends the open actions; from any thread."""
        with self._lock:
            self._publish_events(self.recognizer.enroll(actions))

    def configure(self, config: RecognizerConfig) -> None:
        """Change the settings of the recognition; from any thread."""
        with self._lock:
            self.recognizer.config = config

    def observe(self, observer: Callable[[Recognizer], None] | None) -> None:
        """Call an observer after every push, on the worker's thread, from now on; None: call nobody."""
        self._observer = observer

    def _run(self) -> None:
        try:
            # Torch's thread pool belongs to the calling thread, so warming up on another thread would be in vain.
            self.recognizer.warm_up()
        except Exception:
            self._fail()
        self._ready.set()
        while (message := self.mailbox.take()) is not None:
            self._handle(message)

    def _handle(self, message: Image | CompressedImage) -> None:
        try:
            stamp = time_from_msg(message.header.stamp)
            if stamp == 0:
                raise ImageError("image without a stamp: the camera's driver must fill header.stamp")
            with self.timings.measure("convert"):
                image, pixels = image_from_msg(message)
            with self._lock:
                self._frame_id = message.header.frame_id
                people = None if self._people_at is None else self._people_at(stamp, image.shape)
                update = self.recognizer.push(image, stamp, pixels, people)
                with self.timings.measure("publish"):
                    self._publish(update, self._frame_id)
                if (observer := self._observer) is not None:
                    observer(self.recognizer)
                if self._on_frame is not None:
                    self._on_frame(CameraFrame(image, pixels, stamp, self._frame_id))
            self.pushed += 1
            self.refused_in_a_row = 0
            self.last_push = time.monotonic()
        except ImageError as error:
            self._refuse(error)
        except Exception:
            # One image that goes wrong must not silence the robot: it is counted, logged and diagnosed.
            self._fail()

    def _publish_events(self, events: tuple[ActionEvent, ...]) -> None:
        if events:
            self._publish(Update(events=events), self._frame_id)

    def _refuse(self, error: ImageError) -> None:
        cause = re.split(r"[:;]", str(error), maxsplit=1)[0]
        known = cause in self.refused or len(self.refused) < _MAX_CAUSES
        self.refused[cause if known else "other causes"] += 1
        self.refused_in_a_row += 1
        self.last_refusal = str(error)
        self._logger.warning(f"image refused: {error}", throttle_duration_sec=_LOG_PERIOD)

    def _fail(self) -> None:
        self.failures += 1
        text = traceback.format_exc()
        self.last_failure = (text.strip().rpartition("\n")[2], time.monotonic())
        self._logger.error(f"recognition failed on an image:\n{text}", throttle_duration_sec=_LOG_PERIOD)
