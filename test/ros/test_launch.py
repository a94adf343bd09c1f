"""The launch file, run by ROS's own launch where that can be imported (it is not among the wheels)."""

from __future__ import annotations

import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import rclpy
from ros_bench import PATIENCE, Robot, untrained_bundle

pytest.importorskip("launch_ros.actions", reason="launch_ros comes with ROS 2 itself, not with the wheels")

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "recognizer.launch.py"
START = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [tuple(argument.split(":=")) for argument in sys.argv[2:]]
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


def test_every_argument_has_a_default_and_says_what_it_is() -> None:
    description = runpy.run_path(str(LAUNCH_FILE))["generate_launch_description"]()
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert {"namespace", "image", "image_transport", "model", "params_file", "use_sim_time"} <= {*arguments}
    assert all(argument.default_value is not None and argument.description for argument in arguments.values())


def test_launching_starts_the_node_with_its_arguments(ros: None, tmp_path: Path) -> None:
    model = untrained_bundle(tmp_path / "untrained.safetensors")
    arguments = ["namespace:=launched", "image:=/launched/image", f"model:={model}"]
    process = subprocess.Popen([sys.executable, "-c", START, str(LAUNCH_FILE), *arguments])
    robot = Robot(rclpy.create_node("robot", namespace="launched"))
    try:
        robot.ready()
        robot.show(10)
        robot.wait(lambda: robot.recognitions, "a recognition")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        robot.close()
        process.kill()
        process.wait()
