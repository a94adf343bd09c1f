"""The node's parameters: one table, from which declaration, validation, config/recognizer.yaml and the README follow.

Defaults are not written here: they are those of the dataclasses that use them.
"""

from __future__ import annotations

import argparse
import operator
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from fluxformer_core.backends.base import DTYPES
from fluxformer_core.backends.registry import list_backends
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.config import PeopleConfig, RecognizerConfig, replaced
from fluxformer_core.stream.selection import SELECTORS

Value: TypeAlias = bool | int | float | str
Change: TypeAlias = Literal["live", "configure", "start"]
"""When a new value counts: at the next frame, at the next configure transition, or only at the start of the process."""

_CHANGES: dict[Change, str] = {"live": "at once", "configure": "at configure", "start": "at start only"}


IMAGE_TRANSPORTS = ("raw", "compressed", "compressedDepth")


@dataclass(frozen=True)
class NodeConfig:
    """The settings of the node itself; those of the recognition are `recognizer`'s.

    Raises:
        ConfigError: if a field is outside its range.
    """

    model: str = ""
    flow: str = ""
    enrolled_file: str = ""
    image_transport: str = "raw"
    queue_size: int = 3
    autostart: bool = True
    build_only: bool = False
    threads: int = 0
    camera_timeout: float = 2.0  # s
    people: bool = False
    person_class: str = ""
    most_people: int = PeopleConfig.most
    person_expiry: float = PeopleConfig.expiry  # s
    overlay_rate: float = 10.0  # Hz
    overlay_height: int = 480  # px
    recognizer: RecognizerConfig = field(default_factory=RecognizerConfig)

    def __post_init__(self) -> None:
        if self.image_transport not in IMAGE_TRANSPORTS:
            raise ConfigError(
                f"image_transport must be one of {', '.join(IMAGE_TRANSPORTS)}, not {self.image_transport!r}"
            )


@dataclass(frozen=True)
class Setting:
    """One row of the table; `field` is the dotted path of the value in `NodeConfig`."""

    field: str
    description: str
    unit: str = ""
    range: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    change: Change = "live"

    @property
    def name(self) -> str:
        """The name of the ROS parameter."""
        return self.field.rpartition(".")[2]

    @property
    def default(self) -> Value:
        """The value that `NodeConfig` starts with."""
        value: Value = operator.attrgetter(self.field)(NodeConfig())
        return value

    @property
    def type(self) -> str:
        """As ROS calls it."""
        return {bool: "bool", int: "int", float: "double", str: "string"}[type(self.default)]

    @property
    def limits(self) -> str:
        """Range or choices, for people."""
        if self.range is not None:
            return "{:g} .. {:g}".format(*self.range)
        return ", ".join(choice or '""' for choice in self.choices)


SETTINGS = (
    Setting("model", "model file (.safetensors); empty: the one that is shipped", change="configure"),
    Setting(
        "flow",
        "estimator of optical flow: dis, farneback, none, or gmflow:FILE with its weights; empty: the model's own",
        change="configure",
    ),
    Setting(
        "enrolled_file",
        "where the actions taught to this node are kept; empty: fluxformer/enrolled.json in ROS_HOME or ~/.config",
        change="configure",
    ),
    Setting(
        "image_transport",
        "raw: subscribe to `image`; otherwise to `image/<image_transport>` (sensor_msgs/CompressedImage)",
        choices=IMAGE_TRANSPORTS,
        change="configure",
    ),
    Setting(
        "queue_size",
        "images that may wait while the model is busy; more are replaced by the newest. 1: least delay of a slow model",
        range=(1, 100),
        change="configure",
    ),
    Setting("autostart", "configure and activate without being asked", change="start"),
    Setting("threads", "threads of one forward pass; 0: half of the cores, at most 4", range=(0, 256), change="start"),
    Setting(
        "camera_timeout",
        "without an image for this long the camera counts as gone and open events are ended",
        "s",
        (0.1, 3600.0),
    ),
    Setting("people", "tell people apart by what a detector says on `detections`", change="configure"),
    Setting("person_class", "class of detections that are people; empty: all", change="configure"),
    Setting("most_people", "people followed at once", range=(1, 64), change="configure"),
    Setting("person_expiry", "who is not detected for this long is gone", "s", (0.05, 3600.0), change="configure"),
    Setting(
        "overlay_rate", "pictures per second of the camera's time on ~/overlay, if somebody looks", "Hz", (0.1, 60.0)
    ),
    Setting("overlay_height", "height of these pictures, which are 16:9", "px", (120, 2160)),
    Setting(
        "recognizer.backend",
        "what runs the model; auto: the fastest that works here; the first configure builds the engines that it needs",
        choices=tuple(list_backends()),
        change="configure",
    ),
    Setting(
        "recognizer.precision",
        "of the model's arithmetic; in and out it is fp32",
        choices=tuple(DTYPES),
        change="configure",
    ),
    Setting("build_only", "build the engine at configure and end, without waiting for images", change="start"),
    Setting(
        "recognizer.recognition_rate",
        "recognitions per second of the camera's time; each costs one forward pass",
        "Hz",
        (0.1, 120.0),
    ),
    Setting("recognizer.top_k", "how many labels with scores a recognition lists", "", (1, 1000)),
    Setting("recognizer.max_gap", "a longer gap between the stamps of two frames clears the window", "s", (0.05, 60.0)),
    Setting(
        "recognizer.selection",
        "how a clip's frames are selected; empty: as in the model's training",
        choices=("", *SELECTORS),
    ),
    Setting(
        "recognizer.decision.start_score",
        "belief from which an action is reported; higher: fewer false alarms, later answers",
        range=(0.01, 1.0),
    ),
    Setting(
        "recognizer.decision.keep_score",
        "below this a running action's name is no longer believed; at most start_score",
        range=(0.01, 1.0),
    ),
    Setting(
        "recognizer.decision.sure_score",
        "an action that ends, and was never believed so much, is taken back; 0: none is",
        range=(0.0, 1.0),
    ),
    Setting("recognizer.decision.min_duration", "shorter spells of motion are no actions", "s", (0.0, 60.0)),
    Setting(
        "recognizer.decision.smoothing",
        "time in which belief in a name grows and fades; longer: fewer names are taken back, later answers; 0: none",
        "s",
        (0.0, 10.0),
    ),
    Setting(
        "recognizer.decision.motion.start_motion",
        "speed of the fastest pixels at which motion begins",
        "frame heights/s",
        (0.001, 10.0),
    ),
    Setting(
        "recognizer.decision.motion.stop_motion",
        "below this speed the scene is still; at most start_motion",
        "frame heights/s",
        (0.001, 10.0),
    ),
    Setting(
        "recognizer.decision.motion.relative_threshold",
        "so it is below this share of the fastest motion of the action; 0: whatever came before",
        range=(0.0, 0.9),
    ),
    Setting(
        "recognizer.decision.motion.still_time",
        "stillness that ends an action when the person is back where it began",
        "s",
        (0.01, 60.0),
    ),
    Setting(
        "recognizer.decision.motion.max_still_time",
        "stillness that ends an action in any case; at least rest",
        "s",
        (0.01, 60.0),
    ),
)
"""Every parameter of the node but `use_sim_time` and the QoS overrides, which ROS itself declares."""


def declare(node: Node) -> None:
    """Declare every parameter on a node.

    Raises:
        rclpy.exceptions.ParameterException: if a value from the command line or a file has the wrong type or range.
    """
    for setting in SETTINGS:
        node.declare_parameter(setting.name, setting.default, _descriptor(setting))


def read(node: Node) -> NodeConfig:
    """The configuration that the node's parameters describe now.

    Raises:
        ConfigError: if the values contradict each other.
    """
    return build({setting.name: node.get_parameter(setting.name).value for setting in SETTINGS})


def build(values: Mapping[str, Value]) -> NodeConfig:
    """The configuration with these values, by parameter name; defaults for those that are not given.

    Raises:
        ConfigError: if a value is outside its range or contradicts another.
    """
    by_field = {setting.field: values[setting.name] for setting in SETTINGS if setting.name in values}
    config: NodeConfig = replaced(NodeConfig(), by_field)
    return config


def refusal(node: Node, changes: Mapping[str, Value], configured: bool) -> str:
    """Why these changes cannot be made; empty if they can.

    ROS has checked types and ranges by now; this checks what they cannot say.

    Args:
        node: with the present values.
        changes: the new values, by parameter name; names that are not in the table are somebody else's.
        configured: whether the node holds a model.
    """
    fixed = [s.name for s in SETTINGS if s.change == "configure" and configured and s.name in changes]
    if fixed:
        return f"{' and '.join(fixed)}: read at configure; deactivate and clean up the node first, then set it"
    present = {setting.name: node.get_parameter(setting.name).value for setting in SETTINGS}
    try:
        build({**present, **changes})
    except ConfigError as error:
        return str(error)
    return ""


def _descriptor(setting: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=setting.name,
        description=_sentence(setting),
        additional_constraints=f"one of {setting.limits}" if setting.choices else "",
        read_only=setting.change == "start",
    )
    if setting.range is not None:
        low, high = setting.range
        if setting.type == "int":
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    return descriptor


def _sentence(setting: Setting) -> str:
    unit = f" [{setting.unit}]" if setting.unit else ""
    return f"{setting.description}{unit}; a change counts {_CHANGES[setting.change]}"


def _literal(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def as_yaml() -> str:
    """The table as a parameter file with every default."""
    lines = [
        "# The parameters of the recogniser, written by python -m fluxformer_ros.node.parameters --yaml",
        "/**:",
        "  ros__parameters:",
    ]
    for setting in SETTINGS:
        limits = f" ({setting.limits})" if setting.limits else ""
        lines += [f"    # {_sentence(setting)}{limits}", f"    {setting.name}: {_literal(setting.default)}"]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """The table for the README."""
    rows: list[Iterable[str]] = [("parameter", "type", "default", "range", "unit", "change counts", "meaning")]
    rows.append(["---"] * 7)
    for setting in SETTINGS:
        default = f"`{_literal(setting.default)}`"
        change = _CHANGES[setting.change]
        rows.append(
            (f"`{setting.name}`", setting.type, default, setting.limits, setting.unit, change, setting.description)
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Print the recogniser's parameters with their defaults.")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--yaml", action="store_const", const=as_yaml, dest="render", help="as a ROS parameter file")
    kind.add_argument("--markdown", action="store_const", const=as_markdown, dest="render", help="as a table")
    sys.stdout.write(parser.parse_args().render())


if __name__ == "__main__":
    main()
