"""Starts the recogniser: ros2 launch fluxformer recognizer.launch.py image:=/camera/color/image_raw."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(get_package_share_directory("fluxformer")) / "config"
PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
SETTINGS = {
    "model": (str, "model file (.safetensors)"),
    "image_transport": (str, "raw, compressed or compressedDepth"),
    "view": (str, "auto, scene or person: whether people are told apart"),
    "use_sim_time": (bool, "true: take the time from /clock, for bags"),
    "autostart": (bool, "true: configure and activate the node at once"),
    "backend": (str, "backend that runs the model: auto, torch, cuda, openvino or tensorrt"),
    "precision": (str, "precision of the model's arithmetic: fp32, fp16 or bf16"),
    "build_only": (bool, "true: build the engine of the backend and end"),
}
"""Parameters of the node that are launch arguments, with their types; params_file sets those that are empty."""

ARGUMENTS = {
    "namespace": ("", "namespace of the node and its topics"),
    "name": ("recognizer", "name of the node"),
    "image": ("image", "topic of the raw images, to which any other image_transport is appended"),
    "params_file": (str(CONFIG / "recognizer.yaml"), "parameters of the node"),
    **{name: ("", f"{meaning}; empty: as in params_file") for name, (_, meaning) in SETTINGS.items()},
    "log_level": ("info", "least severe messages that are logged: debug, info, warn, error or fatal"),
    "large_images": (
        "true",
        f"give Fast DDS shared memory for whole images, unless {PROFILE} is set; the camera needs the same profile",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """The recogniser with its usual arguments; every other parameter is in params_file."""
    choices = {name: ["true", "false", ""] for name, (kind, _) in SETTINGS.items() if kind is bool}
    choices["large_images"] = ["true", "false"]
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices.get(name))
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[SetEnvironmentVariable | Node]:
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    given = {
        # ParameterValue keeps a model file called 1 from becoming a number.
        name: value[name] == "true" if kind is bool else ParameterValue(value[name], value_type=str)
        for name, (kind, _) in SETTINGS.items()
        if value[name] != ""
    }
    node = Node(
        package="fluxformer",
        executable="recognizer",
        name=value["name"],
        namespace=value["namespace"],
        output="screen",
        remappings=[("image", value["image"])],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        parameters=[value["params_file"], given] if given else [value["params_file"]],
    )
    if value["large_images"] == "true" and PROFILE not in context.environment:
        return [SetEnvironmentVariable(PROFILE, str(CONFIG / "fastdds.xml")), node]
    return [node]
