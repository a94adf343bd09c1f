"""Recognitions and events survive the conversion to a message and back."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
from builtin_interfaces.msg import Time
from fluxformer import msg
from hypothesis import given
from hypothesis import strategies as st

from fluxformer_core.people.person import JOINTS, FoundBy, Joints, Sighting
from fluxformer_core.people.tracker import Track
from fluxformer_core.types import SECOND, ActionEvent, ActionScore, EventKind, Recognition, State
from fluxformer_ros.node.messages import (
    event_from_msg,
    event_to_msg,
    people_to_msg,
    recognition_from_msg,
    recognition_to_msg,
    time_from_msg,
    time_to_msg,
)

STAMPS = st.integers(0, 2**31 * SECOND - 1)
SCORES = st.floats(0, 1, width=32)
NAMES = st.text(st.characters(categories=["Ll", "Nd", "Pc"]), max_size=12)


@given(STAMPS)
def test_a_stamp_comes_back_to_the_nanosecond(stamp: int) -> None:
    message = time_to_msg(stamp)
    assert message == Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
    assert time_from_msg(message) == stamp


ENTRIES = st.lists(st.builds(ActionScore, NAMES, SCORES), max_size=3).map(tuple)
COUNTS = st.integers(0, 2**32 - 1)
CORNERS = st.tuples(*[st.integers(0, 4000)] * 4)
REGIONS = st.none() | CORNERS.map(lambda c: (min(c[:2]), min(c[2:]), max(c[:2]) + 1, max(c[2:]) + 1))
METRES = st.floats(0, 10, width=32)
WHERE = (NAMES, REGIONS, METRES)
SAID = (NAMES, SCORES, ENTRIES, SCORES, SCORES, COUNTS)
RECOGNITIONS = (STAMPS, STAMPS, STAMPS, st.sampled_from(State), *SAID, *WHERE, NAMES)
DIRECTIONS = st.tuples(*[st.floats(-1, 1)] * 3)
EVENTS = (STAMPS, st.sampled_from(EventKind), NAMES, COUNTS, STAMPS, STAMPS, SCORES, *WHERE, DIRECTIONS)


def test_every_field_of_the_library_is_tried() -> None:
    assert (len(fields(Recognition)), len(fields(ActionEvent))) == (len(RECOGNITIONS), len(EVENTS))


@given(st.builds(Recognition, *RECOGNITIONS))
def test_a_recognition_comes_back_as_it_was(recognition: Recognition) -> None:
    message = recognition_to_msg(recognition, "eye")
    assert message.header.frame_id == "eye"
    assert time_from_msg(message.header.stamp) == recognition.stamp
    assert recognition_from_msg(message) == recognition


@given(st.builds(ActionEvent, *EVENTS))
def test_an_event_comes_back_as_it_was(event: ActionEvent) -> None:
    message = event_to_msg(event, "eye")
    assert message.header.frame_id == "eye"
    assert event_from_msg(message) == event


def test_scores_of_the_library_may_be_numpy_numbers() -> None:
    recognition = Recognition(1, 1, 1, State.ACTION, "wave", score=np.float32(0.5), frames_in_window=np.int64(7))
    back = recognition_from_msg(recognition_to_msg(recognition, ""))
    assert math.isnan(back.distance)
    assert replace(back, distance=0.0) == replace(recognition, score=0.5, distance=0.0)


def test_joints_have_the_places_that_the_message_names() -> None:
    assert [getattr(msg.Joint, name.upper()) for name in JOINTS] == list(range(len(JOINTS)))
    assert int(State.NOBODY) == msg.Recognition.NOBODY


def test_people_are_told_with_region_distance_and_joints() -> None:
    numbers = np.arange(33 * 6, dtype=np.float32).reshape(33, 6)
    joints = Joints(numbers[:, :2], numbers[:, 2], numbers[:, 3:])
    ann = Track("ann", Sighting((-5.0, 10.2, 60.0, 300.0), FoundBy.POSE, joints=joints), 0)
    bob = Track("bob", Sighting((10.0, 10.0, 20.0, 20.0), FoundBy.DEPTH, distance=2.5), 0)
    message = people_to_msg([ann, bob], (240, 320, 3), SECOND, "eye")
    assert (message.header.stamp.sec, message.header.frame_id) == (1, "eye")
    first, second = message.people
    assert (first.id, first.found_by, second.id, second.found_by) == ("ann", "pose", "bob", "depth")
    region = first.region
    assert (region.x_offset, region.y_offset, region.width, region.height) == (0, 10, 60, 230)
    assert (math.isnan(first.distance), second.distance) == (True, 2.5)
    assert [(j.x, j.y, j.visibility, j.position.x, j.position.y, j.position.z) for j in first.joints] == [
        tuple(row) for row in numbers.tolist()
    ]
    assert list(second.joints) == []
