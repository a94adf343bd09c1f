"""Plays a bag in real time to a recogniser: ros2 launch fluxformer replay.launch.py bag:=my_bag out:=results."""

from pathlib import Path
from shutil import which

from ament_index_python.packages import get_package_share_directory
from ament_index_python.resources import has_resource
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from fluxformer_core.io.sources.bag import bag_contents

SHARE = Path(get_package_share_directory("fluxformer"))
DRAIN = 2.0  # s: for the last images to be recognised
ARGUMENTS = {
    "bag": (None, "the bag to play"),
    "topic": ("", "image topic; needed where the bag has several image topics"),
    "out": ("", "bag of results to make, for `fluxformer evaluate`; empty: none"),
    "rate": ("1.0", "speed of the playback"),
    "player": ("auto", "ros2: ros2 bag play; fluxformer: this package's player; auto: ros2 where that is installed"),
    "model": ("", "model file (.safetensors); empty: the shipped one"),
    "params_file": (str(SHARE / "config" / "recognizer.yaml"), "parameters of the recogniser"),
    "log_level": ("info", "least severe messages that the recogniser logs: debug, info, warn, error or fatal"),
}


def generate_launch_description() -> LaunchDescription:
    """Player, recogniser and, with out:=FOLDER, recorder; all of them end with the bag."""
    choices = {"player": ["auto", "ros2", "fluxformer"]}
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices.get(name))
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list:
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    contents = bag_contents(Path(value["bag"]))
    topics = [value["topic"]] if value["topic"] else list(contents.images)
    if len(topics) != 1 or topics[0] not in contents.images:
        raise RuntimeError(f"choose one of the bag's images with topic:= {', '.join(contents.images) or '(none)'}")
    (topic,) = topics
    ros2 = value["player"] == "ros2" or (value["player"] == "auto" and _has_ros2_bag())
    # ros2 bag publishes the recorded messages; this package's player decodes them and publishes raw images.
    transport = "compressed" if ros2 and topic in contents.compressed else "raw"
    image = topic.removesuffix("/compressed")
    recognizer = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "recognizer.launch.py")),
        launch_arguments={
            "image": image,
            "image_transport": transport,
            "use_sim_time": "true",
            "model": value["model"],
            "params_file": value["params_file"],
            "log_level": value["log_level"],
        }.items(),
    )
    player = _ros2_bag(value, topic) if ros2 else _own_player(value, topic, image)
    end = [TimerAction(period=DRAIN, actions=[Shutdown(reason="the bag has been played")])]
    actions = [recognizer, RegisterEventHandler(OnProcessExit(target_action=player, on_exit=end)), player]
    if not value["out"]:
        return [LogInfo(msg="nothing is recorded: give out:=FOLDER"), *actions]
    recorder = Node(
        package="fluxformer",
        executable="recorder",
        name="recorder",
        output="screen",
        arguments=[value["out"], "--played", value["bag"], "--topic", topic],
        parameters=[{"use_sim_time": True}],
    )
    return [recorder, *actions]


def _has_ros2_bag() -> bool:
    return which("ros2") is not None and bool(has_resource("packages", "ros2bag"))


def _own_player(value: dict[str, str], topic: str, image: str) -> Node:
    return Node(
        package="fluxformer",
        executable="player",
        name="player",
        output="screen",
        arguments=[value["bag"], "--topic", topic, "--clock", "--wait", "120", "--rate", value["rate"]],
        remappings=[("image", image)],
    )


def _ros2_bag(value: dict[str, str], topic: str) -> ExecuteProcess:
    # ros2 bag cannot wait for a subscription; the delay gives the recogniser time to load its model.
    words = ["ros2", "bag", "play", value["bag"], "--topics", topic, "--clock", "100", "--delay", "10"]
    return ExecuteProcess(cmd=[*words, "--rate", value["rate"]], output="screen")
