"""ROS4HRI (REP-155): bodies that another node follows, in; bodies that this node follows, out."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription

from fluxformer_core.people.person import JOINTS, FoundBy, Joints, Sighting, region_in
from fluxformer_core.people.tracker import Track
from fluxformer_core.types import SECOND
from fluxformer_ros.node.messages import header_of, time_from_msg
from fluxformer_ros.node.parameters import FinderName

GESTURES = {"wave": "WAVING", "arm_cross": "ARMS_CROSSED"}
"""Labels that have a name among the gestures of REP-155."""

_NECK = len(JOINTS)  # place of the point between the shoulders, behind the joints
SKELETON = [
    _NECK if name == "neck" else JOINTS.index(name)
    for name in (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "left_eye", "right_eye",
        "left_ear", "right_ear",
    )
]  # fmt: skip
"""The points of hri_msgs/Skeleton2D, by the place of the joint."""

_TRACKED, _BODY = "/humans/bodies/tracked", "/humans/bodies/{}/{}"
_MOST_BODIES = 16  # bodies whose topics exist at once


def body_id(person: str) -> str:
    """The id of a person's body, which is part of topic names; empty if the id has no valid form."""
    body = f"b{person}" if person[:1].isdigit() else person
    return body if re.fullmatch("[A-Za-z0-9_]+", body) and "__" not in body else ""


class BodyTopics:
    """Publishes where people are, their limbs and their gestures under `/humans/bodies`.

    Args:
        node: owns the topics.
        hri: the module hri_msgs.msg.
        follow: whether this node says which bodies there are; False: another node does.
    """

    def __init__(self, node: Node, hri: ModuleType, *, follow: bool) -> None:
        self._node, self._hri = node, hri
        self._bodies: dict[str, dict[str, Publisher[Any]]] = {}  # the one that was first seen is first
        self._tracked = node.create_publisher(hri.IdsList, _TRACKED, 10) if follow else None

    def close(self) -> None:
        """Destroy the topics."""
        while self._bodies:
            self._forget_oldest()
        if self._tracked is not None:
            self._node.destroy_publisher(self._tracked)

    def publish(self, people: Sequence[Track], shape: tuple[int, ...], stamp: int, frame_id: str) -> None:
        """Publish everybody in an image of a shape (H, W, ...)."""
        if self._tracked is None:
            return
        bodies = [(body, person) for person in people if (body := body_id(person.id))]
        header = header_of(stamp, frame_id)
        self._tracked.publish(self._hri.IdsList(header=header, ids=[body for body, _ in bodies]))
        height, width = shape[:2]
        for body, person in bodies:
            left, top, right, bottom = region_in(person.sighting.box, shape)
            kind = self._hri.NormalizedRegionOfInterest2D
            corners = dict(xmin=left / width, ymin=top / height, xmax=right / width, ymax=bottom / height)
            self._topic(body, "roi", kind).publish(kind(header=header, c=person.sighting.score, **corners))
            if person.sighting.joints is not None:
                points = self._points(person.sighting.joints, width, height)
                skeleton = self._hri.Skeleton2D(header=header, skeleton=points)
                self._topic(body, "skeleton2d", self._hri.Skeleton2D).publish(skeleton)

    def gesture(self, person: str, label: str, stamp: int, frame_id: str) -> None:
        """Publish that a person makes a gesture, if the gesture has a name and the person's id a valid form."""
        if label in GESTURES and (body := body_id(person)):
            message = self._hri.Gesture(header=header_of(stamp, frame_id))
            message.gesture = getattr(self._hri.Gesture, GESTURES[label])
            self._topic(body, "gesture", self._hri.Gesture).publish(message)

    def _points(self, joints: Joints, width: int, height: int) -> list[Any]:
        """The joints in the order of Skeleton2D, in shares of the image; what is outside has no confidence."""
        shoulders = [JOINTS.index("left_shoulder"), JOINTS.index("right_shoulder")]
        points = np.vstack([joints.points, joints.points[shoulders].mean(axis=0)])[SKELETON] / (width, height)
        sure = np.append(joints.visibility, joints.visibility[shoulders].min())[SKELETON]
        within = np.clip(points, 0, 1)
        sure = np.where((within == points).all(axis=1), sure, 0)
        point = self._hri.NormalizedPointOfInterest2D
        return [point(x=x, y=y, c=c) for (x, y), c in zip(within.tolist(), sure.tolist(), strict=True)]

    def _topic(self, body: str, name: str, kind: Any) -> Publisher[Any]:
        if body not in self._bodies:
            if len(self._bodies) >= _MOST_BODIES:
                self._forget_oldest()
            self._bodies[body] = {}
        topics = self._bodies[body]
        if name not in topics:
            topics[name] = self._node.create_publisher(kind, _BODY.format(body, name), 10)
        return topics[name]

    def _forget_oldest(self) -> None:
        for publisher in self._bodies.pop(next(iter(self._bodies))).values():
            self._node.destroy_publisher(publisher)


class TrackedBodies:
    """Keeps the newest region of each body that another node follows, until an image of about the same time comes.

    Args:
        node: owns the subscriptions.
        hri: the module hri_msgs.msg.
        expiry: s; the largest difference between the stamps of a region and of the image that it is used for.

    Attributes:
        received: regions.
        outdated: regions whose stamp was too far from the image's stamp.
        unusable: regions that are not finite numbers, or have no size.
    """

    finder: FinderName = "hri"

    def __init__(self, node: Node, hri: ModuleType, expiry: float) -> None:
        self.received = self.outdated = self.unusable = 0
        self._node, self._hri, self._expiry = node, hri, expiry
        self._lock = threading.Lock()
        self._newest: dict[str, Any] = {}
        self._bodies: dict[str, Subscription[Any]] = {}
        self._tracked = node.create_subscription(hri.IdsList, _TRACKED, self._follow, qos_profile_sensor_data)

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in (self._tracked, *self._bodies.values()):
            self._node.destroy_subscription(subscription)
        self._bodies.clear()

    def people_at(self, stamp: int, shape: tuple[int, ...]) -> list[Sighting] | None:
        """The people at the stamp (ns) of an image of a shape (H, W, ...).

        None: no region since the last call. There is nobody before the first region.
        """
        with self._lock:
            newest, self._newest = self._newest, {}
        if not newest:
            return None if self.received else []
        found = []
        for body, region in newest.items():
            corners = region.xmin, region.ymin, region.xmax, region.ymax
            if abs(stamp - time_from_msg(region.header.stamp)) > self._expiry * SECOND:
                self.outdated += 1
            elif not all(map(math.isfinite, corners)) or region.xmin >= region.xmax or region.ymin >= region.ymax:
                self.unusable += 1
            else:
                left, top, right, bottom = np.multiply(corners, (shape[1], shape[0]) * 2).tolist()
                found.append(Sighting((left, top, right, bottom), FoundBy.TOPIC, id=body))
        return found

    def _follow(self, message: Any) -> None:
        for body in self._bodies.keys() - set(message.ids):
            self._node.destroy_subscription(self._bodies.pop(body))
        for body in set(message.ids) - self._bodies.keys():
            if body and body_id(body) == body:
                self._bodies[body] = self._node.create_subscription(
                    self._hri.NormalizedRegionOfInterest2D,
                    _BODY.format(body, "roi"),
                    lambda region, body=body: self._put(body, region),
                    qos_profile_sensor_data,
                )

    def _put(self, body: str, region: Any) -> None:
        self.received += 1
        with self._lock:
            self._newest[body] = region
