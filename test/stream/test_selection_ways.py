"""The ways to select by name, beside each other: the claims of benchmarks/selection.py, and the released algorithm."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import texture, view, window_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.released_selection import CLOSE, colour_sums, released, released_selection, representatives
from benchmarks.selection import SEQUENCES, Sequence, share_before_cut, share_inside
from fluxformer_core.stream.buffer import Window
from fluxformer_core.stream.selection import SELECTORS, evenly, flow_guided


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
