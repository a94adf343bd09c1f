"""Which frames enter the window, for any camera and any stamps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.stream.admission import Admission
from fluxformer_core.stream.admission import AdmissionResult as Result
from fluxformer_core.types import SECOND, ClipSpec

SPEC = ClipSpec(rate=20.0)
MAX_GAP = 0.5
ENTERS = {Result.ADMIT, Result.GAP, Result.TIME_JUMP}


def judges(*times: float) -> list[Result]:
    """The results of frames at these times, s."""
    admission = Admission(SPEC, MAX_GAP)
    return [admission.judge(round(time * SECOND)) for time in times]


def admitted(stamps: list[int]) -> list[int]:
    judge = Admission(SPEC, MAX_GAP).judge
    return [stamp for stamp in stamps if judge(stamp) in ENTERS]


def camera(rate: float, seconds: float, jitter: float = 0.0, seed: int = 0, dropped: float = 0.0) -> list[int]:
    """Stamps of a camera whose frames come up to `jitter` periods early or late, unless they are dropped."""
    rng = np.random.default_rng(seed)
    index = np.arange(round(rate * seconds))
    times = 100 + (index + rng.uniform(-jitter, jitter, len(index))) / rate
    return [round(time * SECOND) for time in times[rng.random(len(index)) >= dropped]]


@settings(max_examples=80)
@given(rate=st.floats(10, 120), jitter=st.floats(0, 0.2), seed=st.integers(0, 1000))
def test_any_camera_gives_the_models_rate_or_its_own_if_that_is_lower(rate, jitter, seed):
    stamps = camera(rate, 20, jitter, seed)
    entered = admitted(stamps)
    assert len(entered) / 20 == pytest.approx(min(rate, SPEC.rate), rel=0.1)
    assert np.diff(entered).min() >= SPEC.period // 2
    assert len(admitted(camera(rate, 20, jitter, seed, dropped=0.3))) <= 20 * SPEC.rate + 1


@pytest.mark.parametrize("rate", [5, 10, 15, 20])
def test_a_camera_that_is_not_faster_than_the_model_loses_no_frame(rate):
    stamps = camera(rate, 20, jitter=0.1)
    assert admitted(stamps) == stamps


@pytest.mark.parametrize("rate", [40, 60, 100])
def test_a_multiple_of_the_rate_is_divided_evenly(rate):
    gaps = np.diff(admitted(camera(rate, 10)))
    assert set(gaps[1:].tolist()) == {SPEC.period}
    assert gaps[0] > 0.75 * SPEC.period  # the second frame may come early; the others then follow it


def test_a_camera_at_thirty_hertz_keeps_two_frames_of_three():
    stamps = camera(30, 10)
    assert admitted(stamps) == [stamp for i, stamp in enumerate(stamps) if i % 3 != 1]


STEPS = st.lists(
    st.one_of(
        st.integers(0, 2 * SPEC.period),
        st.sampled_from([1, SPEC.period // 10, SPEC.period // 2, SPEC.period - 1, 2 * SPEC.period - 1]),
        st.integers(0, SECOND),
        st.integers(-SECOND, SECOND),
        st.sampled_from([0, 1, -1, round(MAX_GAP * SECOND), round(-MAX_GAP * SECOND), 10**18, -(10**18)]),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(steps=STEPS)
def test_every_result_is_the_one_that_its_stamp_deserves(steps):
    judge = Admission(SPEC, MAX_GAP).judge
    gap = round(MAX_GAP * SECOND)
    newest = entered = 2 * 10**18
    assert judge(newest) is Result.ADMIT
    for step in steps:
        stamp = newest + step
        result = judge(stamp)
        if step == 0:
            assert result is Result.DUPLICATE
        elif step < -gap:
            assert result is Result.TIME_JUMP
        elif step < 0:
            assert result is Result.LATE
        elif step > gap:
            assert result is Result.GAP
        elif stamp - entered < SPEC.period // 2:
            assert result is Result.SKIP, "never two frames closer than half a period"
        elif stamp - entered > 1.25 * SPEC.period:
            assert result is Result.ADMIT, "a frame is never awaited for longer than a period and a quarter"
        else:
            assert result in {Result.ADMIT, Result.SKIP}
        if result not in {Result.DUPLICATE, Result.LATE}:
            newest = stamp
        if result in ENTERS:
            entered = stamp


def test_a_frame_out_of_order_does_not_move_the_grid():
    results = [Result.ADMIT, Result.ADMIT, Result.LATE, Result.DUPLICATE, Result.ADMIT]
    assert judges(10.0, 10.05, 10.02, 10.05, 10.1) == results


def test_the_gap_is_counted_from_the_newest_frame_even_if_that_was_skipped():
    assert judges(10.0, 10.02, 10.515, 11.02) == [Result.ADMIT, Result.SKIP, Result.ADMIT, Result.GAP]


def test_another_longest_gap_counts_at_once():
    judged = Admission(SPEC, MAX_GAP)
    assert judged.judge(0) is Result.ADMIT
    judged.set_max_gap(2.0)
    assert judged.judge(2 * SECOND) is Result.ADMIT
    judged.set_max_gap(0.1)
    assert judged.judge(2 * SECOND + SECOND // 5) is Result.GAP


def test_after_a_reset_any_stamp_is_the_first():
    judged = Admission(SPEC, MAX_GAP)
    for stamp in (5 * SECOND, 5 * SECOND, 3 * SECOND, 9 * SECOND):
        judged.reset()
        assert judged.judge(stamp) is Result.ADMIT


@settings(max_examples=100)
@given(
    rate=st.sampled_from([10.0, 15.0, 20.0, 24.0, 25.0, 30.0, 50.0, 60.0]),
    jitter=st.floats(0, 0.05),
    seed=st.integers(0, 1000),
    lost=st.sets(st.integers(1, 59), max_size=40),
)
def test_a_stream_that_lost_frames_is_soon_read_as_the_whole_one_is(rate, jitter, seed, lost):
    stamps = camera(rate, 100 / rate, jitter, seed)
    kept = [stamp for index, stamp in enumerate(stamps) if index not in lost]
    later = stamps[60] + SECOND // 4
    whole, rest = ([stamp for stamp in admitted(part) if stamp >= later] for part in (stamps, kept))
    assert rest == whole


def test_frames_that_a_slow_camera_did_not_send_are_not_made_up_for():
    slow, fast = camera(10, 5), [stamp + 5 * SECOND for stamp in camera(60, 5)]
    entered = [stamp for stamp in admitted(slow + fast) if stamp >= fast[0]]
    assert len(entered) == pytest.approx(5 * SPEC.rate, abs=2)
