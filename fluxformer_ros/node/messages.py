"""Recognitions and events of the library as ROS messages, and back; people as ROS messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Time
from fluxformer import msg
from geometry_msgs.msg import Point32, Vector3
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from fluxformer_core.people.person import Joints, region_in
from fluxformer_core.people.tracker import Track
from fluxformer_core.types import SECOND, ActionEvent, ActionScore, EventKind, Recognition, Region, State


def time_to_msg(stamp: int) -> Time:
    """Nanoseconds as a ROS time."""
    return Time(sec=stamp // SECOND, nanosec=stamp % SECOND)


def time_from_msg(time: Time) -> int:
    """A ROS time in nanoseconds."""
    return int(time.sec) * SECOND + int(time.nanosec)


def header_of(stamp: int, frame_id: str = "") -> Header:
    """The header of a message: the stamp (ns) and the frame of the image that the message is about."""
    return Header(stamp=time_to_msg(stamp), frame_id=frame_id)


def _same(source: Any, *names: str) -> dict[str, Any]:
    """The fields that are alike in the library and in the message."""
    return {name: getattr(source, name) for name in ("label", "score", "person_id", "distance", *names)}


def region_to_msg(region: Region | None) -> RegionOfInterest:
    """A region of the image; all zero: the whole scene."""
    left, top, right, bottom = region or (0, 0, 0, 0)
    return RegionOfInterest(x_offset=left, y_offset=top, width=right - left, height=bottom - top)


def region_from_msg(message: RegionOfInterest) -> Region | None:
    """The region in a message; None: the whole scene."""
    if not message.width or not message.height:
        return None
    left, top = message.x_offset, message.y_offset
    return left, top, left + message.width, top + message.height


def recognition_to_msg(recognition: Recognition, frame_id: str) -> msg.Recognition:
    """A recognition with the header of the newest image."""
    return msg.Recognition(
        header=header_of(recognition.stamp, frame_id),
        window_start=time_to_msg(recognition.window_start),
        window_end=time_to_msg(recognition.window_end),
        state=int(recognition.state),
        scores=[msg.ActionScore(label=entry.label, score=entry.score) for entry in recognition.scores],
        region=region_to_msg(recognition.region),
        **_same(recognition, "unknown_score", "motion", "frames_in_window", "found_by"),
    )


def recognition_from_msg(message: msg.Recognition) -> Recognition:
    """The recognition in a message, with floats of the precision of float32."""
    return Recognition(
        stamp=time_from_msg(message.header.stamp),
        window_start=time_from_msg(message.window_start),
        window_end=time_from_msg(message.window_end),
        state=State(message.state),
        scores=tuple(ActionScore(entry.label, entry.score) for entry in message.scores),
        region=region_from_msg(message.region),
        **_same(message, "unknown_score", "motion", "frames_in_window", "found_by"),
    )


def event_to_msg(event: ActionEvent, frame_id: str) -> msg.ActionEvent:
    """An event with the header of the image at which the event was decided."""
    return msg.ActionEvent(
        header=header_of(event.stamp, frame_id),
        kind=int(event.kind),
        start=time_to_msg(event.start),
        end=time_to_msg(event.end),
        region=region_to_msg(event.region),
        direction=Vector3(**dict(zip("xyz", event.direction, strict=True))),
        **_same(event, "instance"),
    )


def event_from_msg(message: msg.ActionEvent) -> ActionEvent:
    """The event in a message, with a score of the precision of float32."""
    return ActionEvent(
        stamp=time_from_msg(message.header.stamp),
        kind=EventKind(message.kind),
        start=time_from_msg(message.start),
        end=time_from_msg(message.end),
        region=region_from_msg(message.region),
        direction=(message.direction.x, message.direction.y, message.direction.z),
        **_same(message, "instance"),
    )


def people_to_msg(people: Sequence[Track], shape: tuple[int, ...], stamp: int, frame_id: str) -> msg.People:
    """Everybody in an image of a shape (H, W, ...)."""
    return msg.People(
        header=header_of(stamp, frame_id),
        people=[
            msg.Person(
                id=person.id,
                region=region_to_msg(region_in(person.sighting.box, shape)),
                distance=person.sighting.distance,
                joints=[] if person.sighting.joints is None else _joints(person.sighting.joints),
                found_by=person.sighting.found_by.value,
            )
            for person in people
        ],
    )


def _joints(joints: Joints) -> list[msg.Joint]:
    values = zip(joints.points.tolist(), joints.visibility.tolist(), joints.metres.tolist(), strict=True)
    return [
        msg.Joint(x=x, y=y, visibility=visibility, position=Point32(x=right, y=down, z=away))
        for (x, y), visibility, (right, down, away) in values
    ]
