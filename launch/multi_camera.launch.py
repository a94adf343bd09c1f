"""Starts a recogniser per camera: ros2 launch fluxformer multi_camera.launch.py cameras:=front,rear."""

import re
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

RECOGNIZER = Path(get_package_share_directory("fluxformer")) / "launch" / "recognizer.launch.py"


def generate_launch_description() -> LaunchDescription:
    """One process per camera, in the camera's namespace; arguments of recognizer.launch.py apply to all."""
    arguments = [
        DeclareLaunchArgument(
            "cameras", default_value="front,rear", description="namespaces of the cameras, with commas between them"
        ),
        DeclareLaunchArgument(
            "image", default_value="image_raw", description="topic of the images within each camera's namespace"
        ),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[GroupAction]:
    text = LaunchConfiguration("cameras").perform(context)
    cameras = [name.strip().strip("/") for name in text.split(",")]
    wrong = [name for name in cameras if not re.fullmatch(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", name)]
    if wrong or len({*cameras}) < len(cameras):
        raise RuntimeError(f"cameras must be different namespaces with commas between them, not {text!r}")
    return [
        GroupAction(
            [
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(str(RECOGNIZER)), launch_arguments={"namespace": camera}.items()
                )
            ]
        )
        for camera in cameras
    ]
