"""Detections in, messages of other packages out; stand-ins replace the packages that have no wheel."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from adapter_bench import VISION, Topics
from helpers import StandInFinder
from rclpy.logging import get_logger
from ros_bench import LABELS, wait_until

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import ConfigError
from fluxformer_core.people.person import FoundBy, Sighting
from fluxformer_core.people.tracker import Track
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.measurements import ResetCause
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, ActionScore, Pixels, Recognition, State, Update
from fluxformer_ros.node.adapters import Adapters, Detections, needed
from fluxformer_ros.node.images import image_to_msg
from fluxformer_ros.node.messages import time_to_msg
from fluxformer_ros.node.worker import Worker


def detections(*people: Any, stamp: int = 10 * SECOND) -> Any:
    return SimpleNamespace(header=SimpleNamespace(stamp=time_to_msg(stamp)), detections=list(people))


def detection(id: str = "7", x: float = 50.0, height: float = 40.0, class_id: str = "person") -> Any:
    centre = SimpleNamespace(position=SimpleNamespace(x=x, y=30.0), theta=0.0)
    box = SimpleNamespace(center=centre, size_x=20.0, size_y=height)
    return SimpleNamespace(id=id, bbox=box, results=[SimpleNamespace(hypothesis=SimpleNamespace(class_id=class_id))])


SHAPE = (60, 90, 3)


def subscribed(class_id: str = "") -> Detections:
    return Detections(Topics(), VISION, class_id, 1.0)


@pytest.mark.parametrize("nested", [True, False], ids=["since Humble", "before Humble"])
def test_boxes_are_given_by_their_edges(nested: bool) -> None:
    newest, one = subscribed(), detection()
    if not nested:
        one.bbox.center = one.bbox.center.position
    newest.put(detections(one))
    (person,) = newest.people_at(10 * SECOND, SHAPE)
    assert (person.id, person.box) == ("7", (40.0, 10.0, 60.0, 50.0))


def test_detections_are_used_once_and_only_near_their_time() -> None:
    newest = subscribed()
    assert newest.people_at(10 * SECOND, SHAPE) == [], "nobody before the first detections"
    newest.put(detections(detection()))
    assert newest.people_at(10 * SECOND + SECOND // 2, SHAPE) != []
    assert newest.people_at(10 * SECOND + SECOND // 2, SHAPE) is None
    newest.put(detections(detection()))
    assert newest.people_at(20 * SECOND, SHAPE) is None
    assert (newest.received, newest.outdated) == (2, 1)


def test_detections_that_are_no_person_or_no_box_are_left_out() -> None:
    newest = subscribed("person")
    wrong = [{"class_id": "dog"}, {"id": ""}, {"x": math.nan}, {"height": 0.0}]
    newest.put(detections(*(detection(**one) for one in wrong), detection("9")))
    assert [person.id for person in newest.people_at(10 * SECOND, SHAPE)] == ["9"]
    assert newest.unusable == 3


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", None)
    with pytest.raises(ConfigError, match=r"apt install ros-\$ROS_DISTRO-vision-msgs"):
        needed("vision_msgs", "detections")


SCORES = (ActionScore("clap", 0.7), ActionScore("wave", 0.2))
ACTION = Recognition(SECOND, 0, SECOND, State.ACTION, "clap", 0.7, SCORES)


def test_recognitions_become_classifications_with_numbered_classes() -> None:
    topics = Topics()
    adapters = Adapters(topics, VISION, None)
    adapters.announce(("wave", "clap"), 0.5, SECOND)
    (info,) = topics.heard["~/label_info"]
    assert [(entry.class_id, entry.class_name) for entry in info.class_map] == [(0, "wave"), (1, "clap")]
    assert info.threshold == 0.5
    adapters.publish(Update((ACTION,)), "eye")
    adapters.publish(Update((Recognition(SECOND, 0, SECOND, State.UNKNOWN, scores=SCORES),)), "eye")
    action, unknown = topics.heard["~/classification"]
    assert [(result.class_id, result.score) for result in action.results] == [("1", 0.7), ("0", 0.2)]
    assert action.header.frame_id == "eye"
    assert not hasattr(unknown, "results")
    assert len(adapters.publishers) == 3


def test_people_become_detections() -> None:
    topics, box = Topics(), (10.0, 20.0, 40.0, 80.0)
    ann = Track("7", Sighting(box, FoundBy.POSE, 0.9), 0)
    Adapters(topics, VISION, None).publish_people([ann], SHAPE, SECOND, "eye")
    (message,) = topics.heard["~/detections"]
    (seen,) = message.detections
    assert (message.header.frame_id, seen.header, seen.id) == ("eye", message.header, "7")
    assert (seen.results[0].hypothesis.class_id, seen.results[0].hypothesis.score) == ("person", 0.9)
    back = subscribed("person")
    back.put(message)
    (person,) = back.people_at(SECOND, SHAPE)
    assert (person.id, person.box) == ("7", box)


def test_without_the_packages_nothing_is_published() -> None:
    topics = Topics()
    adapters = Adapters(topics, None, None)
    adapters.announce(LABELS, 0.5, SECOND)
    adapters.publish(Update((ACTION,)), "eye")
    adapters.publish_people([], SHAPE, SECOND, "eye")
    assert (dict(topics.heard), adapters.publishers) == ({}, [])


def test_a_worker_recognises_every_detected_person(bundle: Bundle, request: pytest.FixtureRequest) -> None:
    recognizer = Recognizer(bundle, RecognizerConfig(view="person"), finder=StandInFinder())
    updates, newest = [], subscribed()
    logger = get_logger("people_test")
    worker = Worker(recognizer, lambda update, _: updates.append(update), logger, 1, people_at=newest.people_at)
    request.addfinalizer(worker.stop)
    worker.start()
    for index in range(5):
        stamp = 10 * SECOND + index * SECOND // 20
        newest.put(detections(detection("ann", 20.0), detection("bob", 70.0), stamp=stamp))
        worker.mailbox.put(image_to_msg(np.zeros((60, 90, 3), np.uint8), Pixels.RGB, stamp, "eye"))
        wait_until(lambda index=index: worker.pushed > index)
    said = {recognition.person_id for update in updates for recognition in update.recognitions}
    assert said == {"ann", "bob"}
    assert (worker.recognizer.counters.frames, worker.recognizer.counters.admitted) == (5, 5)
    worker.reset(ResetCause.REQUESTED)
    assert worker.recognizer.views == ()
