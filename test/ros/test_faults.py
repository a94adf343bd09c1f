"""Faults of cameras and backends, many requests at once, and the soak: nothing stops the node, nothing grows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from ros_bench import robot_and_recognizer, untrained_bundle
from sensor_msgs.msg import Image

from fluxformer_core.bundle import Bundle
from fluxformer_ros.checks import faults as fault_check
from fluxformer_ros.checks.__main__ import main as check_main
from fluxformer_ros.checks.faults import FAULTS, InjectedFault, Subject, check, table
from fluxformer_ros.checks.soak import ProcessSample, find_faults, growth, look


@pytest.fixture(scope="module")
def subject(bundle: Bundle) -> Iterator[Subject]:
    with Subject(bundle).at_work() as subject:
        yield subject


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_counted_and_the_next_images_are_recognised(subject: Subject, fault: InjectedFault) -> None:
    outcome = check(fault, subject)
    assert outcome.as_expected, outcome
    if fault.counted in ("refused", "failed"):
        assert 0 < len(outcome.said) < 500
    assert fault.name in table([outcome])


def test_answers_that_are_not_finite_are_never_published(subject: Subject) -> None:
    (fault,) = (fault for fault in FAULTS if "NaN" in fault.name and fault.counted == "failed")
    subject.updates.clear()
    assert "values that are not finite" in check(fault, subject).said
    scores = [entry.score for update in subject.updates if update.recognition for entry in update.recognition.scores]
    assert all(0 <= score <= 1 for score in scores)


def test_the_check_prints_its_table(model: Path, capsys: pytest.CaptureFixture, monkeypatch: Any) -> None:
    monkeypatch.setattr(fault_check, "FAULTS", FAULTS[:2])
    assert check_main(["faults", "--model", str(model)]) == 0
    assert "| data cut short | 1 refused |" in capsys.readouterr().out
    assert check_main(["faults", "--model", "/no/such/file"]) == 2
    monkeypatch.setattr(fault_check, "FAULTS", [InjectedFault("nothing", lambda _subject: None, "refused")])
    assert check_main(["faults", "--model", str(model)]) == 1


def samples(memory: list[float], threads: int = 9) -> list[ProcessSample]:
    return [ProcessSample(value, threads, 30) for value in memory]


def test_growth_after_warm_up_is_found() -> None:
    steady = growth(samples([100.0, 300.0, *[400.0] * 18]), warm_up=0.2)
    assert steady["memory growth [%]"] == 0
    assert not find_faults({**steady, "frames unaccounted": 0})
    leak = growth(samples([400.0 + minute for minute in range(20)]), warm_up=0.0)
    found = find_faults({**leak, "frames unaccounted": 3})
    assert found == ["memory grew by more than 1 %", "not every image is accounted for"]
    threads = growth([*samples([400.0] * 10), *samples([400.0] * 10, threads=10)], warm_up=0.0)
    assert find_faults({**threads, "frames unaccounted": 0}) == ["thread growth is not 0"]
    with pytest.raises(ValueError, match="too few"):
        growth(samples([1.0] * 4), warm_up=0.5)


def test_a_soak_that_is_too_short_to_tell_is_refused(capsys: pytest.CaptureFixture) -> None:
    assert check_main(["soak", "--minutes", "0.1"]) == 2
    assert "--minutes must be at least 0.2" in capsys.readouterr().err


def test_a_look_at_a_process_sees_what_it_holds(tmp_path: Path) -> None:
    before = look(os.getpid())
    with (tmp_path / "file").open("w"):
        assert look(os.getpid()).descriptors == before.descriptors + 1
    assert before.memory > 50
    assert before.threads >= 1


@pytest.mark.slow
def test_a_short_soak_accounts_for_every_image(ros: None, model: Path, capsys: pytest.CaptureFixture) -> None:
    check_main(["soak", "--minutes", "0.2", "--model", str(model), "--json"])
    numbers = json.loads(capsys.readouterr().out)
    counts = {"frames published": 360, "frames unaccounted": 0, "thread growth": 0, "file descriptor growth": 0}
    assert {name: numbers[name] for name in counts} == counts
    assert 100 < numbers["memory after warm-up [MiB]"] < 4000


@pytest.mark.slow
def test_many_requests_and_restarts_leave_the_node_as_it_was(ros: None, tmp_path: Path) -> None:
    file = untrained_bundle(tmp_path / "model.safetensors")
    with robot_and_recognizer(tmp_path / "stderr", namespace="storm", model=file) as (robot, process):
        robot.ready()
        robot.hear()
        for number in range(40):
            assert robot.set(start_score=0.4 + number / 100, smoothing=number / 50).successful
            assert not robot.set(keep_score=1.0, recognition_rate=1000.0).successful
        before = look(process.process.pid)
        for _ in range(6):
            assert robot.change_state(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)
        for _ in range(3):  # the camera's driver comes and goes
            robot.node.destroy_publisher(robot.images)
            robot.images = robot.camera(Image, "image")
            robot.ready()
            robot.show(3)
        file.write_bytes(b"somebody copies another model over it")
        robot.recognitions.clear()
        robot.hear()
        assert look(process.process.pid).threads <= before.threads
        assert robot.change_state(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
        assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
        status, _ = robot.fresh_status()
        assert "is not a safetensors file, or is damaged" in status.message
        untrained_bundle(file)
        assert robot.change_state(Transition.TRANSITION_CONFIGURE)
        assert "Traceback" not in process.said


@pytest.mark.slow
def test_a_home_that_cannot_be_written_does_no_harm(ros: None, model: Path, tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("HOME", "ROS_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "/dev/null/nowhere")
    with robot_and_recognizer(tmp_path / "stderr", namespace="poor", model=model) as (robot, _):
        robot.ready()
        robot.hear()
