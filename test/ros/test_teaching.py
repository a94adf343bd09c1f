"""Teaching over ROS: a person shows a new action to the camera, and the node names that action afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from fluxformer.action import Enroll
from fluxformer.msg import ActionEvent
from fluxformer.srv import Forget
from lifecycle_msgs.msg import Transition
from rclpy.action import ActionClient
from ros_bench import RecognizerProcess, Robot, a_robot, robot_and_recognizer, untrained_bundle

from fluxformer_core.actor import Performance, Stage
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.data.clip_store import ClipStore, actor_clips
from fluxformer_core.training.calibration import known_statistics
from fluxformer_core.types import SECOND

KNOWN = ("clap", "push", "squat", "swipe_left", "throw")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped weights, with the head cut to these few actions."""
    folder = tmp_path_factory.mktemp("model")
    whole = Bundle.load(default_bundle_path())
    kept = [whole.labels.index(label) for label in KNOWN]
    weights = whole.weights | {name: whole.weights[name][kept] for name in ("head.weight", "head.bias")}
    few = replace(whole, metadata=replace(whole.metadata, labels=KNOWN), weights=weights, statistics=None)
    store = ClipStore.build(actor_clips(KNOWN, 4, seed=0), KNOWN, few.spec, folder / "cache")
    path = folder / "few.safetensors"
    replace(few, statistics=known_statistics(few.build_model(), [store], few.spec)).save(path)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("user") / "enrolled.json"


@pytest.fixture(scope="module")
def recognizer(ros: None, model: Path, file: Path) -> Iterator[RecognizerProcess]:
    with RecognizerProcess(file.with_name("stderr"), model=model, enrolled_file=file) as process:
        yield process


class Teacher(Robot):
    """A robot whose user teaches."""

    def __init__(self, node: Any) -> None:
        super().__init__(node)
        self.feedback: list[Enroll.Feedback] = []
        self._client = ActionClient(node, Enroll, "recognizer/enroll")

    def close(self) -> None:
        self._client.destroy()
        super().close()

    def begin(self, **goal: Any) -> Any:
        """Send a goal; returns its handle."""
        self.wait(self._client.server_is_ready, "the action's server")
        self.feedback.clear()
        sent = self._client.send_goal_async(Enroll.Goal(**goal), lambda message: self.feedback.append(message.feedback))
        self.wait(sent.done, "the goal's acceptance")
        assert sent.result().accepted
        return sent.result()

    def end(self, handle: Any) -> tuple[int, Enroll.Result]:
        """Wait for the result."""
        answer = handle.get_result_async()
        self.wait(answer.done, "the result")
        return answer.result().status, answer.result().result

    def refusal(self, **goal: Any) -> str:
        status, result = self.end(self.begin(**goal))
        assert (status, result.accepted) == (GoalStatus.STATUS_ABORTED, False)
        return result.message

    def known(self) -> dict[str, bool]:
        return dict(zip(self.labels[-1].labels, self.labels[-1].enrolled, strict=True))


@pytest.fixture
def teacher(recognizer: RecognizerProcess) -> Iterator[Teacher]:
    with a_robot(kind=Teacher) as teacher:
        teacher.ready()
        yield teacher
    assert recognizer.process.poll() is None, recognizer.said
    assert "Traceback" not in recognizer.said


def film(label: str, times: int, seed: int) -> Iterator[np.ndarray]:
    """A person who performs an action several times and stands still in between."""
    script = [Performance(label, 1.0 + 3.2 * i, 2.6 + 3.2 * i) for i in range(times)]
    stage = Stage(script, seed=seed, rate=15.0, size=(120, 160), duration=3.2 * times + 1.6)
    return (image for _, image in stage)


@pytest.mark.slow
def test_a_new_action_is_shown_learnt_named_kept_and_forgotten(
    teacher: Teacher, recognizer: RecognizerProcess, model: Path, file: Path, tmp_path: Path
) -> None:
    goal = teacher.begin(label="hail", examples=3)
    teacher.play(film("wave", 3, seed=0))
    status, result = teacher.end(goal)
    assert (status, result.accepted, result.examples) == (GoalStatus.STATUS_SUCCEEDED, True, 3), result.message
    assert "hail is known from 3 examples" in result.message
    assert result.consistency > 0.6
    assert [score.label for score in result.similar] != []
    assert all(score.label in KNOWN and -1 <= score.score < result.consistency for score in result.similar)
    seen = [feedback.examples for feedback in teacher.feedback]
    assert seen == sorted(seen)
    assert set(seen) >= {0, 1, 2}
    assert {feedback.moving for feedback in teacher.feedback} == {True, False}
    assert all(feedback.hint for feedback in teacher.feedback)
    teacher.wait(lambda: len(teacher.known()) == len(KNOWN) + 1, "labels")
    assert teacher.known() == {**dict.fromkeys(KNOWN, False), "hail": True}

    def names(label: str, seed: int) -> list[str]:
        teacher.stamp += 10 * SECOND
        teacher.events.clear()
        teacher.play(film(label, 1, seed))
        teacher.let_it_finish()
        return [event.label for event in teacher.events if event.kind == ActionEvent.ENDED]

    assert names("wave", 7) == ["hail"]
    assert names("squat", 7) == ["squat"]
    assert "enrolled already" in teacher.refusal(label="hail")

    known = {"model": model, "enrolled_file": file}
    with robot_and_recognizer(tmp_path / "stderr", "again", Teacher, **known) as (other, again):
        other.ready()
        assert other.known()["hail"]
        assert "taught earlier: hail" in again.said
    assert "hail" in file.read_text()
    assert teacher.call("forget", Forget.Request(label="hail")).success
    teacher.wait(lambda: "hail" not in teacher.known(), "labels")
    assert "hail" not in file.read_text()


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        ({"label": "clap"}, "learnt in training"),
        ({"label": "Hail!"}, "lower-case"),
        ({"label": "other"}, "reserved"),
        ({"label": "greet", "examples": 11}, "more than 10"),
        ({"label": "greet", "duration": Duration(sec=601)}, "not within 0..600"),
        ({"label": "greet", "duration": Duration(sec=-1)}, "not within 0..600"),
    ],
)
def test_what_cannot_be_taught_is_refused_at_once(teacher: Teacher, goal: dict[str, Any], reason: str) -> None:
    assert reason in teacher.refusal(**goal)
    assert not any(teacher.known().values())


def test_examples_that_do_not_come_in_time_teach_nothing(teacher: Teacher) -> None:
    message = teacher.refusal(label="greet", examples=2, duration=Duration(nanosec=SECOND // 2))
    assert "0 of 2 examples" in message
    assert "no examples" in teacher.refusal(label="greet", duration=Duration(nanosec=SECOND // 2))


def test_one_action_is_taught_at_a_time_and_teaching_can_be_cancelled(teacher: Teacher) -> None:
    goal = teacher.begin(label="greet", examples=2)
    assert "greet is being taught" in teacher.refusal(label="nod")
    teacher.wait(goal.cancel_goal_async().done, "the cancellation")
    status, result = teacher.end(goal)
    assert (status, result.accepted) == (GoalStatus.STATUS_CANCELED, False)
    assert "nothing was learnt" in result.message
    assert not any(teacher.known().values())


@pytest.mark.parametrize(
    ("label", "reason"), [("clap", "learnt in training"), ("greet", "is not enrolled"), ("", "is not enrolled")]
)
def test_only_what_was_taught_can_be_forgotten(teacher: Teacher, label: str, reason: str) -> None:
    answer = teacher.call("forget", Forget.Request(label=label))
    assert not answer.success
    assert reason in answer.message


def test_deactivating_ends_teaching_and_an_inactive_node_refuses(teacher: Teacher) -> None:
    goal = teacher.begin(label="greet", examples=2)
    assert teacher.change_state(Transition.TRANSITION_DEACTIVATE)
    status, result = teacher.end(goal)
    assert status == GoalStatus.STATUS_ABORTED
    assert "deactivated" in result.message
    assert "not active" in teacher.refusal(label="greet")
    assert teacher.change_state(Transition.TRANSITION_CLEANUP)
    assert "not active" in teacher.refusal(label="greet")
    assert "no model" in teacher.call("forget", Forget.Request(label="greet")).message
    assert teacher.change_state(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    teacher.ready()


@pytest.mark.slow
def test_a_damaged_file_is_warned_of_and_left_as_it_is(ros: None, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "enrolled.json"
    file.write_text("{")
    known = {"model": model, "enrolled_file": file}
    with robot_and_recognizer(tmp_path / "stderr", "solo", Teacher, **known) as (robot, process):
        robot.ready()
        assert robot.known() == dict.fromkeys(KNOWN, False)
        assert f"the taught actions in {file} cannot be used" in process.said
        assert "going on without" in process.said
        goal = robot.begin(label="greet", examples=1)
        robot.play(film("wave", 1, seed=0))
        result = robot.end(goal)[1]
        assert result.accepted
        assert f"only until the node stops: the taught actions in {file} cannot be used" in result.message
    assert file.read_text() == "{"


def test_a_model_that_cannot_be_taught_says_how_to_change_that(ros: None, tmp_path: Path) -> None:
    model = untrained_bundle(tmp_path / "untrained.safetensors")
    with robot_and_recognizer(tmp_path / "stderr", "solo", Teacher, model=model) as (robot, _):
        robot.ready()
        assert "--known DATA" in robot.refusal(label="greet")
