"""The diagnosis: for every trouble the right level and a sentence that tells what to do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from fluxformer_core.stream.timings import RecentValues
from fluxformer_ros.node.diagnostics import Health, diagnose, to_array, to_status
from fluxformer_ros.node.rolling import Rate

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
WELL = Health(
    state="active",
    topic="/camera/image",
    publishers=1,
    active_for=60.0,
    flowing_for=50.0,
    trained_rate=15.0,
    received=1500,
    pushed=1500,
    input_age=0.03,
    input_rate=30.0,
    pushed_rate=30.0,
    refused_rate=0.0,
    lost_rate=0.0,
    stuck_rate=0.0,
    recognition_rate=7.5,
)


def ill(**changes: object) -> Health:
    return replace(WELL, **changes)


@pytest.mark.parametrize(
    ("health", "level", "words"),
    [
        (WELL, OK, "recognising"),
        (Health(state="inactive"), OK, "activate"),
        (Health(state="unconfigured", complaint="no such model file"), ERROR, "no such model file"),
        (ill(received=0, publishers=0, input_age=math.inf), WARN, "remap `image`"),
        (ill(received=0, input_age=math.inf), WARN, "FASTDDS_DEFAULT_PROFILES_FILE=/"),
        (ill(lost_rate=27.0, input_rate=1.0), WARN, "reliability to reliable"),
        (ill(lost_rate=27.0, input_rate=0.0, input_age=4.0), WARN, "27.0 images per second are lost"),
        (ill(lost_rate=1.0), OK, "recognising"),
        (ill(received=0, publishers=0, input_age=math.inf, active_for=1.0), OK, "recognising"),
        (ill(input_age=2.5), WARN, "no image on /camera/image for 2.5 s"),
        (ill(incompatible_qos="RELIABILITY"), WARN, "qos_overrides./camera/image.subscription"),
        (ill(input_rate=5.0, pushed_rate=5.0), WARN, "raise it to the model's 15 Hz"),
        (ill(input_rate=5.0, pushed_rate=5.0, flowing_for=1.0), OK, "recognising"),
        (ill(input_rate=5.0, pushed_rate=5.0, input_age=1.0), OK, "recognising"),
        (ill(pushed_rate=9.0), WARN, "lower recognition_rate"),
        (ill(stuck_rate=29.0), WARN, "stamps of the images do not advance"),
        (ill(refused_rate=30.0, refused_in_a_row=10, last_refusal="bad encoding"), ERROR, "can be used: bad encoding"),
        (ill(refused_rate=10.0, refused_in_a_row=1, last_refusal="cut short"), WARN, "cannot be used: cut short"),
        (ill(failures=1, last_failure="KeyError: 3", failure_age=2.0), ERROR, "KeyError: 3"),
        (ill(failures=1, last_failure="KeyError: 3", failure_age=60.0), OK, "recognising"),
        (ill(stamp_age=-90.0), WARN, "90 s ahead of this node's clock: for a bag set use_sim_time"),
        (ill(stamp_age=1e9), WARN, "1000000000 s behind"),
        (ill(stamp_age=90.0, sim_time=True), WARN, "publish /clock with the images"),
        (ill(stamp_age=0.2), OK, "recognising"),
        (ill(sim_time=True, clock_runs=False), WARN, "nothing publishes /clock"),
        (ill(durations={"stamp to publish": (90.0, 700.0, 900.0)}), WARN, "comes 700 ms or more after its image"),
        (ill(durations={"stamp to publish": (90.0, 120.0, 900.0)}), OK, "recognising"),
        (ill(input_age=9.0, failures=1, last_failure="KeyError: 3", failure_age=2.0), ERROR, "KeyError: 3"),
    ],
)
def test_every_trouble_has_its_level_and_its_cure(health: Health, level: bytes, words: str) -> None:
    found, message = diagnose(health)
    assert words in message
    assert found == level


def test_two_troubles_of_one_level_are_both_named() -> None:
    _, message = diagnose(ill(incompatible_qos="DURABILITY", input_age=5.0))
    assert "DURABILITY" in message
    assert "still running" in message


def test_the_status_carries_every_count_and_duration() -> None:
    health = ill(
        refused={"damaged rgb8 image": 3},
        resets={"gap": 2, "time_jump": 1},
        durations={"forward": (20.0, 25.0, 40.123)},
        replaced=7,
        device="cpu",
    )
    status = to_status(health, "/robot/recognizer")
    values = {entry.key: entry.value for entry in status.values}
    assert status.name == "robot/recognizer: recognition"
    assert values["refused: damaged rgb8 image"] == "3"
    assert values["images refused"] == "3"
    assert (values["resets: gap"], values["resets: time_jump"]) == ("2", "1")
    assert (values["forward p50 [ms]"], values["forward p99 [ms]"]) == ("20.00", "40.12")
    assert (values["images replaced"], values["device"]) == ("7", "cpu")
    assert values["cpu [%]"] == ""
    assert len(values) == len(status.values)


def test_the_array_has_the_stamp_of_the_nodes_clock() -> None:
    array = to_array(to_status(WELL, "/recognizer"), 3_000_000_002)
    assert (array.header.stamp.sec, array.header.stamp.nanosec) == (3, 2)


def test_a_rate_is_growth_per_second_over_the_last_readings() -> None:
    rate = Rate(readings=3)
    assert math.isnan(rate.read(10.0, 100))
    assert rate.read(11.0, 130) == 30
    assert rate.read(12.0, 150) == 25
    assert rate.read(13.0, 150) == 10


def test_recent_values_forget() -> None:
    values = RecentValues(size=4)
    assert math.isnan(values.percentile(50))
    for value in (100.0, 1.0, 2.0, 3.0, 4.0):
        values.add(value)
    assert (values.newest, values.count) == (4.0, 5)
    assert (values.percentile(0), values.percentile(50), values.percentile(100)) == (1.0, 2.5, 4.0)
