"""The one thread that recognises: it takes an image, decodes it, pushes it and hands on what follows."""

from __future__ import annotations

import math
import re
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.enrolled import EnrolledAction
from fluxformer_core.errors import ImageError
from fluxformer_core.people.square import Person
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.people import PeopleRecognizer
from fluxformer_core.stream.recognizer import Counters, Recognizer, ResetCause
from fluxformer_core.stream.timings import StageTimings
from fluxformer_core.types import Pixels, Update
from fluxformer_ros.node.images import image_from_msg
from fluxformer_ros.node.mailbox import Mailbox
from fluxformer_ros.node.messages import time_from_msg

_MAX_CAUSES = 16  # a damaged camera must not grow the table of causes without end
_LOG_PERIOD = 5.0  # s


class Worker:
    """Runs a recogniser on the images that are left in a mailbox.

    Pushing and resetting exclude each other, and what they lead to is handed on before the next one begins, so that
    events leave in the order in which they happened.

    Attributes:
        mailbox: where the subscription leaves messages.
        pushed: images that were recognised, or skipped by the recogniser on purpose.
        refused: images that could not be used, by cause.
        refused_in_a_row: how many of the newest images these were.
        last_refusal: why the newest of them could not be used.
        failures: unexpected exceptions.
        last_failure: what the newest of them said, and when, by `time.monotonic`.
        last_push: when the newest image was pushed, by `time.monotonic`.
        timings: of what goes before and after the recogniser's own stages.
        observer: called after every push, on the worker's thread, which must not wait.
        people: who recognises people apart; None: the whole image is one scene.
        detected: who is where at a stamp (ns), None if nobody has looked; for `people`.
        onlooker: called like the observer, with the image, how to read it, its stamp (ns), its frame_id, and
            `people`.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        publish: Callable[[Update, str], None],
        logger: RcutilsLogger,
        queue_size: int,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            recognizer: used from the worker's thread only, but for `reset` and `enroll`.
            publish: called with what an image led to and the frame_id of the image; from any thread.
            logger: for images that cannot be used and for failures.
            queue_size: images that may wait; more are replaced by the newest.
        """
        self.mailbox: Mailbox[Image | CompressedImage] = Mailbox(queue_size)
        self.pushed = 0
        self.refused: Counter[str] = Counter()
        self.refused_in_a_row = 0
        self.last_refusal = ""
        self.failures = 0
        self.last_failure = ("", -math.inf)
        self.last_push = time.monotonic()
        self.timings = StageTimings(("convert", "publish"))
        self.observer: Callable[[Recognizer], None] | None = None
        self.people: PeopleRecognizer | None = None
        self.detected: Callable[[int], Sequence[Person] | None] = lambda _stamp: None
        self.onlooker: Callable[[np.ndarray, Pixels, int, str, PeopleRecognizer | None], None] | None = None
        self._recognizer = recognizer
        self._publish = publish
        self._logger = logger
        self._frame_id = ""
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread and wait until it is warm."""
        self.mailbox.open()
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="recognition")
        self._thread.start()
        self._ready.wait()
        self.last_push = time.monotonic()

    def stop(self) -> None:
        """Let the thread finish the image it is at, join it, and end the open events."""
        if self._thread is None:
            return
        self.mailbox.close()
        self._thread.join()
        self._thread = None
        self.reset(ResetCause.REQUESTED)

    def reset(self, cause: ResetCause) -> None:
        """Clear the window and end the open events; from any thread."""
        with self._lock:
            if self.people is None:
                self._hand_on(Update(events=self._recognizer.reset(cause)))
            else:
                self._hand_on(*self.people.reset(cause))

    def enroll(self, actions: Sequence[EnrolledAction]) -> None:
        """Recognise these taught actions from now on, and no others; ends the open events; from any thread."""
        with self._lock:
            if self.people is None:
                self._hand_on(Update(events=self._recognizer.enroll(actions)))
            else:
                self._hand_on(*self.people.enroll(actions))

    def configure(self, config: RecognizerConfig) -> None:
        """Change the settings of the recognition; from any thread."""
        with self._lock:
            if self.people is None:
                self._recognizer.config = config
            else:
                self.people.configure(config)

    @property
    def counters(self) -> Counters:
        """What became of the images that were pushed."""
        return self._recognizer.counters if self.people is None else self.people.counters

    def _run(self) -> None:
        try:
            # Torch's thread pool belongs to the thread that calls it, so warming up anywhere else would be in vain.
            self._recognizer.warm_up()
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
                if self.people is None:
                    updates = [self._recognizer.push(image, stamp, pixels)]
                else:
                    updates = self.people.push(image, stamp, pixels, self.detected(stamp))
                with self.timings.measure("publish"):
                    for update in updates:
                        self._publish(update, self._frame_id)
                if (observer := self.observer) is not None:
                    observer(self._recognizer)
                if self.onlooker is not None:
                    self.onlooker(image, pixels, stamp, self._frame_id, self.people)
            self.pushed += 1
            self.refused_in_a_row = 0
            self.last_push = time.monotonic()
        except ImageError as error:
            self._refuse(error)
        except Exception:
            # Whatever went wrong with one image must not silence the robot; it is counted, logged and diagnosed.
            self._fail()

    def _hand_on(self, *updates: Update) -> None:
        for update in updates:
            if update.events:
                self._publish(update, self._frame_id)

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
