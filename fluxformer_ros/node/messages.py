"""Recognitions and events of the library as ROS messages, and back."""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time
from fluxformer import msg
from std_msgs.msg import Header

from fluxformer_core.types import SECOND, ActionEvent, ActionScore, EventKind, Recognition, State


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
    return {name: getattr(source, name) for name in ("label", "score", "person_id", *names)}


def recognition_to_msg(recognition: Recognition, frame_id: str) -> msg.Recognition:
    """A recognition with the header of the newest image."""
    return msg.Recognition(
        header=header_of(recognition.stamp, frame_id),
        window_start=time_to_msg(recognition.window_start),
        window_end=time_to_msg(recognition.window_end),
        state=int(recognition.state),
        scores=[msg.ActionScore(label=entry.label, score=entry.score) for entry in recognition.scores],
        **_same(recognition, "unknown_score", "motion", "frames_in_window"),
    )


def recognition_from_msg(message: msg.Recognition) -> Recognition:
    """The recognition in a message, with floats of the precision of float32."""
    return Recognition(
        stamp=time_from_msg(message.header.stamp),
        window_start=time_from_msg(message.window_start),
        window_end=time_from_msg(message.window_end),
        state=State(message.state),
        scores=tuple(ActionScore(entry.label, entry.score) for entry in message.scores),
        **_same(message, "unknown_score", "motion", "frames_in_window"),
    )


def event_to_msg(event: ActionEvent, frame_id: str) -> msg.ActionEvent:
    """An event with the header of the image at which the event was decided."""
    return msg.ActionEvent(
        header=header_of(event.stamp, frame_id),
        kind=int(event.kind),
        start=time_to_msg(event.start),
        end=time_to_msg(event.end),
        **_same(event, "instance"),
    )


def event_from_msg(message: msg.ActionEvent) -> ActionEvent:
    """The event in a message, with a score of the precision of float32."""
    return ActionEvent(
        stamp=time_from_msg(message.header.stamp),
        kind=EventKind(message.kind),
        start=time_from_msg(message.start),
        end=time_from_msg(message.end),
        **_same(message, "instance"),
    )
