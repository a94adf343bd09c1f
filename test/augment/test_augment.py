"""Augmentation: what is changed about a clip is changed about its frames, its flow and its label alike."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from helpers import PLAIN, rgb, texture, view

from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.pair_flow import PairFlow
from fluxformer_core.augment.rotated_view import rotated_view
from fluxformer_core.augment.training_clip import MIDST, training_clip, whole_clip
from fluxformer_core.data.clip_store import FLOW_STEP, Sample
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream.selection import evenly
from fluxformer_core.types import SECOND

RIGHT, DOWN = 0.25, -0.125  # frame heights per second, both whole numbers of FLOW_STEP
SIDE = 64


def sample_of(frames: np.ndarray, flow: np.ndarray, motion: np.ndarray | float, *, depth: bool) -> Sample:
    """A recording at 20 Hz that changes evenly."""
    n = len(frames)
    stamps, descriptors = np.arange(n) * SECOND // 20, np.linspace(0, 1, n, dtype=np.float32)[:, None]
    motion = np.broadcast_to(motion, n).astype(np.float32)
    return Sample(0, stamps, frames, flow, motion, np.zeros(n, np.float32), descriptors, depth=depth)


def panned(frames: int = 10) -> Sample:
    """A texture that moves evenly, with its true flow."""
    picture = texture(200, 200)
    pixels = SIDE / 20
    images = [rgb(view(picture, RIGHT * pixels * i, DOWN * pixels * i, SIDE)) for i in range(frames)]
    flow = np.zeros((frames, SIDE, SIDE, 2), np.int8)
    flow[1:] = np.array([RIGHT, DOWN]) / FLOW_STEP
    return sample_of(np.stack(images), flow, np.hypot(RIGHT, DOWN), depth=False)


def flow_between(frames: np.ndarray, inside: slice) -> np.ndarray:
    """Flow (pairs, H, W, 2) in frame heights per second that the frames show within a centre square."""
    grey = [cv2.cvtColor((f.clip(0, 1) * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for f in frames]
    return np.stack([DisFlow()(a, b)[inside, inside] for a, b in pairwise(grey)]) * 20 / SIDE


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_without_any_straying_a_training_clip_is_the_recording():
    sample = panned()
    for ours, theirs in zip(training_clip(sample, 4, {}, PLAIN, rng()), whole_clip(sample, 4), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_mirrored_clip_has_mirrored_frames_and_flow_and_its_partners_label():
    sample = panned()
    frames, flow, label = training_clip(sample, 4, {0: 1}, replace(PLAIN, flip=1.0), rng())
    plain_frames, plain_flow, plain_label = whole_clip(sample, 4)
    assert (label, plain_label) == (1, 0)
    np.testing.assert_allclose(frames, plain_frames[:, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(flow, plain_flow[:, :, ::-1] * [-1, 1], atol=1e-6)
    assert flow[-1, 32, 32].tolist() == pytest.approx([-RIGHT, DOWN])
    assert training_clip(sample, 4, {5: 1}, replace(PLAIN, flip=1.0), rng())[2] == 0, "others keep their label"


@pytest.mark.parametrize("seed", range(6))
def test_the_flow_of_another_view_is_what_its_frames_show(seed):
    sample = panned()
    count = len(sample.frames)
    changes = replace(PLAIN, rotation=40.0, scale=(0.8, 1.3), aspect=0.2, shift=0.05, flip=0.5)
    frames, flow, _ = training_clip(sample, count, {}, changes, rng(seed))
    seen = np.median(flow_between(frames[2:], slice(24, 40)), axis=(0, 1, 2))
    told = np.median(flow[3:, 24:40, 24:40], axis=(0, 1, 2))
    np.testing.assert_allclose(seen, told, atol=0.04)


def test_another_tempo_scales_the_flow_alone():
    sample = panned()
    frames, flow, _ = training_clip(sample, 4, {}, replace(PLAIN, tempo=(2.0, 2.0)), rng())
    plain_frames, plain_flow, _ = whole_clip(sample, 4)
    np.testing.assert_allclose(frames, plain_frames, atol=1e-6)
    np.testing.assert_allclose(flow, 2 * plain_flow, atol=1e-6)


@pytest.mark.parametrize("depth", [False, True])
def test_other_colours_and_noise_leave_the_flow_alone(depth):
    sample = replace(panned(), depth=depth)
    changed = [training_clip(sample, 4, {}, replace(PLAIN, recolour=1.0, noise=0.04), rng(seed)) for seed in range(5)]
    plain_frames, plain_flow, _ = whole_clip(sample, 4)
    for frames, flow, _ in changed:
        np.testing.assert_allclose(flow, plain_flow, atol=1e-6)
        assert np.isfinite(frames).all()
        assert frames.min() > -0.3
        assert frames.max() < 1.3
    strayed = [np.abs(frames - plain_frames).mean() for frames, _, _ in changed]
    assert max(strayed) > 0.1
    assert min(strayed) > 0.005


def test_partial_clips_end_early_but_show_some_of_the_action():
    n = 60
    sample = panned(n)
    motion = np.where((np.arange(n) >= 20) & (np.arange(n) < 40), 1.0, 0.0).astype(np.float32)
    numbered = sample.frames * 0 + np.arange(n, dtype=np.uint8)[:, None, None, None]
    sample = replace(sample, motion=motion, frames=numbered)
    ends = []
    for seed in range(40):
        frames, _, _ = training_clip(sample, 8, {}, replace(PLAIN, partial=1.0, least=0.5), rng(seed))
        shown = np.rint(frames[:, 0, 0, 0] * 255)
        assert (np.diff(shown) >= 0).all()
        assert ((shown >= 20) & (shown < 40)).any()
        ends.append(shown[-1])
    assert min(ends) < 35
    assert max(ends) > 45


def test_what_is_repeated_is_also_seen_from_its_midst():
    n, onset, offset = 120, 20, 100
    motion = np.where((np.arange(n) >= onset) & (np.arange(n) < offset), 1.0, 0.0).astype(np.float32)
    frames = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, SIDE, SIDE, 3))
    sample = sample_of(frames, np.zeros((n, SIDE, SIDE, 2), np.int8), motion, depth=False)
    config = replace(PLAIN, midway=1.0)
    spans = []
    for seed in range(30):
        frames, _, _ = training_clip(sample, 8, {}, config, rng(seed), evenly, repeated=True)
        shown = np.rint(frames[:, 0, 0, 0] * 255)
        assert (np.diff(shown) > 0).all()
        spans.append((shown[0], shown[-1]))
    first, last = np.array(spans).T
    assert first.min() >= onset
    assert last.max() < offset
    assert (last - first).min() >= MIDST - 2
    assert (last - first).max() <= offset - onset - MIDST
    assert np.ptp(first) > 20
    assert np.ptp(last - first) > 20
    frames, _, _ = training_clip(sample, 8, {}, config, rng(), evenly)
    whole = np.rint(255 * frames[[0, -1], 0, 0, 0])
    assert whole[0] < onset < offset < whole[1], "done once, it is seen from beginning to end"


@pytest.mark.parametrize("n", [1, 3, 10])
def test_any_recording_gives_a_clip_of_the_right_shape(n):
    sample = panned(n)
    for seed in range(10):
        frames, flow, label = training_clip(sample, 8, {0: 1}, AugmentConfig(), rng(seed))
        assert (frames.shape, flow.shape) == ((8, SIDE, SIDE, 3), (8, SIDE, SIDE, 2))
        assert frames.dtype == flow.dtype == np.float32
        assert np.isfinite(frames).all() & np.isfinite(flow).all()
        assert label in (0, 1)


def test_the_same_seed_draws_the_same_clip():
    sample = panned()
    first, again, other = (training_clip(sample, 4, {}, AugmentConfig(), rng(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def person(frames: int = 10, speed: float = 0.25) -> Sample:
    """A grey block of three depths before nothing, that walks evenly to the right, with its true flow."""
    pictures = np.zeros((frames, SIDE, SIDE, 3), np.uint8)
    flow = np.zeros((frames, SIDE, SIDE, 2), np.int8)
    for i in range(frames):
        left = 16 + round(i * speed * SIDE / 20)
        pictures[i, 10:56, left : left + 14] = 140
        pictures[i, 20:40, left + 4 : left + 8] = 180
        flow[i, 10:56, left : left + 14, 0] = round(speed / FLOW_STEP)
    return sample_of(pictures, flow, speed, depth=True)


COLOURISED = replace(PLAIN, colourised=1.0)


def test_a_colourised_person_keeps_the_outline_and_stands_before_something_that_stands_still():
    sample = person()
    there = sample.frames[..., 0] > 0
    for seed in range(8):
        frames, flow, _ = training_clip(sample, 10, {}, COLOURISED, rng(seed))
        never = ~there.any(axis=0)
        assert np.ptp(frames[:, never], axis=0).max() < 1e-5
        assert frames[:, never].mean() > 0.02, "something is there"
        assert (frames[0][there[0]].std(axis=0) > 0.01).any(), "and the person is not one colour"
        # The block moves on what it uncovers: its place alone moves, and as it did before.
        np.testing.assert_allclose(flow[there], sample.flow[there] * FLOW_STEP, atol=1e-5)
        assert np.abs(flow[:, never]).max() < 1e-5


def test_people_and_places_are_not_twice_the_same():
    sample = person()
    clips = [training_clip(sample, 4, {}, COLOURISED, rng(seed))[0] for seed in range(12)]
    assert np.std([clip[0, 30, 22] for clip in clips], axis=0).min() > 0.05
    assert np.std([clip[0, 5, 5] for clip in clips], axis=0).min() > 0.05


@pytest.mark.parametrize("seed", range(6))
def test_the_flow_of_a_moving_camera_is_what_its_frames_show(seed):
    sample = panned(20)
    moved = replace(PLAIN, moving_camera=1.0, pan=0.5, shake=0.03)
    frames, flow, _ = training_clip(sample, 20, {}, moved, rng(seed))
    told = flow[1:, 20:44, 20:44]
    error = np.abs(np.median(flow_between(frames, slice(20, 44)) - told, axis=(1, 2)))
    assert np.median(error) < 0.03
    assert np.abs(told - [RIGHT, DOWN]).mean() > 0.02


def test_a_place_that_is_panned_over_moves_as_told():
    nothing = np.zeros((20, SIDE, SIDE, 3), np.uint8)
    nobody = replace(person(20), frames=nothing, flow=nothing[..., :2].astype(np.int8))
    panned_over = replace(COLOURISED, moving_camera=1.0, pan=0.6, shake=0.0)
    checked = 0
    for seed in range(12):
        frames, flow, _ = training_clip(nobody, 20, {}, panned_over, rng(seed))
        told = flow[10].reshape(-1, 2)
        speed = np.linalg.norm(told, axis=1)
        if speed.max() < 0.15 or np.median(speed) < 0.6 * speed.max():
            continue  # hardly a pan, or hardly anything to see it by
        seen = np.median(flow_between(frames, slice(16, 48)), axis=(0, 1, 2))
        np.testing.assert_allclose(seen, told[speed.argmax()], atol=0.1)
        checked += 1
    assert checked >= 2


def test_depth_stays_grey():
    config = replace(AugmentConfig(), colourised=0.0)
    for seed in range(10):
        frames, _, _ = training_clip(person(), 4, {}, replace(config, noise=0.0), rng(seed))
        assert np.ptp(frames, axis=3).max() < 1e-5


def test_who_is_seen_from_another_side_is_seen_in_frames_and_flow_alike():
    # A hand that comes nearer moves sideways for a camera beside the one that recorded it.
    sample = person(speed=0.0)
    for i, picture in enumerate(sample.frames):
        picture[26:34, 20:28] = 150 + 10 * i
    aside = replace(PLAIN, rotated_view=1.0, view_angle=25.0, depth_relief=(0.5, 0.5))
    moved = []
    for seed in range(6):
        frames, flow, label = training_clip(sample, 10, {}, aside, rng(seed), pair_flow=PairFlow("dis"))
        assert label == sample.label
        assert not np.allclose(frames, sample.frames / np.float32(255))
        moved.append(np.abs(flow[2:, 24:36, 14:34, 0]).max())
    assert max(moved) > 0.1, "although nothing moved across the picture before"


@pytest.mark.parametrize("changes", [COLOURISED, replace(PLAIN, rotated_view=1.0)])
def test_only_depth_before_nothing_gets_a_background_or_is_seen_from_another_side(changes):
    wall = replace(person(), frames=np.maximum(person().frames, 70))
    for sample in (panned(), wall):
        shown = training_clip(sample, 10, {}, changes, rng())[0]
        np.testing.assert_allclose(shown, whole_clip(sample, 10)[0], atol=1e-6)


def block(near: int = 220) -> np.ndarray:
    """Somebody of one depth, and a nearer hand before the middle."""
    picture = np.zeros((1, SIDE, SIDE), np.uint8)
    picture[0, 10:54, 22:42] = 140
    picture[0, 28:36, 28:36] = near
    return picture


def centre(picture: np.ndarray, axis: int) -> float:
    """Of what is nearest, px."""
    return float(np.nonzero(picture > 200)[axis].mean())


def test_without_a_turn_everything_stays_but_the_edges():
    before, after = block(), rotated_view(block(), 0.0, 0.0, 0.4)
    inner = np.zeros((SIDE, SIDE), bool)
    inner[12:52, 24:40] = True
    inner[26:38, 26:38] = False
    assert np.array_equal(before[0, inner], after[0, inner])
    assert (after[0, :8] == 0).all()


@pytest.mark.parametrize(("yaw", "way"), [(20.0, 1), (-20.0, -1)])
def test_what_is_near_moves_as_far_as_its_depth_says(yaw, way):
    # 80 grey levels of 191, which stand for 0.4 frame heights, are 10.7 px before the body.
    moved = centre(rotated_view(block(), yaw, 0.0, 0.4)[0], 1) - centre(block()[0], 1)
    assert moved * way == pytest.approx(10.7 * np.sin(np.deg2rad(20)), abs=1.0)


def test_pitch_moves_what_is_near_down():
    moved = centre(rotated_view(block(), 0.0, 15.0, 0.4)[0], 0) - centre(block()[0], 0)
    assert moved == pytest.approx(10.7 * np.sin(np.deg2rad(15)), abs=1.0)


def test_the_nearest_surface_hides_what_is_behind_it():
    picture = rotated_view(block(), 20.0, 0.0, 0.4)[0]
    row = picture[32].astype(int)
    assert row[32:38].min() > 180, "the hand covers the body, and is torn nowhere"


def test_steps_forward_stay_steps_forward():
    # The middle of turning is the clip's, not each frame's.
    clip = np.concatenate([np.where(block(140) > 0, np.uint8(grey), np.uint8(0)) for grey in (100, 140, 200)])
    columns = [float(np.nonzero(picture)[1].mean()) for picture in rotated_view(clip, 20.0, 0.0, 0.4)]
    assert columns[0] < columns[1] < columns[2]


def test_nobody_and_what_leaves_the_picture_are_no_error():
    nobody = np.zeros((3, SIDE, SIDE), np.uint8)
    assert np.array_equal(rotated_view(nobody, 20.0, 10.0, 0.4), nobody)
    full = np.full((2, SIDE, SIDE), 255, np.uint8)
    full[:, :, : SIDE // 2] = 60
    assert rotated_view(full, 45.0, 20.0, 3.0).shape == full.shape


def test_frames_are_turned_alike_whatever_comes_with_them_if_depth_is_the_same():
    one = block()
    several, alone = (rotated_view(np.repeat(one, count, axis=0), 12.0, 4.0, 0.3) for count in (3, 1))
    assert np.array_equal(several[2], alone[0])
