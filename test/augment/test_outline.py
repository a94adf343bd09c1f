"""People cut out on black stay so, and their outlines err as a finder's do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import PLAIN, texture

from fluxformer_core.augment.augment_clip import RawClip, augment_clip
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.outline import disturb_outline, outlines

SIDE, COUNT = 64, 8
BARE = replace(PLAIN, view="person", lost=0.0, kept=0.0, late=0.0)


def person(*, depth: bool, step: int = 0) -> RawClip:
    """A textured person on black who moves `step` px to the right with every frame."""
    frames = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
    for i in range(COUNT):
        left = 20 + step * i
        frames[i, 10:60, left : left + 16] = 80 + texture(50, 16)[..., None] // 2
    flow = np.where(frames[..., :2] > 0, np.float32(step / SIDE * 20), np.float32(0))
    flow[..., 1] = 0
    return RawClip(frames, flow, np.arange(COUNT) / 20, 0.05, depth)


@pytest.mark.parametrize("depth", [True, False], ids=["depth", "colour"])
@pytest.mark.parametrize("seed", range(4))
def test_outside_the_person_a_clip_stays_black_whatever_light_and_noise_do(depth: bool, seed: int) -> None:
    wild = replace(AugmentConfig(), view="person", kept=0.0, rotation=0.0, scale=(1.0, 1.0), shift=0.0, aspect=0.0)
    frames, _ = augment_clip(person(depth=depth), wild, np.random.default_rng(seed))
    assert frames[:, :, :14].max() == frames[:, :, 42:].max() == 0
    assert frames[:, 20:50, 24:32].mean() > 0.02


def test_without_errors_the_clip_is_the_recording() -> None:
    clip = person(depth=False, step=2)
    frames, flow = augment_clip(clip, BARE, np.random.default_rng(0))
    np.testing.assert_allclose(frames, clip.frames / 255, atol=1e-6)
    np.testing.assert_allclose(flow, clip.flow, atol=1e-6)


def test_who_crosses_the_scene_stays_in_the_square_and_moves_all_the_same() -> None:
    path = np.linspace(-0.5, 0.5, COUNT)[:, None] * [1.0, 0.0], np.tile([0.8, 0.0], (COUNT, 1))
    clip = person(depth=True)
    frames, flow = augment_clip(clip, replace(BARE, colourised=0.0), np.random.default_rng(0), path=path)
    np.testing.assert_allclose(frames, clip.frames / 255, atol=1e-6)
    assert np.median(flow[:, 20:50, 24:32, 0]) == pytest.approx(0.8, abs=0.01)


def changed(**errors: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (T, S, S) that an error takes from the person, and that it adds, over many draws."""
    taken, added = np.zeros((2, COUNT, SIDE, SIDE), bool)
    for seed in range(20):
        clip = person(depth=False, step=3)
        frames, flow, before = clip.frames.copy(), clip.flow.copy(), outlines(clip.frames)
        after = before.copy()
        disturb_outline(frames, flow, after, replace(BARE, **errors), np.random.default_rng(seed))
        taken |= (before > 0) & (after == 0)
        added |= (before == 0) & (after > 0)
        assert frames[(before == 0) & (after > 0)].any() or not ((before == 0) & (after > 0)).any()
    return taken, added


def test_each_error_changes_the_outline_in_its_way() -> None:
    taken, added = changed(late=1.0)
    assert taken[1:].any(axis=(1, 2)).all(), "the front of who moves is missing"
    assert not taken[0].any()
    assert not added.any()
    taken, added = changed(lost=1.0)
    assert taken.any()
    assert not added.any()
    taken, added = changed(kept=1.0)
    assert added.any()
    assert not taken.any()
