"""How the node is doing, as a diagnostic_msgs/DiagnosticStatus with a sentence that tells what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from fluxformer_ros.node.messages import time_to_msg
from fluxformer_ros.node.resources import resource

PERCENTILES = (50, 90, 99)
_PATIENCE = 2.0  # s: what has been wrong for less is not worth a warning
_SETTLED = 4.0  # s: rates say little before
_STOPPING = 3.0  # images overdue: the rates still count what has stopped
_RECENT = 10.0  # s: a failure counts as present for this long
_ALL = 10  # images in a row: these are all, not some
_MANY = 0.1  # lost images, of those received
_APART = 5.0  # s between an image's stamp and the node's clock: these are different clocks
_LATE = 500.0  # ms from an image's stamp to its recognition: more spoils a reaction within a second
_TOO_SLOW = 0.8  # of the rate that the model was trained at


@dataclass(frozen=True)
class Health:
    """Everything that the diagnosis looks at; times in seconds, rates in Hz, durations in milliseconds."""

    state: str  # of the lifecycle: unconfigured, inactive, active
    complaint: str = ""  # why the node could not be configured or activated
    topic: str = ""
    publishers: int = 0
    incompatible_qos: str = ""  # which policies of a publisher do not fit, "" if all do
    active_for: float = 0.0
    flowing_for: float = 0.0  # since images began to arrive without a long break
    camera_timeout: float = 2.0
    trained_rate: float = 0.0
    received: int = 0
    replaced: int = 0
    discarded: int = 0
    lost: int = 0  # on the way, as the middleware says
    pushed: int = 0
    admitted: int = 0
    skipped: int = 0  # not needed: the camera is faster than the model's rate
    recognitions: int = 0
    forwards: int = 0  # recognitions for which the model ran
    duplicates: int = 0
    late: int = 0
    failures: int = 0
    last_failure: str = ""
    failure_age: float = math.inf
    input_age: float = math.inf  # since the newest image was received
    stamp_age: float = math.nan  # the node's time less the newest image's stamp, when it was received
    sim_time: bool = False  # the node's time comes from /clock
    clock_runs: bool = True  # ... or would, if anybody published it
    input_rate: float = math.nan
    pushed_rate: float = math.nan
    refused_rate: float = math.nan
    lost_rate: float = math.nan  # on the way, as the middleware says
    stuck_rate: float = math.nan  # images whose stamp does not advance
    recognition_rate: float = math.nan
    refused: Mapping[str, int] = field(default_factory=dict)  # images that could not be used, by cause
    refused_in_a_row: int = 0  # how many of the newest images these were
    last_refusal: str = ""
    resets: Mapping[str, int] = field(default_factory=dict)  # by cause
    durations: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # by stage, at PERCENTILES
    people: tuple[str, ...] | None = None  # who is followed; None: people are not told apart
    people_ignored: int = 0
    detections: int = -1  # messages; -1: nobody listens for them
    detections_outdated: int = 0
    detections_unusable: int = 0
    overlays: int = 0  # pictures drawn
    overlays_skipped: int = 0  # images that a newer one replaced before they were drawn
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)  # since the start, by what for; "all" is their sum
    device: str = ""
    backend: str = ""  # what runs the model, and in which precision
    model: str = ""
    cpu: float = math.nan  # per cent of one core
    memory: float = math.nan  # MiB, resident


def diagnose(health: Health) -> tuple[bytes, str]:
    """The level of a DiagnosticStatus and its message.

    Returns:
        The worst level found, and one sentence for everything found at that level.
    """
    if health.complaint:
        return DiagnosticStatus.ERROR, health.complaint
    if health.state != "active":
        return DiagnosticStatus.OK, f"{health.state}: activate the node to recognise"
    found = [*_errors(health), *_warnings(health)]
    if not found:
        return DiagnosticStatus.OK, "recognising"
    worst = max(level for level, _ in found)
    return worst, "; ".join(text for level, text in found if level == worst)


def _errors(health: Health) -> list[tuple[bytes, str]]:
    found = []
    if health.failure_age < _RECENT:
        found.append(f"recognition fails ({health.last_failure}): see the traceback in the log and report it")
    if health.refused_in_a_row >= _ALL:
        found.append(f"no image on {health.topic} can be used: {health.last_refusal}")
    return [(DiagnosticStatus.ERROR, text) for text in found]


def _warnings(health: Health) -> list[tuple[bytes, str]]:
    found = []
    if health.incompatible_qos:
        found.append(
            f"a publisher on {health.topic} offers an incompatible QoS ({health.incompatible_qos}): "
            f"set qos_overrides.{health.topic}.subscription to fit it"
        )
    if health.lost_rate > _MANY * health.input_rate:
        found.append(
            f"{health.lost_rate:.1f} images per second are lost on the way here; {transport_cure(health.topic)}"
        )
    elif health.active_for > _PATIENCE and health.received == 0:
        found.append(no_image_reason(health.topic, health.publishers))
    elif health.received and health.input_age > health.camera_timeout:
        found.append(f"no image on {health.topic} for {health.input_age:.1f} s: is the camera still running?")
    elif health.flowing_for > _SETTLED and health.input_age * health.input_rate < _STOPPING:
        found += _pace(health)
    found += _clocks(health)
    if health.people is not None and health.active_for > _SETTLED and not health.people:
        if health.detections == 0:
            found.append("no detections arrive: start a person detector with a tracker, or remap `detections` to it")
        elif health.detections == health.detections_outdated:
            found.append("the stamps of detections and images differ: the detector must copy the image's header")
        elif health.detections_unusable:
            found.append("detections have no id: run a tracker behind the detector, so that people are known again")
    if health.refused_rate > 0:
        found.append(f"some images on {health.topic} cannot be used: {health.last_refusal}")
    return [(DiagnosticStatus.WARN, text) for text in found]


def _clocks(health: Health) -> list[str]:
    if not health.clock_runs:
        return ["use_sim_time is set but nothing publishes /clock: play the bag with --clock, or unset use_sim_time"]
    if abs(health.stamp_age) > _APART:
        direction = "behind" if health.stamp_age > 0 else "ahead of"
        cure = "publish /clock with the images" if health.sim_time else "for a bag set use_sim_time"
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


def _pace(health: Health) -> list[str]:
    needed = _TOO_SLOW * health.trained_rate
    if health.stuck_rate > 0.5 * health.pushed_rate:
        return ["the stamps of the images do not advance: the camera's driver must stamp every image"]
    if health.input_rate < needed:
        return [
            f"the camera gives {health.input_rate:.1f} Hz: raise it to the model's {health.trained_rate:g} Hz or more"
        ]
    if health.pushed_rate + health.refused_rate < needed:
        return [
            f"{health.pushed_rate:.1f} of {health.input_rate:.1f} images per second are looked at, the machine is "
            "too slow: lower recognition_rate or take a smaller model"
        ]
    return []


def no_image_reason(topic: str, publishers: int) -> str:
    """Why no image may have arrived yet, and the cure."""
    if publishers == 0:
        return f"nothing publishes on {topic}: start the camera, or remap `image` to its topic"
    return f"{topic} has a publisher but no image arrives; if it does publish, {transport_cure(topic)}"


def transport_cure(topic: str) -> str:
    """What to do about images that get lost between processes."""
    try:
        profile = str(resource("config/fastdds.xml"))
    except FileNotFoundError:
        profile = "config/fastdds.xml of this package"
    return (
        "images larger than Fast DDS's default shared memory are lost: start camera and node with "
        f"FASTDDS_DEFAULT_PROFILES_FILE={profile}, or set "
        f"qos_overrides.{topic}.subscription.reliability to reliable"
    )


def to_status(health: Health, name: str) -> DiagnosticStatus:
    """The whole status: level, message and every value.

    Args:
        health: the present state.
        name: of the node, fully qualified.
    """
    level, message = diagnose(health)
    return DiagnosticStatus(
        level=level,
        name=f"{name.lstrip('/')}: recognition",
        message=message,
        hardware_id=health.device,
        values=[KeyValue(key=key, value=value) for key, value in _values(health).items()],
    )


def to_array(status: DiagnosticStatus, stamp: int) -> DiagnosticArray:
    """The message for /diagnostics; stamp in ns of the node's clock."""
    message = DiagnosticArray(status=[status])
    message.header.stamp = time_to_msg(stamp)
    return message


def _values(health: Health) -> dict[str, str]:
    values = {
        "state": health.state,
        "model": health.model,
        "backend": health.backend,
        "device": health.device,
        "topic": health.topic,
        "publishers": str(health.publishers),
        "input rate [Hz]": _number(health.input_rate),
        "input age [s]": _number(health.input_age),
        "stamp age [s]": _number(health.stamp_age),
        "use_sim_time": str(health.sim_time).lower(),
        "recognition rate [Hz]": _number(health.recognition_rate),
        "images received": str(health.received),
        "images lost in transport": str(health.lost),
        "images replaced": str(health.replaced),
        "images discarded": str(health.discarded),
        "images refused": str(sum(health.refused.values())),
        "images pushed": str(health.pushed),
        "images admitted": str(health.admitted),
        "images skipped": str(health.skipped),
        "images with a repeated stamp": str(health.duplicates),
        "images late": str(health.late),
        "recognitions": str(health.recognitions),
        "forward passes": str(health.forwards),
        "failures": str(health.failures),
        "overlay pictures": str(health.overlays),
        "overlay pictures skipped": str(health.overlays_skipped),
    }
    if health.people is not None:
        values["people"] = ", ".join(health.people)
        values["people ignored"] = str(health.people_ignored)
        values["detection messages"] = str(health.detections)
        values["detection messages outdated"] = str(health.detections_outdated)
        values["detections unusable"] = str(health.detections_unusable)
    values |= {f"refused: {cause}": str(count) for cause, count in health.refused.items()}
    values |= {f"resets: {cause}": str(count) for cause, count in health.resets.items()}
    for stage, durations in health.durations.items():
        for q, duration in zip(PERCENTILES, durations, strict=True):
            values[f"{stage} p{q} [ms]"] = _number(duration)
    for part, seconds in health.cpu_seconds.items():
        values[f"cpu: {part} [s]"] = f"{seconds:.4f}" if math.isfinite(seconds) else ""
    values["cpu [%]"] = _number(health.cpu)
    values["memory [MiB]"] = _number(health.memory)
    return values


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else ""
