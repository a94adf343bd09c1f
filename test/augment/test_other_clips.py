"""Clips of what is no action: made from actions, but never from one that looks the same in pieces or backwards."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import PLAIN, small_spec

from fluxformer_core.actor import ACTIONS, FLIPPED
from fluxformer_core.augment.colourise import can_be_cut_out
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.other_clips import OtherClips
from fluxformer_core.augment.training_clip import _on_the_spot, training_clip
from fluxformer_core.data.clip_store import FLOW_STEP, ActorClip, ClipStore
from fluxformer_core.data.label_table import read_label_table
from fluxformer_core.errors import ConfigError
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.types import OTHER

TABLE = read_label_table()
LABELS = ("other", "squat", "throw", "walk", "wave")
COUNT, SIDE = 16, 48
KINDS = ("idle", "passing", "reversed", "shuffled", "given_up", "glued", "empty_place", "moving_things")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    clips = [ActorClip(label, seed, "depth") for seed, label in enumerate(LABELS)]
    return ClipStore.build(clips, LABELS, small_spec(size=SIDE), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def others(store: ClipStore) -> OtherClips:
    return OtherClips([store])


def stored(folder: Path, label: str, *seeds: int, mode: str = "depth") -> ClipStore:
    clips = [ActorClip(label, seed, mode) for seed in seeds]
    return ClipStore.build(clips, LABELS, small_spec(size=SIDE), folder)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_no_action_is_cut_up_that_would_still_be_one():
    one_way = {label for label in ACTIONS if TABLE[label].one_way}
    assert one_way == {"basketball_shoot", "bowling", "pickup_and_throw", "tennis_serve", "throw"}
    assert not one_way & {*FLIPPED, "sit_to_stand", "stand_to_sit"}, "backwards, they are their mirror actions"
    same_from_both_ends = {"wave", "clap", "boxing", "jog", "walk", "knock", "push", "squat", "lunge", "arm_curl"}
    assert not one_way & {*same_from_both_ends, "arm_cross"}


def test_what_is_glued_is_of_two_different_actions(tmp_path):
    _, flow = OtherClips([stored(tmp_path, "throw", 1)]).glued(COUNT, PLAIN, rng())
    assert np.linalg.norm(flow, axis=3).mean() < 0.15, "nothing can be glued: somebody idle instead"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_clips(others, kind):
    for seed in range(6):
        frames, flow = getattr(others, kind)(COUNT, AugmentConfig(), rng(seed))
        assert (frames.shape, flow.shape) == ((COUNT, SIDE, SIDE, 3), (COUNT, SIDE, SIDE, 2))
        assert frames.dtype == flow.dtype == np.float32
        assert np.isfinite(flow).all()
        assert -0.5 < frames.min() <= frames.max() < 2.0


def test_the_same_seed_draws_the_same_clip(others):
    first, again, other = (others.draw(COUNT, AugmentConfig(), rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_recordings_without_one_way_actions_still_give_clips(tmp_path):
    others = OtherClips([stored(tmp_path, "wave", 1)])
    for seed in range(10):
        assert others.draw(COUNT, AugmentConfig(), rng(seed))[0].shape == (COUNT, SIDE, SIDE, 3)


def test_an_action_backwards_has_its_flow_against_it(store, others):
    frames, flow = others.reversed(COUNT, PLAIN, rng())
    throw = store[LABELS.index("throw")]
    # The frames are the recording's, in falling order; each moves as the frame after it came, the other way.
    numbers = [int(np.abs(throw.frames / 255.0 - frame).sum(axis=(1, 2, 3)).argmin()) for frame in frames]
    assert all(b < a for a, b in pairwise(numbers))
    for number, field in list(zip(numbers, flow, strict=True))[1:]:
        np.testing.assert_allclose(field, -FLOW_STEP * throw.flow[number + 1].astype(np.float32), atol=1e-5)


def test_pieces_that_do_not_follow_each_other_get_the_flow_between_them(store, others):
    throw = store[LABELS.index("throw")]
    order = np.array([3, 4, 20, 20, 19])
    shot = others.reordered(throw, order, np.arange(5))
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in shot.frames]
    np.testing.assert_allclose(shot.flow[1], FLOW_STEP * throw.flow[4].astype(np.float32), atol=1e-6)
    np.testing.assert_allclose(shot.flow[2], DisFlow()(grey[1], grey[2]) * 20 / SIDE, atol=1e-5)
    assert not shot.flow[3].any()
    np.testing.assert_allclose(shot.flow[4], -FLOW_STEP * throw.flow[20].astype(np.float32), atol=1e-6)


def test_who_is_idle_hardly_moves(others):
    for seed in range(8):
        _, flow = others.idle(COUNT, PLAIN, rng(seed))
        assert np.linalg.norm(flow, axis=3).mean() < 0.15, "noise, at most"


def test_who_passes_is_gone_after_a_while_and_moves_as_told(others):
    colourised = replace(PLAIN, colourised=1.0)
    gone, sideways = 0, []
    for seed in range(10):
        _, flow = others.passing(COUNT, colourised, rng(seed))
        fast = np.abs(flow[..., 0]) > 0.35
        share = fast.mean(axis=(1, 2))
        gone += share.min() < 0.02
        if share.max() > 0.1:
            sideways.append(np.median(flow[fast][:, 0]))
    assert gone >= 6
    assert min(sideways) < -0.5
    assert max(sideways) > 0.5


def middles(frames: np.ndarray) -> np.ndarray:
    return np.array([np.median(np.nonzero(plane > 0.1)[1]) if (plane > 0.1).any() else np.nan for plane in frames])


def reach(where: np.ndarray) -> float:
    """How far somebody gets, where there is somebody to be seen."""
    return float(np.nanmax(where) - np.nanmin(where))


def test_who_walks_on_the_spot_is_also_shown_on_the_way_through_the_picture(tmp_path):
    walks = stored(tmp_path, "walk", *range(8))
    ways = {True: 0, False: 0}  # by whether the actor walks on the spot
    gait = TABLE["walk"].gait
    for sample in (walks[i] for i in range(len(walks)) if can_be_cut_out(walks[i].frames[..., 0])):
        on_the_spot = np.ptp(middles(sample.frames.max(axis=3) / 255)) < 0.15 * SIDE
        frames, flow, label = training_clip(sample, COUNT, {}, replace(PLAIN, crossing=1.0), rng(), gait=gait)
        where = middles(frames.max(axis=3))
        assert label == LABELS.index("walk")
        assert reach(where) >= 0.25 * SIDE, "on the way, by themselves or made so"
        lit = frames.max(axis=3) > 0.1
        assert np.sign(np.nanmedian(np.diff(where))) == np.sign(np.median(flow[lit][:, 0])), "the flow says where to"
        ways[on_the_spot] += 1
        if not on_the_spot:
            plain, _, _ = training_clip(sample, COUNT, {}, PLAIN, rng(), gait=gait)
            assert reach(where) == pytest.approx(reach(middles(plain.max(axis=3))), abs=2)
    assert min(ways.values()) > 0, "the actor does both"


def test_joggers_go_through_the_picture_faster_than_walkers(store):
    spot = next(s for s in (store[i] for i in range(len(store))) if _on_the_spot(s))  # carried as if by their legs
    speeds: dict[str, list[float]] = {"walk": [], "jog": []}
    for name, seen in speeds.items():
        for seed in range(10):
            crossing = replace(PLAIN, crossing=1.0)
            frames, flow, _ = training_clip(spot, COUNT, {}, crossing, rng(seed), gait=TABLE[name].gait)
            seen.append(np.median(np.abs(flow[frames.max(axis=3) > 0.1][:, 0])))
    assert max(speeds["walk"]) < 1.4
    assert np.median(speeds["jog"]) > 1.5 * np.median(speeds["walk"])


def test_who_cannot_be_cut_out_does_not_take_the_place_along(tmp_path):
    coloured = OtherClips([stored(tmp_path, "walk", 1, mode="colour")])
    for seed in range(4):
        _, flow = coloured.passing(COUNT, PLAIN, rng(seed))
        assert np.abs(flow).max() < 0.9, "only an empty place, perhaps panned over"


def test_recordings_of_other_are_used_as_they_are(tmp_path):
    # Nothing is left to make clips from: they need no making.
    with pytest.raises(ConfigError, match="recordings of actions"):
        OtherClips([stored(tmp_path, OTHER, 1)]).draw(COUNT, AugmentConfig(), rng())


def test_clips_are_made_from_what_is_shown_as_often_as_it_is_shown(tmp_path):
    few, many = stored(tmp_path, "throw", 1), stored(tmp_path, "throw", 2, 3, 4)
    others = OtherClips([few, many], np.array([3.0, 1.0, 0.0, 1.0]))
    made_from = [sample.frames for sample in (few[0], *(many[i] for i in range(3)))]
    source, counts = rng(), np.zeros(4)
    for _ in range(400):
        drawn = others._one_of(others._one_way, source).frames
        counts[[np.array_equal(drawn, frames) for frames in made_from].index(True)] += 1
    assert counts[2] == 0
    np.testing.assert_allclose(counts / counts.sum(), [0.6, 0.2, 0.0, 0.2], atol=0.08)
