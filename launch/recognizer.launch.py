"""Starts the recogniser: ros2 launch fluxformer recognizer.launch.py image:=/camera/color/image_raw."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def generate_launch_description() -> LaunchDescription:
    """The recogniser with its usual arguments; every other parameter is in params_file."""
    config = Path(get_package_share_directory("fluxformer")) / "config"
    arguments = {
        "namespace": ("", "of the node and its topics"),
        "image": ("image", "topic of the raw images; with another image_transport, the name that it is appended to"),
        "image_transport": ("raw", "raw, compressed or compressedDepth"),
        "model": ("", "model file (.safetensors); empty: the one that is shipped"),
        "params_file": (str(config / "recognizer.yaml"), "parameters; the arguments above and below win over it"),
        "use_sim_time": ("false", "take the time from /clock, for bags"),
        "autostart": ("true", "configure and activate the node at once"),
        "backend": ("torch", "what runs the model: auto, torch, cuda, openvino or tensorrt"),
        "precision": ("fp32", "of the model's arithmetic: fp32, fp16 or bf16"),
        "build_only": ("false", "build the engine of the backend and end"),
        "log_level": ("info", "debug, info, warn, error or fatal"),
        "large_images": ("true", "give Fast DDS shared memory for whole images; the camera needs the same profile"),
    }
    value = {name: LaunchConfiguration(name) for name in arguments}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in arguments.items()
            ),
            SetEnvironmentVariable(
                "FASTDDS_DEFAULT_PROFILES_FILE",
                str(config / "fastdds.xml"),
                condition=IfCondition(value["large_images"]),
            ),
            Node(
                package="fluxformer",
                executable="recognizer",
                name="recognizer",
                namespace=value["namespace"],
                output="screen",
                remappings=[("image", value["image"])],
                arguments=["--ros-args", "--log-level", value["log_level"]],
                parameters=[
                    value["params_file"],
                    {
                        "model": ParameterValue(value["model"], value_type=str),
                        "image_transport": value["image_transport"],
                        "use_sim_time": ParameterValue(value["use_sim_time"], value_type=bool),
                        "autostart": ParameterValue(value["autostart"], value_type=bool),
                        "backend": value["backend"],
                        "precision": value["precision"],
                        "build_only": ParameterValue(value["build_only"], value_type=bool),
                    },
                ],
            ),
        ]
    )
