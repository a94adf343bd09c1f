"""Starts a camera and the recogniser: ros2 launch fluxformer camera.launch.py driver:=usb_cam device:=/dev/video0."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("fluxformer"))
PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
ARGUMENTS = {
    "driver": ("usb_cam", "usb_cam, v4l2_camera, realsense2_camera, or player (a file or the actor as a camera)"),
    "device": ("/dev/video0", "of usb_cam and v4l2_camera; serial number of a RealSense (/dev/…: the only one)"),
    "source": ("actor", "what the player repeats: a video, folder, bag, camera number, or actor"),
    "width": ("640", "width of the image in px"),
    "height": ("480", "height of the image in px"),
    "rate": ("30", "images per second; the model needs 20 or more"),
    "stream": ("color", "stream of a RealSense or of the rendered actor: color or depth"),
    "namespace": ("", "namespace of both nodes and their topics"),
}
CHOICES = {"driver": ["usb_cam", "v4l2_camera", "realsense2_camera", "player"], "stream": ["color", "depth"]}


def usb_cam(value: dict[str, str]) -> dict[str, Any]:
    """V4L2 cameras by the package usb_cam."""
    size = {"image_width": int(value["width"]), "image_height": int(value["height"])}
    settings = {"video_device": value["device"], **size, "framerate": float(value["rate"])}
    return {"executable": "usb_cam_node_exe", "parameters": [settings]}


def v4l2_camera(value: dict[str, str]) -> dict[str, Any]:
    """V4L2 cameras by the package v4l2_camera, for example the Raspberry Pi's."""
    size, time = [int(value["width"]), int(value["height"])], [1, round(float(value["rate"]))]
    settings = {"video_device": value["device"], "image_size": size, "time_per_frame": time}
    return {"executable": "v4l2_camera_node", "parameters": [settings]}


def realsense2_camera(value: dict[str, str]) -> dict[str, Any]:
    """One stream of an Intel RealSense, colour or depth."""
    colour = value["stream"] == "color"
    profile = f"{value['width']}x{value['height']}x{value['rate']}"
    settings = {
        "serial_no": "" if value["device"].startswith("/dev/") else value["device"],
        "enable_color": colour,
        "enable_depth": not colour,
        "rgb_camera.color_profile": profile,
        "depth_module.depth_profile": profile,
    }
    topic = "~/color/image_raw" if colour else "~/depth/image_rect_raw"
    return {"executable": "realsense2_camera_node", "parameters": [settings], "remappings": [(topic, "image_raw")]}


def player(value: dict[str, str]) -> dict[str, Any]:
    """A recording or the rendered actor, published like a camera's images."""
    arguments = [value["source"], "--loop", *(["--depth"] if value["stream"] == "depth" else [])]
    return {"executable": "player", "arguments": arguments, "remappings": [("image", "image_raw")]}


DRIVERS: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    driver.__name__: driver for driver in (usb_cam, v4l2_camera, realsense2_camera, player)
}
"""What the node of each driver is started with, besides its package, name and namespace."""


def generate_launch_description() -> LaunchDescription:
    """A camera that publishes `image_raw` and a recogniser; arguments of recognizer.launch.py are passed on."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=CHOICES.get(name))
        for name, (default, description) in ARGUMENTS.items()
    ]
    recognizer = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "recognizer.launch.py")),
        launch_arguments={"image": "image_raw"}.items(),
    )
    return LaunchDescription([*declared, OpaqueFunction(function=_start_camera), recognizer])


def _start_camera(context: LaunchContext) -> list[SetEnvironmentVariable | Node]:
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    package = "fluxformer" if value["driver"] == "player" else value["driver"]
    try:
        get_package_prefix(package)
    except PackageNotFoundError as error:
        name = f"ros-$ROS_DISTRO-{package.replace('_', '-')}"
        raise RuntimeError(f"the driver {package} is not installed: apt install {name}") from error
    # The camera needs the profile, too: without the profile images are larger than the shared memory.
    own = SetEnvironmentVariable(PROFILE, str(SHARE / "config/fastdds.xml"))
    profile = [] if PROFILE in context.environment else [own]
    settings = DRIVERS[value["driver"]](value)
    return [*profile, Node(package=package, name="camera", namespace=value["namespace"], **settings)]
