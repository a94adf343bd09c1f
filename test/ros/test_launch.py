"""The launch files, run by launch_ros where ROS 2 installed that package (launch_ros has no wheel)."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from ros_bench import LAUNCH, PATIENCE, a_robot, filmed, wait_until

pytestmark = pytest.mark.slow
pytest.importorskip("launch_ros.actions", reason="launch_ros comes with ROS 2 itself, not with the wheels")

FOLDER = Path(__file__).resolve().parents[2] / "launch"
DRIVER = """#!{python}
# Stands in for a camera's driver: writes its settings to a file and ends.
import json, sys, yaml
words = sys.argv[1:]
files = [words[i + 1] for i, word in enumerate(words) if word == "--params-file"]
settings = {{}}
for file in files:
    text = open(file).read().replace("!!python/tuple", "")  # launch_ros writes so; ROS reads lists
    (section,) = yaml.safe_load(text).values()
    settings |= section["ros__parameters"]
remaps = [words[i + 1] for i, word in enumerate(words) if word == "-r"]
json.dump({{"settings": settings, "remaps": remaps}}, open({record!r}, "w"))
"""


@contextmanager
def launched(name: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a launch file within a `with`; its nodes end with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(FOLDER / name), *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group, so that the nodes can be ended in any case
    )
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.launch.*")))
def test_every_argument_has_a_default_and_says_what_it_is(ros: None, name: str) -> None:
    from launch import LaunchContext
    from launch.launch_description_sources import AnyLaunchDescriptionSource

    source = AnyLaunchDescriptionSource(str(FOLDER / name))
    arguments = source.get_launch_description(LaunchContext()).get_launch_arguments()
    assert arguments
    required = {argument.name for argument in arguments if argument.default_value is None}
    assert required <= {"bag"}  # no default names a bag
    assert all(len(argument.description) > 5 for argument in arguments), [a.name for a in arguments]


def test_the_recogniser_has_the_usual_arguments() -> None:
    names = {*runpy.run_path(str(FOLDER / "recognizer.launch.py"))["ARGUMENTS"]}
    usual = {"namespace", "image", "image_transport", "model", "params_file", "use_sim_time", "autostart", "log_level"}
    assert usual | {"build_only"} <= names


def test_launching_starts_the_node_with_its_arguments(ros: None, model: Path) -> None:
    arguments = ["namespace:=launched", "image:=/launched/image", f"model:={model}"]
    with launched("recognizer.launch.py", *arguments), a_robot("launched") as robot:
        robot.ready()
        robot.hear()


def test_what_is_not_given_is_left_to_the_parameter_file(ros: None, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    model: {model}\n    autostart: false\n    top_k: 1\n")
    arguments = ["namespace:=filed", f"params_file:={file}"]
    with launched("recognizer.launch.py", *arguments), a_robot("filed") as robot:
        assert robot.fresh_status()[1]["state"] == "unconfigured"


def test_several_cameras_have_a_recogniser_each(ros: None, model: Path) -> None:
    with launched("multi_camera.launch.py", "cameras:=left,right", "image:=image", f"model:={model}"):
        for name in ("left", "right"):
            with a_robot(name) as robot:
                robot.ready()
                robot.hear()


@pytest.mark.parametrize("cameras", ["front,front", "front,,rear", "rm -r"])
def test_cameras_must_be_namespaces(ros: None, cameras: str) -> None:
    with launched("multi_camera.launch.py", f"cameras:={cameras}") as process:
        assert process.wait(PATIENCE) == 1
        assert "cameras must be different namespaces" in process.stdout.read()


@pytest.mark.parametrize(("name", "arguments"), [("demo.launch.xml", []), ("camera.launch.py", ["driver:=player"])])
def test_what_is_played_is_recognised(ros: None, model: Path, tmp_path: Path, name: str, arguments: list[str]) -> None:
    video = filmed(tmp_path / "wave.mp4")
    played = [*arguments, "namespace:=played", f"source:={video}", f"model:={model}"]
    with launched(name, *played), a_robot("played") as robot:
        robot.wait(lambda: robot.recognitions, "a recognition")


DRIVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "usb_cam": ("usb_cam_node_exe", {"framerate": 25.0, "image_width": 320}),
    "v4l2_camera": ("v4l2_camera_node", {"image_size": [320, 480], "time_per_frame": [1, 25]}),
    "realsense2_camera": (
        "realsense2_camera_node",
        {"enable_color": True, "enable_depth": False, "rgb_camera.color_profile": "320x480x25"},
    ),
}


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_cameras_driver_gets_its_settings(ros: None, tmp_path: Path, driver: str) -> None:
    executable, settings = DRIVERS[driver]
    record = tmp_path / "record.json"
    program = tmp_path / "lib" / driver / executable
    program.parent.mkdir(parents=True)
    program.write_text(DRIVER.format(python=sys.executable, record=str(record)))
    program.chmod(0o755)
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / driver
    index.parent.mkdir(parents=True)
    index.touch()
    prefixes = f"{tmp_path}:{os.environ['AMENT_PREFIX_PATH']}"
    arguments = [f"driver:={driver}", "device:=/dev/video7", "width:=320", "rate:=25", "autostart:=false"]
    with launched("camera.launch.py", *arguments, "namespace:=seeing", AMENT_PREFIX_PATH=prefixes):
        wait_until(lambda: record.exists() and record.read_text().endswith("}"))
    given = json.loads(record.read_text())
    assert settings.items() <= given["settings"].items()
    assert given["settings"].get("video_device", "/dev/video7") == "/dev/video7"
    assert ("video_device" in given["settings"]) == (driver != "realsense2_camera")
    assert "__ns:=/seeing" in given["remaps"]


def test_a_driver_that_is_not_installed_is_named_with_its_cure(ros: None) -> None:
    with launched("camera.launch.py", "driver:=usb_cam") as process:
        assert process.wait(PATIENCE) == 1
        assert "apt install ros-$ROS_DISTRO-usb-cam" in process.stdout.read()
