"""Messages of other packages, where these are installed: detected people in, classifications and gestures out."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile

from fluxformer_core.errors import ConfigError
from fluxformer_core.people.square import Person
from fluxformer_core.types import SECOND, EventKind, Recognition, State, Update
from fluxformer_ros.node.messages import header_of, time_from_msg

_MOST_BODIES = 16  # gesture topics that exist at once
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
GESTURES = {"wave": "WAVING", "arm_cross": "ARMS_CROSSED"}
"""Labels that have a name among the gestures of REP-155."""


def installed(package: str) -> ModuleType | None:
    """The message module of a package; None if the package is not installed."""
    try:
        return importlib.import_module(f"{package}.msg")
    except ImportError:
        return None


def detection_type() -> Any:
    """The class of messages on `detections`; raises a ConfigError if vision_msgs is not installed."""
    if (vision := installed("vision_msgs")) is None:
        raise ConfigError("people: vision_msgs is not installed: apt install ros-$ROS_DISTRO-vision-msgs")
    return vision.Detection2DArray


class Detections:
    """Keeps the newest detections until an image of about the same time comes.

    A detector needs time, so its boxes belong to an image of some tenths of a second ago. The boxes serve as present
    positions of the people, for one image only.

    Args:
        class_id: the detector's class of people; empty: every detection with an id is a person.
        expiry: s; the largest difference between the stamps of detections and of the image that they are used for.
    """

    def __init__(self, class_id: str, expiry: float) -> None:
        self.received = 0  # messages
        self.outdated = 0  # messages whose stamp was too far from the image's stamp
        self.unusable = 0  # detections without an id, or without a box of finite numbers and some size
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


class Adapters:
    """Publishes recognitions as vision_msgs and events as hri_msgs.

    `~/classification` (vision_msgs/Classification) carries the scores of each recognition. Its classes are numbers;
    `~/label_info` (vision_msgs/LabelInfo, transient local) maps the numbers to labels. An action that starts, or gets
    another label, and has a name in REP-155 goes to `/humans/bodies/<person_id>/gesture` (hri_msgs/Gesture), if people
    are told apart and the person's id is valid in a topic's name. Where a package is None nothing goes out for it.
    """

    def __init__(self, node: LifecycleNode, vision: ModuleType | None, hri: ModuleType | None) -> None:
        self._node, self._vision, self._hri = node, vision, hri
        self._ids: dict[str, str] = {}
        self._bodies: dict[str, Publisher[Any]] = {}
        if vision is not None:
            self._scores = node.create_lifecycle_publisher(vision.Classification, "~/classification", 10)
            self._labels = node.create_lifecycle_publisher(vision.LabelInfo, "~/label_info", _LATCHED)

    @property
    def publishers(self) -> list[LifecyclePublisher[Any]]:
        """The publishers, for the node to destroy."""
        return [] if self._vision is None else [self._scores, self._labels]

    def close(self) -> None:
        """Destroy the gesture topics."""
        for publisher in self._bodies.values():
            self._node.destroy_publisher(publisher)
        self._bodies.clear()

    def announce(self, labels: Sequence[str], threshold: float, stamp: int) -> None:
        """Publish the labels that are known from a stamp (ns) on, and the score from which an action is reported."""
        self._ids = {label: str(number) for number, label in enumerate(labels)}
        if self._vision is not None:
            message = self._vision.LabelInfo(header=header_of(stamp), threshold=threshold)
            name = self._vision.VisionClass
            message.class_map = [name(class_id=number, class_name=label) for number, label in enumerate(labels)]
            self._labels.publish(message)

    def publish(self, update: Update, frame_id: str) -> None:
        """Publish what one image led to."""
        if self._vision is not None:
            for recognition in update.recognitions:
                self._classify(recognition, frame_id)
        if self._hri is not None:
            for event in update.events:
                if event.kind in (EventKind.STARTED, EventKind.UPDATED) and event.person_id and event.label in GESTURES:
                    self._gesture(event.person_id, event.label, event.stamp, frame_id)

    def _classify(self, recognition: Recognition, frame_id: str) -> None:
        assert self._vision is not None
        message = self._vision.Classification(header=header_of(recognition.stamp, frame_id))
        if recognition.state is State.ACTION:  # an empty list says that no known action is going on
            score, ids = self._vision.ObjectHypothesis, self._ids
            known = [entry for entry in recognition.scores if entry.label in ids]
            message.results = [score(class_id=ids[entry.label], score=entry.score) for entry in known]
        self._scores.publish(message)

    def _gesture(self, person: str, label: str, stamp: int, frame_id: str) -> None:
        if not re.fullmatch("[A-Za-z0-9_]+", person) or "__" in person:
            return
        assert self._hri is not None
        if person not in self._bodies:
            if len(self._bodies) >= _MOST_BODIES:
                self._node.destroy_publisher(self._bodies.pop(next(iter(self._bodies))))
            topic = f"/humans/bodies/{person}/gesture"
            self._bodies[person] = self._node.create_publisher(self._hri.Gesture, topic, 10)
        message = self._hri.Gesture(header=header_of(stamp, frame_id))
        message.gesture = getattr(self._hri.Gesture, GESTURES[label])
        self._bodies[person].publish(message)
