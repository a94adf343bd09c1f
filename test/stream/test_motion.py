"""Where motion begins and ends: segments that survive a held pose and end when the scene is as it was."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.stream.config import MotionConfig
from fluxformer_core.stream.motion import MotionTracker
from fluxformer_core.types import SECOND

CONFIG = MotionConfig()
STANDING, SQUATTING = np.zeros(4, np.float32), np.full(4, 0.5, np.float32)


class Scene:
    """Feeds a tracker at 20 Hz and notes each segment when it ends."""

    def __init__(self, config: MotionConfig = CONFIG) -> None:
        self.tracker = MotionTracker(config)
        self.now = 0.0  # s
        self.ended: list[tuple[float, float, float]] = []  # start, last motion, when it was known, all in s

    def play(self, seconds: float, motion: float, begin: np.ndarray, end: np.ndarray | None = None) -> Scene:
        """Move at a speed from one appearance to another."""
        frames = round(seconds * 20)
        for i in range(frames):
            share = (i + 1) / frames
            self.frame(motion, begin if end is None else (1 - share) * begin + share * end)
        return self

    def frames(self, motions: Iterable[float], appearance: np.ndarray) -> Scene:
        for motion in motions:
            self.frame(motion, appearance)
        return self

    def frame(self, motion: float, appearance: np.ndarray) -> None:
        was_active = self.tracker.active
        self.tracker.push(round(self.now * SECOND), motion, appearance.astype(np.float32))
        if was_active and not self.tracker.active:
            segment = self.tracker.segment
            assert segment is not None
            self.ended.append((segment.start / SECOND, segment.last_motion / SECOND, self.now))
        self.now += 0.05


def squat(held: float) -> Scene:
    return Scene().play(1.0, 0.0, STANDING).play(0.5, 1.0, STANDING, SQUATTING).play(held, 0.0, SQUATTING)


def test_a_still_scene_has_no_segment():
    scene = Scene().play(10.0, 0.5 * CONFIG.stop_motion, STANDING)
    assert (scene.tracker.active, scene.tracker.segment) == (False, None)


def test_a_segment_has_the_times_of_its_motion():
    scene = Scene().play(1.0, 0.0, STANDING).play(0.5, 1.0, STANDING, SQUATTING).play(0.5, 1.0, SQUATTING, STANDING)
    assert scene.tracker.active
    scene.play(2.0, 0.0, STANDING)
    ((start, end, known),) = scene.ended
    assert start == pytest.approx(1.0, abs=0.051)
    assert end == pytest.approx(2.0, abs=0.051)
    assert known - end == pytest.approx(CONFIG.still_time, abs=0.051), "the scene is as before: it ends soon"


def test_a_held_pose_does_not_end_the_action():
    scene = squat(held=0.8 * CONFIG.max_still_time)
    assert scene.tracker.active
    scene.play(0.5, 1.0, SQUATTING, STANDING).play(3.0, 0.0, STANDING)
    ((start, end, known),) = scene.ended
    assert start == pytest.approx(1.0, abs=0.051)
    assert end == pytest.approx(scene.now - 3.0, abs=0.051)
    assert known - end == pytest.approx(CONFIG.still_time, abs=0.051)


def test_a_pose_held_for_long_ends_the_action_and_becomes_the_new_rest():
    scene = squat(held=2 * CONFIG.max_still_time)
    ((_, end, known),) = scene.ended
    assert known - end == pytest.approx(CONFIG.max_still_time, abs=0.051)
    # Up again from the squat, and back into it: now the squat is what the scene looked like before.
    scene.play(0.5, 1.0, SQUATTING, STANDING).play(0.5, 1.0, STANDING, SQUATTING).play(1.0, 0.0, SQUATTING)
    assert len(scene.ended) == 2
    assert scene.ended[1][2] - scene.ended[1][1] == pytest.approx(CONFIG.still_time, abs=0.051)


@pytest.mark.parametrize("missing", [0.2, 0.6])
def test_how_far_back_is_back_enough(missing):
    scene = squat(held=0.0)
    rest = missing * SQUATTING
    scene.play(0.5, 1.0, SQUATTING, rest).play(3.0, 0.0, rest)
    ((_, end, known),) = scene.ended
    expected = CONFIG.still_time if missing < CONFIG.returned else CONFIG.max_still_time
    assert known - end == pytest.approx(expected, abs=0.051)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_short_pause_within_the_motion_is_bridged(frames):
    scene = Scene().play(1.0, 0.0, STANDING)
    for _ in range(4):
        scene.play(0.4, 1.0, STANDING, SQUATTING).play(0.05 * frames, 0.0, SQUATTING)
    assert (scene.tracker.active, scene.ended) == (True, [])


def test_one_noisy_frame_is_no_motion():
    scene = Scene().play(1.0, 0.0, STANDING)
    for _ in range(10):
        scene.play(0.05, 5.0, STANDING).play(0.3, 0.0, STANDING)
    assert scene.tracker.segment is None


def test_a_slow_start_belongs_to_the_segment():
    scene = Scene().play(1.0, 0.0, STANDING)
    scene.play(0.3, 0.5 * (CONFIG.start_motion + CONFIG.stop_motion), STANDING)
    assert not scene.tracker.active
    scene.play(0.3, 1.0, STANDING, SQUATTING)
    assert scene.tracker.segment is not None
    assert scene.tracker.segment.start / SECOND == pytest.approx(1.0, abs=0.051)


def test_each_segment_starts_with_its_own_motion():
    scene = Scene()
    for _ in range(3):
        scene.play(1.0, 0.0, STANDING).play(1.0, 1.0, STANDING)
    scene.play(1.0, 0.0, STANDING)
    assert [start for start, _, _ in scene.ended] == pytest.approx([1.0, 3.0, 5.0], abs=0.051)


def test_a_stream_that_begins_in_motion_ends_with_any_rest():
    scene = Scene().play(2.0, 1.0, STANDING, SQUATTING).play(1.0, 0.0, SQUATTING)
    ((start, end, known),) = scene.ended
    assert start == 0.0
    assert known - end == pytest.approx(CONFIG.still_time, abs=0.051)


def test_the_noise_of_a_still_picture_is_no_motion_but_real_motion_still_is():
    noise = np.random.default_rng(0).uniform(0.8, 1.2, 200) * CONFIG.start_motion
    scene = Scene().frames(noise, STANDING)
    assert not scene.tracker.active, "louder than both thresholds, yet nothing moves"
    scene.play(0.5, 8 * CONFIG.start_motion, STANDING, SQUATTING)
    assert scene.tracker.active
    assert not scene.frames(noise[:60], SQUATTING).tracker.active


def test_lasting_motion_does_not_pass_for_noise():
    scene = Scene().play(60.0, 1.0, STANDING, SQUATTING)
    assert (scene.tracker.active, scene.ended) == (True, [])


def test_who_comes_into_an_empty_place_and_trembles_at_rest_is_at_rest():
    tremble = np.random.default_rng(0).uniform(0.08, 0.14, 200)
    scene = Scene().play(4.0, 0.01, np.full(4, 2.0)).play(1.5, 1.0, np.full(4, 2.0), STANDING)
    scene.frames(tremble[:40], STANDING)
    scene.play(0.4, 1.6 * CONFIG.start_motion, STANDING, 0.2 * SQUATTING)  # a foot put elsewhere
    scene.frames(tremble[40:80], 0.2 * SQUATTING)
    assert not scene.tracker.active
    began = scene.now
    scene.play(0.5, 1.0, 0.2 * SQUATTING, SQUATTING)
    assert scene.tracker.segment is not None
    assert scene.tracker.segment.start / SECOND == pytest.approx(began, abs=0.051)


def test_a_reset_forgets_pose_and_noise():
    used, fresh = Scene(), Scene()
    used.play(3.0, 0.1, STANDING).play(1.0, 1.0, STANDING, SQUATTING)  # so noisy that 0.2 would not count
    used.tracker.reset()
    assert used.tracker.segment is None
    for scene in (used, fresh):
        scene.play(0.3, 0.0, STANDING).play(0.15, 0.2, STANDING, SQUATTING)
        assert scene.tracker.active


RUN = st.tuples(
    st.integers(1, 12),  # so many frames,
    st.integers(1, SECOND // 10),  # this far apart,
    st.sampled_from([0.0, 0.05, 0.1, 0.2, 1.0]),  # of this motion
    st.integers(0, 3),  # in this pose
)


@settings(max_examples=150)
@given(runs=st.lists(RUN, max_size=30))
def test_segments_follow_each_other_and_lie_in_the_past(runs):
    tracker = MotionTracker(CONFIG)
    now, segments = 0, []
    for step, motion, pose in (run[1:] for run in runs for _ in range(run[0])):
        now += step
        tracker.push(now, motion, np.full(2, pose, np.float32))
        segment = tracker.segment
        if segment is not None:
            assert 0 <= segment.start <= segment.last_motion <= now
            assert tracker.active is not segment.closed
            if not segments or segment is not segments[-1]:
                segments.append(segment)
    for before, after in pairwise(segments):
        assert before.closed
        assert before.last_motion < after.start
