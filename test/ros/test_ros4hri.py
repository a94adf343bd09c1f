"""ROS4HRI topics: bodies of another node in; bodies, limbs and gestures out; stand-ins replace hri_msgs."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from adapter_bench import Message, Topics

from fluxformer_core.people.person import JOINTS, FoundBy, Joints, Sighting
from fluxformer_core.people.tracker import Track
from fluxformer_core.types import SECOND, ActionEvent, EventKind, Update
from fluxformer_ros.node.adapters import Adapters
from fluxformer_ros.node.messages import time_to_msg
from fluxformer_ros.node.ros4hri import BodyTopics, TrackedBodies, body_id

SHAPE = (100, 200, 3)
TRACKED = "/humans/bodies/tracked"


class Gesture(Message):
    WAVING = 6


_KINDS = ("IdsList", "NormalizedRegionOfInterest2D", "Skeleton2D", "NormalizedPointOfInterest2D")
HRI: Any = SimpleNamespace(**dict.fromkeys(_KINDS, Message), Gesture=Gesture)


@pytest.mark.parametrize(
    ("person", "body"), [("7", "b7"), ("ann", "ann"), ("b_7", "b_7"), ("", ""), ("../x", ""), ("a__b", ""), ("é", "")]
)
def test_a_body_has_an_id_that_is_valid_in_a_topic(person: str, body: str) -> None:
    assert body_id(person) == body


def joints(**places: tuple[float, float]) -> Joints:
    points, visibility = np.zeros((33, 2), np.float32), np.zeros(33, np.float32)
    for name, place in places.items():
        points[JOINTS.index(name)], visibility[JOINTS.index(name)] = place, 0.75
    return Joints(points, visibility, np.zeros((33, 3), np.float32))


def test_bodies_are_told_with_region_and_skeleton() -> None:
    topics = Topics()
    seen = joints(nose=(100, 25), left_shoulder=(120, 40), right_shoulder=(80, 60), right_wrist=(-20, 50))
    ann = Track("7", Sighting((50.0, 20.0, 300.0, 90.0), FoundBy.POSE, 0.9, joints=seen), 0)
    bob = Track("bob", Sighting((0.0, 0.0, 20.0, 50.0), FoundBy.DEPTH), 0)
    bodies = BodyTopics(topics, HRI, follow=True)
    bodies.publish([ann, bob], SHAPE, SECOND, "eye")
    bodies.publish([], SHAPE, 2 * SECOND, "eye")
    assert [message.ids for message in topics.heard[TRACKED]] == [["b7", "bob"], []]
    (region,) = topics.heard["/humans/bodies/b7/roi"]
    assert (region.xmin, region.ymin, region.xmax, region.ymax, region.c) == (0.25, 0.2, 1.0, 0.9, 0.9)
    assert (region.header.stamp.sec, region.header.frame_id) == (1, "eye")
    (message,) = topics.heard["/humans/bodies/b7/skeleton2d"]
    points = [(point.x, point.y, point.c) for point in message.skeleton]
    assert len(points) == 18
    assert points[:3] == [(0.5, 0.25, 0.75), (0.5, 0.5, 0.75), (0.4, pytest.approx(0.6), 0.75)]  # nose, neck, shoulder
    assert points[4] == (0.0, 0.5, 0.0), "a wrist outside the image is not known"
    assert points[5][:2] == (pytest.approx(0.6), pytest.approx(0.4))
    assert "/humans/bodies/bob/skeleton2d" not in topics.heard


def test_where_another_node_follows_bodies_only_gestures_go_out() -> None:
    topics = Topics()
    bodies = BodyTopics(topics, HRI, follow=False)
    bodies.publish([Track("7", Sighting((0.0, 0.0, 9.0, 9.0), FoundBy.TOPIC), 0)], SHAPE, SECOND, "eye")
    assert not topics.heard
    bodies.gesture("ann", "wave", SECOND, "eye")
    assert list(topics.heard) == ["/humans/bodies/ann/gesture"]


def started(label: str, person: str, kind: EventKind = EventKind.STARTED) -> Update:
    return Update(events=(ActionEvent(SECOND, kind, label, 1, SECOND, person_id=person),))


def test_gestures_go_to_the_body_that_makes_them() -> None:
    topics = Topics()
    adapters = Adapters(topics, None, BodyTopics(topics, HRI, follow=False))
    others = [started("wave", "b7", EventKind.ENDED), started("wave", "b8", EventKind.RETRACTED)]
    others += [started("squat", "b7"), started("wave", ""), started("wave", "../x")]
    for update in (started("wave", "7"), *others):
        adapters.publish(update, "eye")
    ((topic, (message,)),) = topics.heard.items()
    assert (topic, message.gesture) == ("/humans/bodies/b7/gesture", 6)
    for number in range(40):
        adapters.publish(started("wave", f"{number}"), "eye")
    adapters.close()
    assert len(topics.destroyed) == len(topics.heard) == 40


def region(left: float, right: float, stamp: int = 10 * SECOND) -> Message:
    header = SimpleNamespace(stamp=time_to_msg(stamp))
    return Message(header=header, xmin=left, ymin=0.1, xmax=right, ymax=0.9)


def test_bodies_of_another_node_are_followed_while_it_does() -> None:
    topics = Topics()
    bodies = TrackedBodies(topics, HRI, 1.0)
    assert bodies.people_at(10 * SECOND, SHAPE) == [], "nobody before the first region"
    topics.callbacks[TRACKED](Message(ids=["ann", "bob", "../x"]))
    assert set(topics.callbacks) == {TRACKED, "/humans/bodies/ann/roi", "/humans/bodies/bob/roi"}
    topics.callbacks["/humans/bodies/ann/roi"](region(0.25, 0.5))
    topics.callbacks["/humans/bodies/bob/roi"](region(0.5, 0.75))
    ann, bob = bodies.people_at(10 * SECOND + SECOND // 2, SHAPE)
    assert (ann.id, ann.box, ann.found_by, bob.id) == ("ann", (50.0, 10.0, 100.0, 90.0), FoundBy.TOPIC, "bob")
    assert bodies.people_at(10 * SECOND + SECOND // 2, SHAPE) is None
    topics.callbacks[TRACKED](Message(ids=["bob"]))
    assert set(topics.callbacks) == {TRACKED, "/humans/bodies/bob/roi"}
    bodies.close()
    assert not topics.callbacks


def test_regions_of_another_time_or_without_size_are_left_out() -> None:
    topics = Topics()
    bodies = TrackedBodies(topics, HRI, 1.0)
    topics.callbacks[TRACKED](Message(ids=["ann", "bob", "eve"]))
    for name, told in (("ann", region(0.1, 0.5, SECOND)), ("bob", region(0.5, 0.5)), ("eve", region(math.nan, 0.5))):
        topics.callbacks[f"/humans/bodies/{name}/roi"](told)
    assert bodies.people_at(10 * SECOND, SHAPE) == []
    assert (bodies.received, bodies.outdated, bodies.unusable) == (3, 1, 2)
