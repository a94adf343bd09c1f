"""Frame selection: always T sorted indices, the best split there is, and the frames where something happens."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from helpers import rgb, small_spec, texture, view
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fluxformer_core.clip import SECOND
from fluxformer_core.flow.dis import DisFlow
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.selection import LONGEST, cluster, scene_start, select, uniform

VALUES = st.floats(-1, 1, width=32)


def descriptors(n: int, d: int = 3, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def deviation(x: np.ndarray) -> float:
    """Sum of squared distances to the mean."""
    return float(((x - x.mean(axis=0)) ** 2).sum())


@settings(max_examples=150)
@given(data=st.data(), n=st.integers(1, 40), count=st.integers(1, 20))
def test_any_window_gives_exactly_t_sorted_indices_in_range(data, n, count):
    x = data.draw(arrays(np.float32, (n, 3), elements=VALUES))
    motion, change = (data.draw(arrays(np.float32, n, elements=st.floats(0, 1, width=32))) for _ in range(2))
    chosen = select(motion, change, x, count)
    assert chosen.shape == (count,)
    assert np.issubdtype(chosen.dtype, np.integer)
    assert chosen.min() >= 0
    assert chosen.max() < n
    assert (np.diff(chosen) >= 0).all()
    assert np.array_equal(select(motion, change, x, count), chosen)
    scene = n - scene_start(motion, change)
    assert len(set(chosen.tolist())) == min(scene, count), "frames repeat only when there are too few"


@pytest.mark.parametrize(("n", "lengths"), [(0, (0, 0)), (3, (2, 3)), (3, (3, 4))])
def test_arguments_that_do_not_belong_together_are_refused(n, lengths):
    motion, change = (np.zeros(length, np.float32) for length in lengths)
    with pytest.raises(ValueError, match="cannot select"):
        select(motion, change, descriptors(n), 4)
    with pytest.raises(ValueError, match="cannot select"):
        select(np.zeros(3, np.float32), np.zeros(3, np.float32), descriptors(3), 0)


@settings(max_examples=60)
@given(x=arrays(np.float32, st.tuples(st.integers(2, 9), st.just(2)), elements=VALUES), count=st.integers(1, 4))
def test_the_split_is_the_best_of_all_and_each_frame_the_most_typical_of_its_run(x, count):
    n = len(x)
    count = min(count, n - 1)

    def runs(inner: tuple[int, ...]) -> list[range]:
        borders = (0, *inner, n)
        return [range(a, b) for a, b in pairwise(borders)]

    splits = [runs(inner) for inner in combinations(range(1, n), count - 1)]
    costs = [sum(deviation(x[list(run)].astype(np.float64)) for run in split) for split in splits]
    best = min(costs)
    chosen = cluster(x, count)

    def typical(split: list[range]) -> bool:
        """Whether the chosen frames are the medoids of these runs."""
        for run, index in zip(split, chosen, strict=True):
            if index not in run:
                return False
            distances = [float(((x[list(run)].astype(np.float64) - x[i]) ** 2).sum()) for i in run]
            if distances[index - run[0]] > min(distances) + 1e-6:
                return False
        return True

    assert any(typical(split) for split, cost in zip(splits, costs, strict=True) if cost <= best + 1e-6)


def test_a_run_of_equal_frames_is_told_by_one():
    x = np.repeat(descriptors(4, seed=2), (10, 3, 1, 20), axis=0)
    chosen = cluster(x, 4)
    assert [int(np.searchsorted([10, 13, 14], i, side="right")) for i in chosen] == [0, 1, 2, 3]


def test_a_shifted_or_scaled_space_gives_the_same_choice():
    x = descriptors(40)
    expected = cluster(x, 8)
    assert np.array_equal(cluster(x + 100, 8), expected)
    assert np.array_equal(cluster(0.01 * x, 8), expected)


def test_reversed_time_gives_the_mirrored_choice():
    x = descriptors(41, seed=5)
    assert np.array_equal(40 - cluster(x[::-1], 7)[::-1], cluster(x, 7))


@pytest.mark.parametrize(("n", "count"), [(1, 4), (3, 8), (16, 16), (5, 16)])
def test_few_frames_are_spread_evenly(n, count):
    chosen = cluster(descriptors(n), count)
    assert np.array_equal(chosen, uniform(n, count))
    counts = np.bincount(chosen, minlength=n)
    assert counts.max() - counts.min() <= 1
    assert np.array_equal(n - 1 - chosen[::-1], chosen), "no end is preferred"


@pytest.mark.parametrize("n", [LONGEST + 1, 1000, 4 * LONGEST])
def test_long_sequences_are_thinned_and_the_choice_still_reaches_both_ends(n):
    x = np.linspace(0, 1, n, dtype=np.float32)[:, None]
    chosen = cluster(x, 16)
    assert len(set(chosen.tolist())) == 16
    # Even motion: sixteen equal runs, each told by its middle, but for the thinning.
    middles = (np.arange(16) + 0.5) * n / 16
    assert np.abs(chosen - middles).max() <= 3 * n / LONGEST + 1


def film(pictures: list[np.ndarray], *, rate: float = 20.0) -> Window:
    buffer = RollingBuffer(small_spec(window=max(len(pictures), 4)), DisFlow())
    for i, picture in enumerate(pictures):
        buffer.push(rgb(picture), round(i * SECOND / rate))
    return buffer.window()


def chosen_of(window: Window, count: int = 16) -> np.ndarray:
    return select(window.motion, window.change, window.descriptors, count)


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
    chosen = chosen_of(film(pictures))
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
    chosen = chosen_of(film(pictures))
    assert (chosen >= 29).mean() >= 0.8


@settings(max_examples=12)
@given(before=st.integers(5, 30), after=st.integers(3, 30))
def test_nothing_before_a_scene_cut_is_chosen(before, after):
    first, second = texture(60, 60, seed=1), 255 - texture(60, 60, seed=2)
    pictures = [view(first, 0.3 * i, 0, 32) for i in range(before)]
    pictures += [view(second, 0, 0.3 * i, 32) for i in range(after)]
    window = film(pictures)
    assert scene_start(window.motion, window.change) == before
    assert chosen_of(window).min() >= before


def test_the_newest_of_several_scenes_is_told():
    pictures = [view(texture(60, 60, seed=s), 0.3 * i, 0, 32) for s in range(3) for i in range(20)]
    assert chosen_of(film(pictures)).min() >= 40


def test_a_sudden_start_is_no_scene_cut():
    pictures = [moving_square(0, seed=3)] * 20 + [moving_square(3 * i, seed=3) for i in range(1, 7)]
    window = film(pictures)
    assert scene_start(window.motion, window.change) == 0


def test_a_still_scene_has_no_cuts():
    window = film([texture(32, 32)] * 30)
    assert scene_start(window.motion, window.change) == 0
    assert len(set(chosen_of(window).tolist())) == 16
