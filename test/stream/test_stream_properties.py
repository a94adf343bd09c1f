"""What must hold of any stream, however its stamps jump: order, no trace of what a reset removed, constant memory."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from helpers import LABELS, rgb, small_spec, texture
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.flow.classical import FlowField, GreyImage
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.belief import Belief
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.config import DecisionConfig, RecognizerConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.selection import SELECTORS, choose
from fluxformer_core.types import OTHER, SECOND

WITH_OTHER = (*LABELS, OTHER)
EAGER = DecisionConfig(start_score=0.01, keep_score=0.01, smoothing=0.0, min_duration=0.0)
MILLISECOND = SECOND // 1000

STEPS = st.one_of(
    st.integers(8 * MILLISECOND, 100 * MILLISECOND),  # cameras of 10 to 120 Hz, with jitter and drops
    st.sampled_from([0, 1, -1, -20 * MILLISECOND, 2 * SECOND, -9 * SECOND, 3600 * SECOND, -(10**18)]),
)


def numbered(serial: int) -> np.ndarray:
    """A picture that moves, in whose corner stands its number."""
    grey = np.roll(texture(32, 32), 3 * serial, axis=1)
    picture = rgb(grey)
    picture[:2, :2] = (serial // 256, serial % 256, 0)
    return picture


def serials(frames: np.ndarray) -> np.ndarray:
    return frames[:, 0, 0, 0].astype(int) * 256 + frames[:, 0, 0, 1]


@settings(max_examples=40)
@given(steps=st.lists(STEPS, max_size=50), selection=st.sampled_from(sorted(SELECTORS)))
def test_whatever_the_stamps_only_ordered_frames_since_the_last_reset_are_seen(bundle, steps, selection):
    recognizer = Recognizer(bundle, RecognizerConfig(selection=selection, recognition_rate=60.0, decision=EAGER))
    stamp, resets, oldest = 0, 0, 0
    for serial, step in enumerate([0, *steps]):
        stamp += step
        update = recognizer.push(numbered(serial), stamp)
        window, counters = recognizer.scene.window, recognizer.counters
        if sum(counters.resets.values()) > resets:
            resets, oldest = sum(counters.resets.values()), serial
        assert 1 <= len(window) <= bundle.spec.window
        assert (np.diff(window.stamps) > 0).all()
        assert (np.diff(serials(window.frames)) > 0).all()
        assert serials(window.frames)[0] >= oldest
        seen = recognizer.scene.last_clip
        if seen is not None:
            assert len(seen.stamps) == bundle.spec.frames
            assert (np.diff(seen.stamps) >= 0).all()
            assert serials(seen.frames).min() >= oldest
            assert np.array_equal(seen.window_stamps[seen.choice.indices], seen.stamps)
        if update.recognition is not None:
            assert update.recognition.stamp == stamp == window.stamps[-1]
            assert window.stamps[0] <= update.recognition.window_start <= update.recognition.window_end <= stamp
    assert counters.flows == counters.admitted - 1 - resets, "one flow for each admitted frame but the first ones"


class NoFlow:
    """Nothing moves, in the place of an estimator that would take most of the time."""

    name = "nothing"
    colour = False

    def __call__(self, previous: GreyImage, current: GreyImage) -> FlowField:
        return np.zeros((*current.shape, 2), np.float32)


def test_memory_is_constant_over_twenty_thousand_frames():
    spec = small_spec(size=16, window=64)
    buffer, admission = RollingBuffer(spec, NoFlow()), Admission(spec, 0.5)
    random = np.random.default_rng(0)
    pictures = random.integers(0, 255, (50, 16, 16, 3), np.uint8)
    steps = random.integers(40 * MILLISECOND, 60 * MILLISECOND, 20_000)
    steps[random.integers(0, len(steps), 60)] = SECOND  # gaps
    homes, held, stamp = None, [], 0
    for i, step in enumerate(steps):
        if i == 16_000:
            tracemalloc.start()  # slows each frame down several times
        stamp += int(step)
        result = admission.judge(stamp)
        if result is AdmissionResult.GAP:
            buffer.clear()
        if result in (AdmissionResult.ADMIT, AdmissionResult.GAP):
            buffer.push(pictures[i % 50], stamp)
        if i % 200 == 199:
            window = buffer.window()
            found = [getattr(window, name).base for name in Window.__dataclass_fields__]
            homes = found if homes is None else homes
            assert not any(array is None for array in found)
            assert list(map(id, found)) == list(map(id, homes)), "a window is a view of what was allocated once"
            assert len(choose(window.motion, window.change, window.descriptors, spec.frames).indices) == spec.frames
            held += [tracemalloc.get_traced_memory()[0]] if i >= 16_000 else []
    tracemalloc.stop()
    assert max(held[1:]) - held[1] < 20_000  # a frame and its flow alone are 2.8 kB; 3800 were pushed since
    assert buffer.flows > 18_000


@settings(max_examples=100)
@given(
    scores=st.lists(st.floats(0.001, 1), min_size=3, max_size=3),
    memory=st.sampled_from([0.1, 0.3, 1.0]),
    rates=st.tuples(st.integers(5, 60), st.integers(5, 60)),
)
def test_belief_does_not_depend_on_how_often_one_asks(scores, memory, rates):
    probabilities = np.array(scores, np.float32) / np.float32(sum(scores))
    believed = []
    for rate in rates:
        belief = Belief(LABELS, 0)
        for i in range(1, rate + 1):
            belief.update(i * SECOND // rate, probabilities, memory)
        believed.append(belief.mean)
    np.testing.assert_allclose(believed[0], believed[1], atol=1e-4)
    assert 0 <= believed[0].sum() <= 1 + 1e-5


@settings(max_examples=100)
@given(
    steps=st.lists(st.tuples(st.floats(0.01, 0.5), st.floats(0.02, 0.98)), min_size=1, max_size=20),
    memory=st.sampled_from([0.0, 0.1, 0.3, 1.0]),
)
def test_the_unknown_score_is_the_mean_of_what_was_seen_and_of_nothing_else(steps, memory):
    belief = Belief(WITH_OTHER, 0)
    assert belief.unknown == 1.0
    belief.update(0, np.array([0.0, 0.9, 0.0, 0.1], np.float32), 0.3)  # at the beginning itself nothing was seen yet
    assert belief.unknown == 1.0
    now, seen = 0.0, []
    for passed, none in steps:
        now += passed
        probabilities = np.array([0, 1 - none, 0, none], np.float32)
        belief.update(round(now * SECOND), probabilities, memory)
        known = math.sqrt(1 - none)
        seen.append((now - passed, now, 1 - known / (known + math.sqrt(none))))
    faded = [
        (math.exp(-(now - end) / memory) - math.exp(-(now - begin) / memory) if memory else float(end == now), value)
        for begin, end, value in seen
    ]
    mean = sum(weight * value for weight, value in faded) / sum(weight for weight, _ in faded)
    assert belief.unknown == pytest.approx(mean, abs=1e-4)
