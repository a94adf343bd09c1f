"""The state of the node on /diagnostics: a level, and a sentence that tells what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from fluxformer_ros.node.parameters import FinderName
from fluxformer_ros.node.process import resource

PERCENTILES = (50, 90, 99)
_PATIENCE = 2.0  # s: a shorter trouble is not worth a warning
_SETTLED = 4.0  # s: rates say little before
_STOPPING = 3.0  # images overdue: until then the rates still count a camera that has stopped
_RECENT = 10.0  # s: a failure counts as present for this long
_ALL = 10  # refused images in a row: from here on all images are refused, not some
_MANY = 0.1  # share of the received images
_APART = 5.0  # s between an image's stamp and the node's clock: a larger difference means different clocks
_LATE = 500.0  # ms from an image's stamp to its recognition: a longer delay spoils a reaction within a second
_TOO_SLOW = 0.8  # share of the rate that the model was trained at


_NOBODY_SENDS: Mapping[FinderName, str] = {
    "detections": "no detections arrive: start a person detector with a tracker, or remap `detections` to it",
    "hri": "no regions of bodies arrive: start a ROS4HRI node that finds bodies, or set finder to own",
}
_UNUSABLE: Mapping[FinderName, str] = {
    "detections": "detections have no id: run a tracker behind the detector, so that people are known again",
    "hri": "the regions of bodies have no size: see what the ROS4HRI node publishes",
}


class Updater:
    """Runs diagnostic tasks once a period and publishes their statuses together.

    The shape is that of `diagnostic_updater.Updater`. That class is not used: its package has no wheel, its timer runs
    on the node's clock (which may stop with a bag), and its statuses do not carry the node's namespace.
    """

    def __init__(self, node: Node, period: float = 1.0) -> None:
        self._node = node
        self._tasks: dict[str, Callable[[DiagnosticStatus], None]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(period, self.update, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def add(self, name: str, task: Callable[[DiagnosticStatus], None]) -> None:
        """Run this task, which fills in a status, in every period from now on."""
        self._tasks[name] = task

    def update(self) -> None:
        """Run all tasks and publish their statuses now."""
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        for name, task in self._tasks.items():
            status = DiagnosticStatus(name=f"{self._node.get_fully_qualified_name().lstrip('/')}: {name}")
            task(status)
            message.status.append(status)
        self._publisher.publish(message)


@dataclass(frozen=True)
class ImageTopic:
    """The image topic, and the clocks on both sides of it."""

    topic: str = ""
    publishers: int = 0
    timeout: float = 2.0  # s: after a longer time without an image the camera counts as gone
    incompatible_qos: str = ""  # the policies of a publisher that do not fit the subscription; "" if all fit
    sim_time: bool = False  # the node takes its time from /clock
    clock_runs: bool = True  # the node's clock has a time


@dataclass(frozen=True)
class Health:
    """What the diagnosis looks at; times in seconds, rates in Hz, durations in milliseconds."""

    state: str  # of the lifecycle: unconfigured, inactive, active
    error: str = ""  # why the node could not be configured or activated
    image: ImageTopic = field(default_factory=ImageTopic)
    trained_rate: float = 0.0
    active_for: float = 0.0
    flowing_for: float = 0.0  # since images began to arrive without a long break
    input_age: float = math.inf  # since the newest image was received
    stamp_age: float = math.nan  # the node's time less the newest image's stamp, when the image was received
    last_failure: str = ""
    failure_age: float = math.inf
    last_refusal: str = ""
    refused_in_a_row: int = 0  # how many of the newest images could not be used
    people: tuple[str, ...] | None = None  # ids of the people who are followed; None: people are not told apart
    finder: FinderName = "own"  # what finds people
    obstacle: str = ""  # why the whole scene is watched although people were to be told apart
    counts: Mapping[str, int] = field(default_factory=dict)  # since the start, by the key of the status
    rates: Mapping[str, float] = field(default_factory=dict)  # how fast each of these counts grows
    durations: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # by stage, at PERCENTILES
    hardware: str = ""
    shown: Mapping[str, str | float] = field(default_factory=dict)  # further values of the status, by key


def diagnose(health: Health) -> tuple[bytes, str]:
    """The worst level found, and one sentence for everything found at that level."""
    if health.error:
        return DiagnosticStatus.ERROR, health.error
    if health.state != "active":
        return DiagnosticStatus.OK, f"{health.state}: activate the node to recognise"
    if errors := _errors(health):
        return DiagnosticStatus.ERROR, "; ".join(errors)
    warnings = _warnings(health)
    return (DiagnosticStatus.WARN, "; ".join(warnings)) if warnings else (DiagnosticStatus.OK, "recognising")


def fill(status: DiagnosticStatus, health: Health) -> None:
    """Write level, message and every value into a status."""
    status.level, status.message = diagnose(health)
    status.hardware_id = health.hardware
    values = {"state": health.state, **health.shown}
    if health.state == "active":
        values |= {
            "topic": health.image.topic,
            "publishers": health.image.publishers,
            "use_sim_time": str(health.image.sim_time).lower(),
            "input rate [Hz]": health.rates["images received"],
            "input age [s]": health.input_age,
            "stamp age [s]": health.stamp_age,
            "recognition rate [Hz]": health.rates["recognitions"],
            **health.counts,
        }
    if health.people is not None:
        values["people"] = ", ".join(health.people)
    for stage, durations in health.durations.items():
        values |= {f"{stage} p{q} [ms]": value for q, value in zip(PERCENTILES, durations, strict=True)}
    status.values = [KeyValue(key=key, value=_text(key, value)) for key, value in values.items()]


def _text(key: str, value: str | float) -> str:
    if not isinstance(value, float):
        return str(value)
    digits = 4 if key.startswith("cpu: ") else 2
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def _errors(health: Health) -> list[str]:
    found = []
    if health.failure_age < _RECENT:
        found.append(f"recognition fails ({health.last_failure}): see the traceback in the log and report it")
    if health.refused_in_a_row >= _ALL:
        found.append(f"no image on {health.image.topic} can be used: {health.last_refusal}")
    return found


def _warnings(health: Health) -> list[str]:
    found = []
    topic, received = health.image.topic, health.counts["images received"]
    input_rate, lost_rate = health.rates["images received"], health.rates["images lost in transport"]
    if health.image.incompatible_qos:
        found.append(
            f"a publisher on {topic} offers an incompatible QoS ({health.image.incompatible_qos}): "
            f"set qos_overrides.{topic}.subscription to fit it"
        )
    if lost_rate > _MANY * input_rate:
        found.append(f"{lost_rate:.1f} images per second are lost on the way here; {transport_cure(topic)}")
    elif health.active_for > _PATIENCE and received == 0:
        found.append(no_image_reason(topic, health.image.publishers))
    elif received and health.input_age > health.image.timeout:
        found.append(f"no image on {topic} for {health.input_age:.1f} s: is the camera still running?")
    elif health.flowing_for > _SETTLED and health.input_age * input_rate < _STOPPING:
        found += _rate_warnings(health)
    found += _clock_warnings(health)
    if health.obstacle:
        found.append(f"{health.obstacle}; until then the whole scene is watched")
    if health.finder != "own" and health.active_for > _SETTLED and not health.people:
        messages = health.counts["detection messages"]
        if messages == 0:
            found.append(_NOBODY_SENDS[health.finder])
        elif messages == health.counts["detection messages outdated"]:
            found.append("the stamps of detections and images differ: the detector must copy the image's header")
        elif health.counts["detections unusable"]:
            found.append(_UNUSABLE[health.finder])
    if health.rates["images refused"] > 0:
        found.append(f"some images on {topic} cannot be used: {health.last_refusal}")
    return found


def _clock_warnings(health: Health) -> list[str]:
    if not health.image.clock_runs:
        return ["use_sim_time is set but nothing publishes /clock: play the bag with --clock, or unset use_sim_time"]
    if abs(health.stamp_age) > _APART:
        direction = "behind" if health.stamp_age > 0 else "ahead of"
        cure = "publish /clock with the images" if health.image.sim_time else "for a bag set use_sim_time"
        return [
            f"the stamps of the images are {abs(health.stamp_age):.0f} s {direction} this node's clock: {cure}, "
            "otherwise synchronise the two machines' clocks; recognition goes by the stamps, delays mean nothing"
        ]
    delay = health.durations.get("stamp to publish", (0.0, 0.0))[PERCENTILES.index(90)]
    if delay > _LATE:
        return [
            f"every tenth recognition comes {delay:.0f} ms or more after its image: the machine or the way from the "
            "camera is too slow; see which stage takes the time"
        ]
    return []


def _rate_warnings(health: Health) -> list[str]:
    needed, rates = _TOO_SLOW * health.trained_rate, health.rates
    arriving, used = rates["images received"], rates["images pushed"]
    if rates["images with a repeated stamp"] + rates["images late"] > 0.5 * used:
        return ["the stamps of the images do not advance: the camera's driver must stamp every image"]
    if arriving < needed:
        return [f"the camera gives {arriving:.1f} Hz: raise it to the model's {health.trained_rate:g} Hz or more"]
    if used + rates["images refused"] < needed:
        return [
            f"{used:.1f} of {arriving:.1f} images per second are looked at, the machine is "
            "too slow: lower recognition_rate or take a smaller model"
        ]
    return []


def no_image_reason(topic: str, publishers: int) -> str:
    """Why no image has arrived yet, and the cure."""
    if publishers == 0:
        return f"nothing publishes on {topic}: start the camera, or remap `image` to its topic"
    return f"{topic} has a publisher but no image arrives; if it does publish, {transport_cure(topic)}"


def transport_cure(topic: str) -> str:
    """What to do when images get lost between processes."""
    try:
        profile = str(resource("config/fastdds.xml"))
    except FileNotFoundError:
        profile = "config/fastdds.xml of this package"
    return (
        "images larger than Fast DDS's default shared memory are lost: start camera and node with "
        f"FASTDDS_DEFAULT_PROFILES_FILE={profile}, or set "
        f"qos_overrides.{topic}.subscription.reliability to reliable"
    )
