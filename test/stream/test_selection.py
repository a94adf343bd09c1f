"""Frame selection: where it looks, what it refuses, and the released algorithm that benchmarks compare it with."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import texture, view, window_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.released_selection import CLOSE, colour_sums, released, released_selection, representatives
from benchmarks.selection import SEQUENCES, Sequence, share_before_cut, share_inside
from fluxformer_core.stream.buffer import Window
from fluxformer_core.stream.selection import (
    SELECTORS,
    choose,
    cluster,
    evenly,
    flow_guided,
    path_length,
    scene_cuts,
    uniform,
)

VALUES = st.floats(-1, 1, width=32)


def descriptors(n: int, d: int = 3, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@settings(max_examples=150)
@given(data=st.data(), n=st.integers(1, 40), count=st.integers(1, 20))
def test_any_window_gives_exactly_t_sorted_indices_in_range(data, n, count):
    x = data.draw(arrays(np.float32, (n, 3), elements=VALUES))
    motion, change = (data.draw(arrays(np.float32, n, elements=st.floats(0, 1, width=32))) for _ in range(2))
    choice = choose(motion, change, x, count)
    chosen = choice.indices
    assert chosen.shape == (count,)
    assert np.issubdtype(chosen.dtype, np.integer)
    assert 0 <= chosen.min() <= chosen.max() < n
    assert (np.diff(chosen) >= 0).all()
    assert np.array_equal(choose(motion, change, x, count).indices, chosen)
    start = max(scene_cuts(motion, change), default=0)
    assert len(set(chosen.tolist())) == min(n - start, count), "frames repeat only when there are too few"
    assert (choice.groups[:start] == -1).all()
    assert (np.diff(choice.groups[start:]) >= 0).all(), "clusters are runs in time"
    if n - start >= count:
        assert choice.groups[chosen].tolist() == list(range(count)), "each cluster has its own frame"


@pytest.mark.parametrize(("n", "lengths"), [(0, (0, 0)), (3, (2, 3)), (3, (3, 4))])
def test_arguments_that_do_not_belong_together_are_refused(n, lengths):
    motion, change = (np.zeros(length, np.float32) for length in lengths)
    with pytest.raises(ValueError, match="cannot select"):
        choose(motion, change, descriptors(n), 4)
    with pytest.raises(ValueError, match="cannot select"):
        choose(np.zeros(3, np.float32), np.zeros(3, np.float32), descriptors(3), 0)


@settings(max_examples=60)
@given(x=arrays(np.float32, st.tuples(st.integers(3, 60), st.just(2)), elements=VALUES), count=st.integers(1, 12))
def test_each_run_covers_the_same_share_of_the_path(x, count):
    n = len(x)
    count = min(count, n - 1)
    path = path_length(x)
    assert (np.diff(path) > 0).all()
    middles = (np.arange(count) + 0.5) / count * path[-1]
    longest = np.diff(path).max()
    chosen = cluster(x, count).indices
    alone = np.diff(chosen, prepend=-2, append=n + 1) > 1  # neighbours may have had to make room
    apart = alone[:-1] & alone[1:]
    assert (np.abs(path[chosen] - middles)[apart] <= longest / 2 + 1e-9).all()


def circling(*parts: tuple[int, float]) -> np.ndarray:
    """A point on a circle, each part so many frames at so many radians per frame."""
    angle = np.cumsum(np.concatenate([np.full(length, speed) for length, speed in parts]))
    return np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32)


def test_runs_are_those_of_least_squared_deviation_in_the_limit():
    """Twice as fast for half of the time: 2^(2/3) times as many runs per second there."""
    chosen = cluster(circling((1200, 0.0), (2000, 0.01), (2000, 0.02)), 200).indices
    slow, fast = ((chosen >= 1200) & (chosen < 3200)).sum(), (chosen >= 3200).sum()
    assert fast / slow == pytest.approx(2 ** (2 / 3), rel=0.1)


def test_a_run_of_equal_frames_is_told_by_one():
    x = np.repeat(descriptors(4, seed=2), (10, 3, 1, 20), axis=0)
    chosen = cluster(x, 4).indices
    assert [int(np.searchsorted([10, 13, 14], i, side="right")) for i in chosen] == [0, 1, 2, 3]


def test_each_frame_may_have_its_own_light():
    x = descriptors(40, 9)
    light = np.random.default_rng(1).uniform(0.2, 2, (40, 1)).astype(np.float32)
    assert np.array_equal(cluster(light * x, 8).indices, cluster(x, 8).indices)
    assert np.array_equal(cluster(0.01 * x, 8).indices, cluster(x, 8).indices)


def test_reversed_time_gives_the_mirrored_choice():
    x = descriptors(41, seed=5)
    assert np.array_equal(40 - cluster(x[::-1], 7).indices[::-1], cluster(x, 7).indices)


@pytest.mark.parametrize(("n", "count"), [(1, 4), (3, 8), (16, 16), (5, 16)])
def test_few_frames_are_spread_evenly(n, count):
    chosen = cluster(descriptors(n), count).indices
    assert np.array_equal(chosen, uniform(n, count))
    counts = np.bincount(chosen, minlength=n)
    assert counts.max() - counts.min() <= 1
    assert np.array_equal(n - 1 - chosen[::-1], chosen), "no end is preferred"


def test_even_motion_is_told_by_even_frames():
    x = circling((1000, 0.01))
    middles = (np.arange(16) + 0.5) * 1000 / 16
    assert np.abs(cluster(x, 16).indices - middles).max() <= 2


def test_what_is_not_appearance_does_not_count():
    x = descriptors(40, 256)
    flow = descriptors(40, 30, seed=1)
    still = np.zeros(40, np.float32)
    assert np.array_equal(choose(still, still, np.hstack([x, flow]), 8).indices, choose(still, still, x, 8).indices)


def chosen_of(window: Window, count: int = 16) -> np.ndarray:
    return choose(window.motion, window.change, window.descriptors, count).indices


def moving_square(step: int, *, seed: int = 0, noise: float = 1.0) -> np.ndarray:
    """A bright square before a dim texture, moved to the right; a little camera noise."""
    picture = texture(32, 32, seed=seed) // 3
    picture[10:20, 2 + step : 12 + step] = 230
    rng = np.random.default_rng(step * 1000 + seed)
    return np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def test_frames_gather_where_the_motion_is():
    still, act = 22, 20
    places = [0] * still + list(range(1, act + 1)) + [act] * still
    rng = np.random.default_rng(0)
    pictures = [
        np.clip(moving_square(p, noise=0.0) + rng.normal(0, 1, (32, 32)), 0, 255).astype(np.uint8) for p in places
    ]
    chosen = chosen_of(window_of(pictures))
    inside = (chosen >= still - 1) & (chosen <= still + act)
    assert inside.mean() >= 0.8
    assert chosen[0] < still, "the rest before the action is told by a frame"
    assert chosen[-1] >= still + act, "and the rest after it"


@pytest.mark.parametrize("amplitude", [4, 10])
def test_flickering_light_does_not_attract_frames(amplitude):
    # The light flickers in the first half, while nothing moves; in the second half something does.
    flicker = [amplitude * (-1) ** i for i in range(30)] + [0] * 20
    places = [0] * 30 + list(range(20))
    pictures = [
        np.clip(moving_square(p, noise=0.0).astype(int) + light, 0, 255).astype(np.uint8)
        for p, light in zip(places, flicker, strict=True)
    ]
    chosen = chosen_of(window_of(pictures))
    assert (chosen >= 29).mean() >= 0.8


@settings(max_examples=12)
@given(before=st.integers(5, 30), after=st.integers(3, 30))
def test_nothing_before_a_scene_cut_is_chosen(before, after):
    first, second = texture(60, 60, seed=1), 255 - texture(60, 60, seed=2)
    pictures = [view(first, 0.3 * i, 0, 32) for i in range(before)]
    pictures += [view(second, 0, 0.3 * i, 32) for i in range(after)]
    window = window_of(pictures)
    assert scene_cuts(window.motion, window.change).tolist() == [before]
    assert chosen_of(window).min() >= before


def test_the_newest_of_several_scenes_is_told():
    pictures = [view(texture(60, 60, seed=s), 0.3 * i, 0, 32) for s in range(3) for i in range(20)]
    assert chosen_of(window_of(pictures)).min() >= 40


def test_neither_a_sudden_start_nor_a_still_scene_is_cut():
    start = window_of([moving_square(0, seed=3)] * 20 + [moving_square(3 * i, seed=3) for i in range(1, 7)])
    still = window_of([texture(32, 32)] * 30)
    assert not any(len(scene_cuts(window.motion, window.change)) for window in (start, still))
    assert len(set(chosen_of(still).tolist())) == 16


@pytest.fixture(scope="module", params=SEQUENCES)
def sequence(request: pytest.FixtureRequest) -> Sequence:
    return SEQUENCES[request.param](0)


def test_ours_selects_inside_the_action_and_nothing_across_a_cut(sequence: Sequence) -> None:
    chosen = flow_guided(sequence.window, 16).indices
    assert share_inside(sequence, chosen) >= 0.8
    assert share_before_cut(sequence, chosen) == 0
    assert share_inside(sequence, evenly(sequence.window, 16).indices) < 0.5, "the truth is no easy prey"


def test_the_cut_is_one_that_others_select_across() -> None:
    sequence = SEQUENCES["cut in the middle"](0)
    assert share_before_cut(sequence, evenly(sequence.window, 16).indices) > 0.2


def footage(n: int, *, step: float = 0.5) -> Window:
    picture = texture(80, 80)
    return window_of([view(picture, step * np.sin(i), step * i / 9, 32) for i in range(n)])


@pytest.mark.parametrize("way", SELECTORS)
@settings(max_examples=15)
@example(n=2, count=1, step=0.7)
@given(n=st.integers(1, 40), count=st.integers(1, 20), step=st.sampled_from([0.0, 0.7]))
def test_every_way_gives_exactly_t_sorted_indices_of_any_footage(way: str, n: int, count: int, step: float) -> None:
    window = footage(n, step=step)
    choice = SELECTORS[way](window, count)
    assert choice.indices.shape == (count,)
    assert (np.diff(choice.indices) >= 0).all()
    assert 0 <= choice.indices[0] <= choice.indices[-1] < n
    assert choice.groups.shape == (n,)
    assert set(choice.groups.tolist()) <= set(range(-1, count))
    assert np.array_equal(SELECTORS[way](window, count).indices, choice.indices)


@pytest.mark.parametrize("way", SELECTORS)
def test_a_choice_can_be_counted_in_a_longer_sequence(way: str) -> None:
    window = footage(40)
    choice = SELECTORS[way](window.since(10), 8)
    moved = choice.after(10)
    assert np.array_equal(moved.indices, choice.indices + 10)
    assert (moved.groups[:10] == -1).all()
    assert np.array_equal(moved.groups[10:], choice.groups)


def test_the_released_scripts_lose_short_videos_and_ours_stand_in() -> None:
    window = footage(16)
    assert len(released_selection(window.frames, window.flow, 16).indices) == 0
    assert np.array_equal(released(window, 16).indices, np.arange(16))
    assert len(released_selection(footage(17).frames, footage(17).flow, 16).indices) > 0


def test_the_released_scripts_see_where_the_frame_moves_and_not_how_fast() -> None:
    slow, fast, still = (np.full((1, 8, 8, 2), speed, np.float32) for speed in (0.01, 20.0, 0.0))
    assert colour_sums(slow) == colour_sums(fast)
    assert colour_sums(still) == 8 * 8 * 3 * 255
    assert colour_sums(np.concatenate([still, fast])).tolist() == [colour_sums(still)[0], colour_sums(fast)[0]]


def moves(n: int, *places: int) -> np.ndarray:
    """Flow of n frames in which something small moves, but everything at some places, less from one to the next."""
    flow = np.zeros((n, 16, 16, 2), np.float32)
    flow[:, 3:5, 3:5, 0] = 1.0
    for rank, place in enumerate(places):
        flow[place, rank:, :, 0] = 1.0
    return flow


@pytest.mark.parametrize(
    ("n", "places", "kept"),
    [
        (90, (20, 50), slice(20, 90)),  # close together: all after the first
        (90, (50, 20), slice(20, 90)),
        (160, (20, 20 + CLOSE - 1), slice(20, 160)),
        (160, (20, 20 + CLOSE), slice(20, 20 + CLOSE)),  # far apart: between them
    ],
)
def test_the_released_scripts_keep_what_lies_after_or_between_the_two_smallest_sums(n, places, kept) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (n, 16, 16, 3), np.uint8)
    released = released_selection(frames, moves(n, *places), 16)
    assert released.scene == kept
    assert released.cuts == tuple(sorted(places))
    assert kept.start <= released.indices[0] <= released.indices[-1] < kept.stop
    assert len(released.indices) == 16


def test_equal_sums_have_one_place() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (80, 16, 16, 3), np.uint8)
    released = released_selection(frames, moves(80), 16)
    assert (released.scene, released.cuts) == (slice(1, 80), (1,))


def test_equal_pictures_share_a_cluster_told_by_their_first() -> None:
    pictures = np.random.default_rng(1).integers(0, 255, (5, 16, 16, 3), np.uint8)
    order = np.repeat([0, 1, 2, 3, 4], [6, 6, 20, 6, 6])
    released = released_selection(np.concatenate([pictures[:1], pictures[order]]), moves(45, 1), 8)
    assert released.scene.start == 1
    assert {1, 7, 13, 33, 39} <= set(released.indices.tolist())


def test_the_largest_cluster_fills_up() -> None:
    groups = np.array([2, 2, 0, 0, 0, 0, 3])
    assert representatives(groups, 3).tolist() == [0, 2, 6]
    assert representatives(groups, 5).tolist() == [0, 2, 3, 4, 6]
    assert representatives(groups, 9).tolist() == [0, 2, 3, 4, 5, 6], "there may still be too few"
