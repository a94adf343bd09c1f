"""The node where people are told apart: people on their topic, in diagnostics, and as teachers; over real DDS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fluxformer.msg import People, Recognition
from helpers import StandInFinder
from rclpy.logging import get_logger
from ros_bench import LABELS, Robot, robot_and_recognizer
from test_recognizer_node import EAGER

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import PeopleError
from fluxformer_core.people.finder import Finder
from fluxformer_core.people.person import FoundBy, Sighting
from fluxformer_core.stream import recognizer as recognizer_module
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.measurements import RecentValues
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Pixels
from fluxformer_ros.node.diagnostics import ImageTopic, diagnose
from fluxformer_ros.node.enrollment import Enrollment
from fluxformer_ros.node.health import HealthMonitor
from fluxformer_ros.node.worker import Worker

EMPTY = np.zeros((120, 160, 3), np.uint8)


@pytest.fixture(scope="module")
def robot(ros: None, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    log, settings = tmp_path_factory.mktemp("node") / "stderr", {**EAGER, "view": "person", "person_expiry": 0.5}
    with robot_and_recognizer(log, "people", model=model, **settings) as (robot, process):
        robot.ready()
        yield robot
        assert process.process.poll() is None, process.said
        assert "Traceback" not in process.said


def test_a_person_is_told_until_they_leave(robot: Robot) -> None:
    heard: list[People] = []
    subscription = robot.node.create_subscription(People, "recognizer/people", heard.append, 100)
    robot.wait(subscription.get_publisher_count, "people")
    robot.show(45)
    robot.wait(lambda: any(message.people for message in heard), "a person")
    (person,) = next(message.people for message in heard if message.people)
    region = person.region
    assert (person.found_by, len(person.joints), np.isnan(person.distance)) == ("pose", 33, True)
    assert region.width < region.height <= 120
    said = [recognition for recognition in robot.recognitions if recognition.state == Recognition.ACTION]
    assert {(recognition.person_id, recognition.found_by) for recognition in said} == {(person.id, "pose")}
    assert all(0 < recognition.region.width < 160 for recognition in said)
    assert {(event.person_id, event.region.height > 0) for event in robot.events} == {(person.id, True)}
    assert said[0].scores[0].label in LABELS
    _, values = robot.fresh_status()
    assert (values["view"], values["people"]) == ("person", person.id)
    assert int(values["people looks"]) > 0
    assert float(values["people p50 [ms]"]) > 0
    robot.play([EMPTY] * 30)
    robot.wait(lambda: robot.recognitions[-1].state == Recognition.NOBODY, "an empty room")
    robot.wait(lambda: not heard[-1].people, "an empty list")
    assert robot.counts()["people lost"] == 1
    robot.node.destroy_subscription(subscription)


def test_who_is_not_there_cannot_teach(bundle: Bundle) -> None:
    finder = StandInFinder(Sighting((10.0, 10.0, 60.0, 110.0), FoundBy.POSE))
    recognizer = Recognizer(bundle, RecognizerConfig(view="person"), finder=finder)
    for i in range(4):
        recognizer.push(EMPTY, SECOND + i * SECOND // 20)
    enrollment = SimpleNamespace(
        _active=True, _session=None, _model=SimpleNamespace(bundle=bundle, recognizer=recognizer)
    )

    def refusal(person: str) -> str:
        return Enrollment._refusal(enrollment, SimpleNamespace(label="hail", examples=1, person_id=person), 1.0)

    assert "person 7 is not in view" in refusal("7")
    assert "not in view" not in refusal("1")
    assert "not in view" not in refusal("")
    enrollment._model.recognizer = Recognizer(bundle)
    assert "leave person_id empty" in refusal("1")


def test_diagnostics_say_why_the_scene_is_watched(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_pixels: Pixels) -> Finder:
        raise PeopleError("LiteRT cannot be loaded")

    monkeypatch.setattr(recognizer_module, "create_finder", missing)
    recognizer = Recognizer(bundle, RecognizerConfig(view="person"))
    worker = Worker(recognizer, lambda _update, _frame: None, get_logger("person_view_test"), 1)
    worker.start()
    worker.stop()
    overlay: Any = SimpleNamespace(drawn=0, skipped=0, durations=RecentValues())
    health = HealthMonitor().active(worker, ImageTopic(), overlay, None)
    assert (health.people, health.shown["view"]) == (None, "scene")
    assert "LiteRT cannot be loaded; until then the whole scene is watched" in diagnose(health)[1]
