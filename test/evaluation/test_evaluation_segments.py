"""Edit score and segmental F1: by hand, and against the code that the figures come from."""

from __future__ import annotations

import pytest
import references
from hypothesis import given
from hypothesis import strategies as st

from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.evaluation.metrics.segments import THRESHOLDS, SegmentCounts, count_segments, edit_score, segments

runs = st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(1, 6)), min_size=1, max_size=12)
names = runs.map(lambda runs: [name for name, length in runs for _ in range(length)])


def test_segments_are_runs_of_a_name() -> None:
    assert segments(["", "a", "a", "b", "", "b"]) == [Interval(1, 3, "a"), Interval(3, 4, "b"), Interval(5, 6, "b")]
    assert segments([""]) == segments([]) == []


def test_edit_score_by_hand() -> None:
    truth = list("aaabbbccc")
    assert edit_score(list("abccccccc"), truth) == 1.0  # borders do not matter
    assert edit_score(list("aaaaaaccc"), truth) == pytest.approx(1 - 1 / 3)
    assert edit_score(list("ababababc"), truth) == pytest.approx(1 - 6 / 9)
    assert edit_score([""] * 9, truth) == 0.0
    assert edit_score([""] * 9, [""] * 9) == 1.0


def test_segments_count_by_hand() -> None:
    truth = ["a"] * 4 + [""] * 4 + ["b"] * 4
    predicted = ["a"] * 2 + ["b"] * 2 + ["a"] * 4 + ["b"] * 4
    # a: 2 of 4 frames, b: on a; a again: only touches; b: exact.
    assert count_segments(predicted, truth, 0.5) == SegmentCounts(right=2, false=2, missed=0)
    assert count_segments(predicted, truth, 0.6) == SegmentCounts(right=1, false=3, missed=1)
    assert SegmentCounts(2, 2, 0).f1 == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_a_second_segment_on_the_same_action_is_false() -> None:
    assert count_segments(["a", "a", "", "a", "a"], ["a"] * 5, 0.1) == SegmentCounts(1, 1, 0)


def test_recordings_add_up() -> None:
    assert SegmentCounts(1, 0, 0) + SegmentCounts(0, 2, 1) == SegmentCounts(1, 2, 1)
    assert SegmentCounts().f1 == 1.0


@given(names)
def test_the_truth_itself_is_perfect(truth: list[str]) -> None:
    assert edit_score(truth, truth) == 1.0
    assert all(count_segments(truth, truth, least).f1 == 1.0 for least in (*THRESHOLDS, 1.0))


@given(names, names)
def test_figures_stay_in_their_bounds(predicted: list[str], truth: list[str]) -> None:
    assert 0 <= edit_score(predicted, truth) == edit_score(truth, predicted) <= 1
    counts = [count_segments(predicted, truth, least) for least in THRESHOLDS]
    assert all(0 <= count.f1 <= 1 for count in counts)
    assert all(count.right + count.false == len(segments(predicted)) for count in counts)
    assert all(count.right + count.missed == len(segments(truth)) for count in counts)
    assert counts[0].right >= counts[1].right >= counts[2].right


def test_edit_scores_are_those_of_the_reference() -> None:
    ours = [100 * edit_score(predicted, truth) for predicted, truth in references.label_sequences()]
    assert len(ours) > 400
    for theirs in references.outputs(references.edit_scores):
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("overlap", THRESHOLDS)
def test_segment_counts_are_those_of_the_reference(overlap: float) -> None:
    counts = [count_segments(predicted, truth, overlap) for predicted, truth in references.label_sequences()]
    for theirs in references.outputs(references.segment_counts, overlap):
        assert [[count.right, count.false, count.missed] for count in counts] == theirs.tolist()
