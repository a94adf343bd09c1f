"""The recogniser as a process: QoS that does not fit, signals, failing starts, engines built ahead, other models."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import ros_bench
from fluxformer.msg import Recognition
from ros_bench import LABELS, PATIENCE, RecognizerProcess, robot_and_recognizer
from test_recognizer_node import EAGER, WARN


def test_a_camera_whose_qos_does_not_fit_is_named(ros: None, model: Path, tmp_path: Path) -> None:
    overrides = {"qos_overrides./solo/image.subscription.reliability": "reliable"}
    with robot_and_recognizer(tmp_path / "stderr", namespace="solo", model=model, **overrides) as (robot, process):
        robot.wait(lambda: any("RELIABILITY" in status.message for status in robot.statuses), "a diagnosis")
        assert robot.statuses[-1].level == WARN
        assert "set qos_overrides./solo/image.subscription.reliability" in process.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_action_and_the_process_cleanly(ros: None, model: Path, tmp_path: Path, number: int) -> None:
    with robot_and_recognizer(tmp_path / "stderr", namespace="solo", model=model, **EAGER) as (robot, node):
        robot.ready()
        event = robot.act_until_an_event_is_open()
        node.process.send_signal(number)
        assert node.process.wait(PATIENCE) == 0, node.said
        robot.wait_for_the_end_of(event)
        assert "Traceback" not in node.said


FAILING_STARTS = [
    ("model:=/no/such/model.safetensors", "cannot read /no/such/model.safetensors"),
    ("flow:=gmflow", "gmflow needs its weights: use gmflow:FILE"),
    ("top_k:=0", "top_k"),
    ("recognition_rate:=fast", "recognition_rate"),
    ("keep_score:=0.9", "keep_score (0.9) must be at most start_score"),
    ("backend:=tensorrt", "backend tensorrt cannot be used in fp32: "),
    *(
        [("view:=person finder:=detections", "apt install ros-$ROS_DISTRO-vision-msgs")]
        if not find_spec("vision_msgs")
        else []
    ),
]
START_EACH = """
import sys
from fluxformer_ros.node.recognizer_node import main
for value in sys.argv[1:]:
    code = main(["recognizer", "--ros-args", *(word for setting in value.split() for word in ("-p", setting))])
    print(f"{value} ended with {code}", file=sys.stderr, flush=True)
"""


def test_a_node_that_cannot_start_says_why_and_ends(ros: None) -> None:
    """Started one after another in one process, because importing torch takes seconds."""
    command = [sys.executable, "-c", START_EACH, *(value for value, _ in FAILING_STARTS)]
    said = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=True).stderr
    assert "Traceback" not in said
    for value, words in FAILING_STARTS:
        of_this, ended, said = said.partition(f"{value} ended with 2\n")
        assert ended, said
        assert words in of_this, value


def test_a_build_only_run_ends_by_itself(ros: None, tmp_path: Path) -> None:
    # The shipped weights, because the answers of random weights differ by no more than rounding does.
    settings = {"build_only": "true", "backend": "torch", "precision": "bf16"}
    with RecognizerProcess(tmp_path / "stderr", **settings) as node:
        assert node.process.wait(PATIENCE) == 0, node.said
        assert "torch in bf16 is within" in node.said
        assert "run by torch bf16 on cpu" in node.said
        assert "waiting for images" not in node.said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["emim_nano", "video_focalnet_nano"])
def test_a_model_of_another_family_recognises_the_same_images(ros: None, name: str, tmp_path: Path) -> None:
    model = ros_bench.untrained_bundle(tmp_path / "model.safetensors", name)
    with robot_and_recognizer(tmp_path / "stderr", "solo", model=model, **EAGER) as (robot, node):
        robot.ready()
        robot.show(45)
        robot.wait(lambda: any(r.state == Recognition.ACTION for r in robot.recognitions), "a named action")
        named = next(r for r in robot.recognitions if r.state == Recognition.ACTION)
        assert sorted(score.label for score in named.scores) == sorted(LABELS)
        assert robot.labels[-1].model.startswith(name)
        assert node.process.poll() is None, node.said
        assert "Traceback" not in node.said
