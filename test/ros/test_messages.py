"""Recognitions and events survive the conversion to a message and back."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st

from fluxformer_core.types import SECOND, ActionEvent, ActionScore, EventKind, Recognition, State
from fluxformer_ros.node.messages import (
    event_from_msg,
    event_to_msg,
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
RECOGNITIONS = (STAMPS, STAMPS, STAMPS, st.sampled_from(State), NAMES, SCORES, ENTRIES, SCORES, SCORES, COUNTS, NAMES)
EVENTS = (STAMPS, st.sampled_from(EventKind), NAMES, COUNTS, STAMPS, STAMPS, SCORES, NAMES)


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
    assert recognition_from_msg(recognition_to_msg(recognition, "")) == replace(recognition, score=0.5)
