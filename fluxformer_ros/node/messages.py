"""Recognitions and events of the library as ROS messages, and back."""

from __future__ import annotations

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


def recognition_to_msg(recognition: Recognition, frame_id: str) -> msg.Recognition:
    """A recognition with the header of the newest image.

    Args:
        recognition: of the library.
        frame_id: of the newest image.
    """
    return msg.Recognition(
        header=Header(stamp=time_to_msg(recognition.stamp), frame_id=frame_id),
        window_start=time_to_msg(recognition.window_start),
        window_end=time_to_msg(recognition.window_end),
        state=int(recognition.state),
        label=recognition.label,
        score=recognition.score,
        scores=[msg.ActionScore(label=entry.label, score=entry.score) for entry in recognition.scores],
        unknown_score=recognition.unknown_score,
        motion=recognition.motion,
        frames_in_window=recognition.frames_in_window,
        person_id=recognition.person_id,
    )


def recognition_from_msg(message: msg.Recognition) -> Recognition:
    """The recognition in a message, with floats of the precision of float32."""
    return Recognition(
        stamp=time_from_msg(message.header.stamp),
        window_start=time_from_msg(message.window_start),
        window_end=time_from_msg(message.window_end),
        state=State(message.state),
        label=message.label,
        score=message.score,
        scores=tuple(ActionScore(entry.label, entry.score) for entry in message.scores),
        unknown_score=message.unknown_score,
        motion=message.motion,
        frames_in_window=message.frames_in_window,
        person_id=message.person_id,
    )


def event_to_msg(event: ActionEvent, frame_id: str) -> msg.ActionEvent:
    """An event with the header of the image at which it was decided.

    Args:
        event: of the library.
        frame_id: of that image.
    """
    return msg.ActionEvent(
        header=Header(stamp=time_to_msg(event.stamp), frame_id=frame_id),
        kind=int(event.kind),
        label=event.label,
        instance=event.instance,
        start=time_to_msg(event.start),
        end=time_to_msg(event.end),
        score=event.score,
        person_id=event.person_id,
    )


def event_from_msg(message: msg.ActionEvent) -> ActionEvent:
    """The event in a message, with a score of the precision of float32."""
    return ActionEvent(
        stamp=time_from_msg(message.header.stamp),
        kind=EventKind(message.kind),
        label=message.label,
        instance=message.instance,
        start=time_from_msg(message.start),
        end=time_from_msg(message.end),
        score=message.score,
        person_id=message.person_id,
    )
