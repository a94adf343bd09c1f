"""The node's parameters: the one table behind declaration, checks, config/recognizer.yaml and docs/usage/node.md.

The table does not repeat defaults, ranges and choices, which the dataclass fields declare.
"""

from __future__ import annotations

import argparse
import operator
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from fluxformer_core.declared import Limits, check, limits
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.config import RecognizerConfig, replaced

Value: TypeAlias = bool | int | float | str
Change: TypeAlias = Literal["live", "configure", "start"]
"""When a new value counts: at the next frame, at the next configure transition, or only at the start of the process."""

FinderName: TypeAlias = Literal["own", "detections", "hri"]
"""What finds people: this package, or another node that publishes vision_msgs or ROS4HRI topics."""

_CHANGES: dict[Change, str] = {"live": "at once", "configure": "at configure", "start": "at start only"}


@dataclass(frozen=True)
class NodeConfig:
    """The settings of the node, with those of the library; raises a ConfigError if a field is outside its range."""

    model: str = ""
    flow: str = ""
    enrolled_file: str = ""
    image_transport: Literal["raw", "compressed", "compressedDepth"] = "raw"
    queue_size: Annotated[int, Field(ge=1, le=100)] = 3
    autostart: bool = True
    build_only: bool = False
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    camera_timeout: Annotated[float, Field(ge=0.1, le=3600)] = 2.0  # s
    finder: FinderName = "own"
    person_class: str = ""
    overlay_rate: Annotated[float, Field(ge=0.1, le=60)] = 10.0  # Hz
    overlay_height: Annotated[int, Field(ge=120, le=2160)] = 480  # px
    recognizer: RecognizerConfig = field(default_factory=RecognizerConfig)

    def __post_init__(self) -> None:
        check(self)


_DEFAULTS = NodeConfig()


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    path: str  # dotted, of the value in `NodeConfig`
    description: str
    unit: str = ""
    change: Change = "live"
    renamed: str = ""  # name of the ROS parameter where the name of the field does not stand alone

    @property
    def name(self) -> str:
        """The name of the ROS parameter."""
        return self.renamed or self.path.rpartition(".")[2]

    @property
    def default(self) -> Value:
        """The value that `NodeConfig` starts with."""
        value: Value = operator.attrgetter(self.path)(_DEFAULTS)
        return value

    @property
    def type(self) -> str:
        """As ROS calls it."""
        return {bool: "bool", int: "int", float: "double", str: "string"}[type(self.default)]

    @property
    def limits(self) -> Limits:
        """What the dataclass field declares."""
        path, _, name = self.path.rpartition(".")
        owner: type = type(operator.attrgetter(path)(_DEFAULTS) if path else _DEFAULTS)
        return limits(owner, name)

    @property
    def range(self) -> tuple[float, float] | None:
        """The least and the largest value; None: the value has no range."""
        low, high = self.limits.low, self.limits.high
        return None if low is None or high is None else (low, high)

    @property
    def allowed(self) -> str:
        """Range or choices as text."""
        if self.range:
            return "{:g} .. {:g}".format(*self.range)
        return ", ".join(choice or '""' for choice in self.limits.choices)

    def sentence(self) -> str:
        """The description with the unit and the time at which a change counts."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.description}{unit}; a change counts {_CHANGES[self.change]}"


_AtConfigure, _AtStart = partial(Setting, change="configure"), partial(Setting, change="start")
_DECISION, _MOTION = "recognizer.decision", "recognizer.decision.motion"

SETTINGS = (
    _AtConfigure("model", "model file (.safetensors); empty: the shipped one"),
    _AtConfigure(
        "flow",
        "estimator of optical flow: dis, farneback, none, or gmflow:FILE with its weights; empty: the model's own",
    ),
    _AtConfigure(
        "enrolled_file",
        "file of the actions taught to this node; empty: fluxformer/enrolled.json in ROS_HOME or ~/.config",
    ),
    _AtConfigure(
        "image_transport",
        "raw: subscribe to `image`; otherwise to `image/<image_transport>` (sensor_msgs/CompressedImage)",
    ),
    _AtConfigure(
        "queue_size",
        "images that may wait while the model is busy; a new image replaces the oldest one. 1: shortest delay",
    ),
    _AtStart("autostart", "configure and activate the node at its start"),
    _AtStart("threads", "threads of one forward pass; 0: half of the cores, at most 4"),
    Setting("camera_timeout", "time without an image after which the camera counts as gone and open events end", "s"),
    _AtConfigure(
        "recognizer.view",
        "scene: recognise what the whole image shows; person: what each person does; auto: as the model was trained",
    ),
    _AtConfigure(
        "finder",
        "what finds people; own: this node; detections: the topic `detections`; hri: the bodies of a ROS4HRI node",
    ),
    _AtConfigure("person_class", "class of `detections` that are people; empty: all classes"),
    _AtConfigure("recognizer.people.max_people", "people followed at once, the tallest in the image first"),
    _AtConfigure(
        "recognizer.people.expiry",
        "time without a sight of a person after which the person counts as gone",
        "s",
        renamed="person_expiry",
    ),
    _AtConfigure("recognizer.people.search_period", "time between two searches of the whole image for people", "s"),
    Setting("overlay_rate", "pictures per second of the camera's time on ~/overlay, while somebody subscribes", "Hz"),
    Setting("overlay_height", "height of the pictures on ~/overlay, which are 16:9", "px"),
    _AtConfigure(
        "recognizer.backend",
        "what runs the model; auto: the fastest that works here; the first configure builds the engines",
    ),
    _AtConfigure("recognizer.precision", "of the model's arithmetic; inputs and outputs are fp32"),
    _AtStart("build_only", "build the engine at configure and end, without waiting for images"),
    Setting(
        "recognizer.recognition_rate", "recognitions per second of the camera's time; each costs one forward pass", "Hz"
    ),
    Setting("recognizer.top_k", "number of labels with scores in a recognition"),
    Setting("recognizer.max_gap", "a longer gap between the stamps of two frames empties the window", "s"),
    Setting("recognizer.selection", "how a clip's frames are selected; empty: as in the model's training"),
    Setting(
        f"{_DECISION}.start_score",
        "smoothed score at which an action is reported; higher: fewer false alarms, later answers",
    ),
    Setting(
        f"{_DECISION}.keep_score",
        "smoothed score below which another label may replace that of a running action; at most start_score",
    ),
    Setting(
        f"{_DECISION}.sure_score", "an action whose score never reached this is retracted when it ends; 0: no action is"
    ),
    Setting(f"{_DECISION}.min_duration", "a shorter motion segment is no action", "s"),
    Setting(
        f"{_DECISION}.smoothing",
        "time constant of the running mean of scores; longer: fewer retractions, later answers; 0: no mean",
        "s",
    ),
    Setting(
        f"{_MOTION}.start_motion", "speed of the fastest pixels at which a motion segment begins", "frame heights/s"
    ),
    Setting(f"{_MOTION}.stop_motion", "speed below which the scene is still; at most start_motion", "frame heights/s"),
    Setting(
        f"{_MOTION}.relative_threshold",
        "the scene is also still below this share of the motion segment's top speed; 0: only below stop_motion",
    ),
    Setting(
        f"{_MOTION}.still_time",
        "stillness that ends a motion segment when the image is as it was before the segment",
        "s",
    ),
    Setting(
        f"{_MOTION}.max_still_time",
        "stillness that ends a motion segment whatever the image shows; at least still_time",
        "s",
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


def read(node: Node, changes: Mapping[str, Value] | None = None) -> NodeConfig:
    """The configuration of the node's present parameters with changes; raises a ConfigError for a contradiction."""
    return build({setting.name: node.get_parameter(setting.name).value for setting in SETTINGS} | dict(changes or {}))


def build(values: Mapping[str, Value]) -> NodeConfig:
    """The configuration with these values, by parameter name; defaults for the others.

    Raises:
        ConfigError: if a value is outside its range or contradicts another.
    """
    return replaced(_DEFAULTS, {setting.path: values[setting.name] for setting in SETTINGS if setting.name in values})


def refusal(node: Node, changes: Mapping[str, Value], configured: bool) -> str:
    """Why these changes, by parameter name, cannot be made to a node that holds a model or not; empty if they can.

    ROS has already checked types and ranges. This function checks choices, and values that depend on each other.
    """
    fixed = [s.name for s in SETTINGS if s.change == "configure" and configured and s.name in changes]
    if fixed:
        return f"{' and '.join(fixed)}: read at configure; deactivate and clean up the node first, then set it"
    try:
        read(node, changes)
    except ConfigError as error:
        return str(error)
    return ""


def _descriptor(setting: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=setting.name,
        description=setting.sentence(),
        additional_constraints=f"one of {setting.allowed}" if setting.limits.choices else "",
        read_only=setting.change == "start",
    )
    if setting.range and setting.type == "int":
        low, high = map(int, setting.range)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    elif setting.range:
        descriptor.floating_point_range = [FloatingPointRange(from_value=setting.range[0], to_value=setting.range[1])]
    return descriptor


def _literal(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def as_yaml() -> str:
    """The table as a parameter file with every default."""
    lines = ["# The parameters of the recogniser, written by python -m fluxformer_ros.node.parameters --yaml"]
    lines += ["/**:", "  ros__parameters:"]
    for setting in SETTINGS:
        allowed = f" ({setting.allowed})" if setting.allowed else ""
        lines += [f"    # {setting.sentence()}{allowed}", f"    {setting.name}: {_literal(setting.default)}"]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """The table in Markdown."""
    rows = [["parameter", "type", "default", "range", "unit", "change counts", "meaning"], ["---"] * 7]
    for s in SETTINGS:
        default = f"`{_literal(s.default)}`"
        rows.append([f"`{s.name}`", s.type, default, s.allowed, s.unit, _CHANGES[s.change], s.description])
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
