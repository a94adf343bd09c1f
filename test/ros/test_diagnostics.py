"""The diagnosis: every fault has a level and a sentence that tells what to do."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from fluxformer_core.stream.measurements import RecentValues
from fluxformer_ros.node.diagnostics import Health, ImageTopic, Updater, diagnose, fill
from fluxformer_ros.node.health import Rate
from fluxformer_ros.node.parameters import FinderName

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
TOPIC = ImageTopic("/camera/image", publishers=1)
COUNTS = {"images received": 1500, "images pushed": 1500}
DETECTIONS = "detection messages", "detection messages outdated", "detections unusable"
RATES = {
    "input_rate": ("images received", 30.0),
    "pushed_rate": ("images pushed", 30.0),
    "refused_rate": ("images refused", 0.0),
    "lost_rate": ("images lost in transport", 0.0),
    "stuck_rate": ("images with a repeated stamp", 0.0),
    "late_rate": ("images late", 0.0),
    "recognition_rate": ("recognitions", 7.5),
}
TIMES = {"active_for": 60.0, "flowing_for": 50.0, "input_age": 0.03}
WELL = Health("active", image=TOPIC, trained_rate=15.0, counts=COUNTS, rates=dict(RATES.values()), **TIMES)


def alone(finder: FinderName, *counts: int) -> Health:
    """Nobody is followed; counts of what an outside finder sent."""
    return ill(counts=dict(zip(DETECTIONS, counts, strict=True)), people=(), finder=finder)


def ill(image: dict[str, object] | None = None, counts: dict[str, int] | None = None, **changes: Any) -> Health:
    """A healthy node but for the changes; names that end in `_rate` change rates."""
    rates = {RATES[name][0]: changes.pop(name) for name in [*changes] if name in RATES}
    health = replace(WELL, image=replace(TOPIC, **(image or {})), **changes)
    return replace(health, counts={**COUNTS, **(counts or {})}, rates={**WELL.rates, **rates})


@pytest.mark.parametrize(
    ("health", "level", "words"),
    [
        (WELL, OK, "recognising"),
        (Health(state="inactive"), OK, "activate"),
        (Health("unconfigured", "no such model file"), ERROR, "no such model file"),
        (ill({"publishers": 0}, {"images received": 0}, input_age=math.inf), WARN, "remap `image`"),
        (ill(counts={"images received": 0}, input_age=math.inf), WARN, "FASTDDS_DEFAULT_PROFILES_FILE=/"),
        (ill(lost_rate=27.0, input_rate=1.0), WARN, "reliability to reliable"),
        (ill(lost_rate=27.0, input_rate=0.0, input_age=4.0), WARN, "27.0 images per second are lost"),
        (ill(lost_rate=1.0), OK, "recognising"),
        (ill({"publishers": 0}, {"images received": 0}, input_age=math.inf, active_for=1.0), OK, "recognising"),
        (ill(input_age=2.5), WARN, "no image on /camera/image for 2.5 s"),
        (ill({"incompatible_qos": "RELIABILITY"}), WARN, "qos_overrides./camera/image.subscription"),
        (ill(input_rate=5.0, pushed_rate=5.0), WARN, "raise it to the model's 15 Hz"),
        (ill(input_rate=5.0, pushed_rate=5.0, flowing_for=1.0), OK, "recognising"),
        (ill(input_rate=5.0, pushed_rate=5.0, input_age=1.0), OK, "recognising"),
        (ill(pushed_rate=9.0), WARN, "lower recognition_rate"),
        (ill(stuck_rate=29.0), WARN, "stamps of the images do not advance"),
        (ill(refused_rate=30.0, refused_in_a_row=10, last_refusal="bad encoding"), ERROR, "can be used: bad encoding"),
        (ill(refused_rate=10.0, refused_in_a_row=1, last_refusal="cut short"), WARN, "cannot be used: cut short"),
        (ill(last_failure="KeyError: 3", failure_age=2.0), ERROR, "KeyError: 3"),
        (ill(last_failure="KeyError: 3", failure_age=60.0), OK, "recognising"),
        (ill(stamp_age=-90.0), WARN, "90 s ahead of this node's clock: for a bag set use_sim_time"),
        (ill(stamp_age=1e9), WARN, "1000000000 s behind"),
        (ill({"sim_time": True}, stamp_age=90.0), WARN, "publish /clock with the images"),
        (ill(stamp_age=0.2), OK, "recognising"),
        (ill({"sim_time": True, "clock_runs": False}), WARN, "nothing publishes /clock"),
        (ill(durations={"stamp to publish": (90.0, 700.0, 900.0)}), WARN, "comes 700 ms or more after its image"),
        (ill(durations={"stamp to publish": (90.0, 120.0, 900.0)}), OK, "recognising"),
        (ill(people=()), OK, "recognising"),
        (ill(obstacle="LiteRT cannot be loaded"), WARN, "LiteRT cannot be loaded; until then the whole scene is"),
        (alone("detections", 0, 0, 0), WARN, "remap `detections`"),
        (alone("detections", 9, 9, 0), WARN, "must copy the image's header"),
        (alone("detections", 9, 0, 3), WARN, "run a tracker"),
        (alone("detections", 9, 0, 0), OK, "recognising"),
        (alone("hri", 0, 0, 0), WARN, "start a ROS4HRI node"),
        (alone("hri", 9, 0, 9), WARN, "have no size"),
        (ill(input_age=9.0, last_failure="KeyError: 3", failure_age=2.0), ERROR, "KeyError: 3"),
    ],
)
def test_every_fault_has_its_level_and_its_cure(health: Health, level: bytes, words: str) -> None:
    found, message = diagnose(health)
    assert words in message
    assert found == level


def test_two_faults_of_one_level_are_both_named() -> None:
    _, message = diagnose(ill({"incompatible_qos": "DURABILITY"}, input_age=5.0))
    assert re.search("DURABILITY.*; .*still running", message)


def test_the_status_carries_every_count_and_duration() -> None:
    health = ill(
        counts={"refused: damaged rgb8 image": 3, "resets: gap": 2, "images replaced": 7},
        durations={"forward": (20.0, 25.0, 40.123)},
        people=("ann", "bob"),
        hardware="cpu",
        shown={"device": "cpu", "cpu [%]": math.nan, "cpu: all [s]": 1.23456},
    )
    status = DiagnosticStatus()
    fill(status, health)
    values = {entry.key: entry.value for entry in status.values}
    assert (status.level, status.message, status.hardware_id) == (*diagnose(health), "cpu")
    assert (values["refused: damaged rgb8 image"], values["resets: gap"]) == ("3", "2")
    assert (values["forward p50 [ms]"], values["forward p99 [ms]"]) == ("20.00", "40.12")
    assert (values["images replaced"], values["device"], values["people"]) == ("7", "cpu", "ann, bob")
    assert (values["cpu [%]"], values["cpu: all [s]"], values["input rate [Hz]"]) == ("", "1.2346", "30.00")
    assert len(values) == len(status.values)


def test_an_idle_node_shows_its_state() -> None:
    status = DiagnosticStatus()
    fill(status, Health("inactive", shown={"memory [MiB]": 300.0}))
    assert {entry.key: entry.value for entry in status.values} == {"state": "inactive", "memory [MiB]": "300.00"}


def test_the_updater_publishes_every_task_with_the_nodes_name_and_clock() -> None:
    sent: list[DiagnosticArray] = []
    node: Any = SimpleNamespace(
        create_publisher=lambda _kind, topic, _qos: SimpleNamespace(publish=sent.append) if topic[0] == "/" else None,
        create_timer=lambda period, update, clock: None,
        get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: Time(sec=3, nanosec=2))),
        get_fully_qualified_name=lambda: "/robot/recognizer",
    )
    updater = Updater(node)
    updater.add("recognition", lambda status: fill(status, WELL))
    updater.add("other", lambda status: None)
    updater.update()
    (array,) = sent
    assert (array.header.stamp.sec, array.header.stamp.nanosec) == (3, 2)
    assert [status.name for status in array.status] == ["robot/recognizer: recognition", "robot/recognizer: other"]
    assert array.status[0].message == "recognising"


def test_a_rate_is_growth_per_second_over_the_last_readings() -> None:
    rate = Rate(readings=3)
    assert math.isnan(rate.read(10.0, 100))
    assert [rate.read(11.0, 130), rate.read(12.0, 150), rate.read(13.0, 150)] == [30, 25, 10]


def test_recent_values_forget() -> None:
    values = RecentValues(size=4)
    assert math.isnan(values.percentile(50))
    for value in (100.0, 1.0, 2.0, 3.0, 4.0):
        values.add(value)
    assert (values.newest, values.count, *map(values.percentile, (0, 50, 100))) == (4.0, 5, 1.0, 2.5, 4.0)
