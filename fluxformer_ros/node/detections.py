"""People as a detector with a tracker reports them: vision_msgs/Detection2DArray on `detections`."""

from __future__ import annotations

import importlib
import math
from typing import Any

from fluxformer_core.errors import ConfigError
from fluxformer_core.people.square import Person
from fluxformer_core.types import SECOND
from fluxformer_ros.node.messages import time_from_msg


def detection_type() -> Any:
    """The class of the message.

    Raises:
        ConfigError: if vision_msgs is not installed.
    """
    try:
        return importlib.import_module("vision_msgs.msg").Detection2DArray
    except ImportError as error:
        raise ConfigError("people: vision_msgs is not installed: apt install ros-$ROS_DISTRO-vision-msgs") from error


class Detections:
    """Keeps the newest detections until an image of about the same time comes.

    A detector needs time, so its boxes belong to an image of some tenths of a second ago. The boxes serve as present
    positions of the people, for one image only.

    Args:
        class_id: the detector's class of people; empty: every detection with an id is a person.
        expiry: s; the largest difference between the stamps of detections and of the image that they are used for.

    Attributes:
        received: messages.
        outdated: messages whose stamp was too far from that of the image.
        unusable: detections without an id, or without a box of finite numbers and some size.
    """

    def __init__(self, class_id: str, expiry: float) -> None:
        self.received = 0
        self.outdated = 0
        self.unusable = 0
        self._class_id, self._expiry = class_id, expiry
        self._newest: Any = None

    def put(self, message: Any) -> None:
        """Keep this message in place of the message before."""
        self.received += 1
        self._newest = message

    def people_at(self, stamp: int) -> list[Person] | None:
        """The people at an image's stamp (ns); None if no detections have arrived since the last call."""
        message, self._newest = self._newest, None
        if message is None:
            return None
        if abs(stamp - time_from_msg(message.header.stamp)) > self._expiry * SECOND:
            self.outdated += 1
            return None
        people = [self._person(detection) for detection in message.detections if self._is_person(detection)]
        self.unusable += people.count(None)
        return [person for person in people if person is not None]

    def _is_person(self, detection: Any) -> bool:
        return not self._class_id or any(result.hypothesis.class_id == self._class_id for result in detection.results)

    def _person(self, detection: Any) -> Person | None:
        box = detection.bbox
        centre = getattr(box.center, "position", box.center)  # before Humble, the centre itself had x and y
        numbers = (centre.x, centre.y, box.size_x, box.size_y)
        if not detection.id or not all(math.isfinite(number) for number in numbers) or min(numbers[2:]) <= 0:
            return None
        x, y, width, height = numbers
        return Person(detection.id, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
