"""Messages of vision_msgs, where this package is installed: detected people in; people and classifications out."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data

from fluxformer_core.errors import ConfigError
from fluxformer_core.people.person import FoundBy, Sighting
from fluxformer_core.people.tracker import Track
from fluxformer_core.types import SECOND, EventKind, Recognition, State, Update
from fluxformer_ros.node.messages import header_of, time_from_msg
from fluxformer_ros.node.parameters import FinderName
from fluxformer_ros.node.ros4hri import BodyTopics

PERSON = "person"
"""Class of the detections that are published."""

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def installed(package: str) -> ModuleType | None:
    """The message module of a package; None if the package is not installed."""
    try:
        return importlib.import_module(f"{package}.msg")
    except ImportError:
        return None


def needed(package: str, finder: str) -> ModuleType:
    """The message module of a package that a `finder` needs.

    Raises:
        ConfigError: if the package is not installed.
    """
    if (module := installed(package)) is None:
        name = package.replace("_", "-")
        raise ConfigError(f"finder {finder}: {package} is not installed: apt install ros-$ROS_DISTRO-{name}")
    return module


class Detections:
    """Keeps the newest detections until an image of about the same time comes.

    A detector needs time, so its boxes belong to an image of some tenths of a second ago. The boxes serve as present
    positions of the people, for one image only.

    Args:
        node: owns the subscription.
        vision: the module vision_msgs.msg.
        class_id: the detector's class of people; empty: every detection with an id is a person.
        expiry: s; the largest difference between the stamps of detections and of the image that they are used for.

    Attributes:
        received: messages.
        outdated: messages whose stamp was too far from the image's stamp.
        unusable: detections without an id, or without a box of finite numbers and some size.
    """

    finder: FinderName = "detections"

    def __init__(self, node: LifecycleNode, vision: ModuleType, class_id: str, expiry: float) -> None:
        self.received = self.outdated = self.unusable = 0
        self._node, self._class_id, self._expiry = node, class_id, expiry
        self._newest: Any = None
        self._subscription = node.create_subscription(
            vision.Detection2DArray, "detections", self.put, qos_profile_sensor_data
        )

    def close(self) -> None:
        """Destroy the subscription."""
        self._node.destroy_subscription(self._subscription)

    def put(self, message: Any) -> None:
        """Keep this message in place of the message before."""
        self.received += 1
        self._newest = message

    def people_at(self, stamp: int, _shape: tuple[int, ...]) -> list[Sighting] | None:
        """The people at an image's stamp (ns); None: no detections since the last call.

        There is nobody before the first detections.
        """
        message, self._newest = self._newest, None
        if message is None:
            return None if self.received else []
        if abs(stamp - time_from_msg(message.header.stamp)) > self._expiry * SECOND:
            self.outdated += 1
            return None
        people = [self._person(detection) for detection in message.detections if self._is_person(detection)]
        self.unusable += people.count(None)
        return [person for person in people if person is not None]

    def _is_person(self, detection: Any) -> bool:
        return not self._class_id or any(result.hypothesis.class_id == self._class_id for result in detection.results)

    def _person(self, detection: Any) -> Sighting | None:
        box = detection.bbox
        centre = getattr(box.center, "position", box.center)  # before Humble, the centre itself had x and y
        numbers = (centre.x, centre.y, box.size_x, box.size_y)
        if not detection.id or not all(math.isfinite(number) for number in numbers) or min(numbers[2:]) <= 0:
            return None
        x, y, width, height = numbers
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return Sighting(corners, FoundBy.TOPIC, id=detection.id)


class Adapters:
    """Publishes recognitions and people as vision_msgs, and events and people as hri_msgs.

    `~/classification` (vision_msgs/Classification) carries the scores of each recognition. Its classes are numbers;
    `~/label_info` (vision_msgs/LabelInfo, transient local) maps the numbers to labels. `~/detections`
    (vision_msgs/Detection2DArray) carries the people of each image. An action that starts, or gets another label, goes
    to the topics of the body as a gesture. Where a package is None nothing goes out for it.
    """

    def __init__(self, node: LifecycleNode, vision: ModuleType | None, bodies: BodyTopics | None) -> None:
        self._vision, self._bodies = vision, bodies
        self._ids: dict[str, str] = {}
        if vision is not None:
            self._scores = node.create_lifecycle_publisher(vision.Classification, "~/classification", 10)
            self._labels = node.create_lifecycle_publisher(vision.LabelInfo, "~/label_info", _LATCHED)
            self._people = node.create_lifecycle_publisher(vision.Detection2DArray, "~/detections", 10)

    @property
    def publishers(self) -> list[LifecyclePublisher[Any]]:
        """The publishers, for the node to destroy."""
        return [] if self._vision is None else [self._scores, self._labels, self._people]

    def close(self) -> None:
        """Destroy the topics of bodies."""
        if self._bodies is not None:
            self._bodies.close()

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
        if self._bodies is not None:
            for event in update.events:
                if event.kind in (EventKind.STARTED, EventKind.UPDATED):
                    self._bodies.gesture(event.person_id, event.label, event.stamp, frame_id)

    def publish_people(self, people: Sequence[Track], shape: tuple[int, ...], stamp: int, frame_id: str) -> None:
        """Publish everybody in an image of a shape (H, W, ...)."""
        if self._bodies is not None:
            self._bodies.publish(people, shape, stamp, frame_id)
        if self._vision is not None:
            header = header_of(stamp, frame_id)
            detections = [self._detection(person, header) for person in people]
            self._people.publish(self._vision.Detection2DArray(header=header, detections=detections))

    def _classify(self, recognition: Recognition, frame_id: str) -> None:
        assert self._vision is not None
        message = self._vision.Classification(header=header_of(recognition.stamp, frame_id))
        if recognition.state is State.ACTION:  # an empty list says that no known action is going on
            score, ids = self._vision.ObjectHypothesis, self._ids
            known = [entry for entry in recognition.scores if entry.label in ids]
            message.results = [score(class_id=ids[entry.label], score=entry.score) for entry in known]
        self._scores.publish(message)

    def _detection(self, person: Track, header: Any) -> Any:
        vision, (left, top, right, bottom) = self._vision, person.sighting.box
        assert vision is not None
        centre = vision.Pose2D(position=vision.Point2D(x=(left + right) / 2, y=(top + bottom) / 2))
        box = vision.BoundingBox2D(center=centre, size_x=right - left, size_y=bottom - top)
        hypothesis = vision.ObjectHypothesis(class_id=PERSON, score=person.sighting.score)
        results = [vision.ObjectHypothesisWithPose(hypothesis=hypothesis)]
        return vision.Detection2D(header=header, id=person.id, bbox=box, results=results)
