"""Figures of frames: by hand, and against scikit-learn and torchmetrics on random scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.functional.classification import binary_average_precision

from fluxformer_core.evaluation.metrics import frames
from fluxformer_core.evaluation.metrics.frames import STAGES, average_precision, frame_stages, precision_by_stage
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.evaluation.metrics.stream_output import frame_names, frame_scores, frame_truth
from fluxformer_core.types import SECOND, ActionScore, Recognition, State

LABELS = ("clap", "wave")

# Few different scores, so that there are many ties.
ranked = st.integers(2, 40).flatmap(
    lambda n: st.tuples(arrays(np.float64, n, elements=st.integers(0, 8).map(lambda i: i / 8)), arrays(np.bool_, n))
)


def test_average_precision_by_hand() -> None:
    scores, positive = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert average_precision(scores, positive) == pytest.approx((1 / 1 + 2 / 3) / 2)
    # Three positive frames against one other: after the error the precision is w / (w + 1) with w = 1/3.
    scores, positive = np.array([0.9, 0.8, 0.7, 0.6]), np.array([False, True, True, True])
    calibrated = [w / (w + 1) for w in (1 / 3, 2 / 3, 3 / 3)]
    assert average_precision(scores, positive, calibrated=True) == pytest.approx(sum(calibrated) / 3)


def test_equal_scores_are_one_step() -> None:
    for positive in ([True, False, False, True], [True, True, False, False]):
        assert average_precision(np.full(4, 0.5), np.array(positive)) == 0.5


@given(ranked)
def test_average_precision_is_that_of_other_libraries(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, positive = case
    found, calibrated = average_precision(scores, positive), average_precision(scores, positive, calibrated=True)
    if not positive.any():
        assert np.isnan([found, calibrated]).all()
        return
    assert found == pytest.approx(average_precision_score(positive, scores))
    # scikit-learn's calibrated one: by the weight of each frame.
    weights = np.where(positive, max(1, (~positive).sum()) / positive.sum(), 1.0)
    assert calibrated == pytest.approx(average_precision_score(positive, scores, sample_weight=weights))
    theirs = binary_average_precision(torch.from_numpy(scores), torch.from_numpy(positive.astype(np.int64)))
    assert found == pytest.approx(float(theirs), abs=1e-5)


@given(ranked, st.randoms(use_true_random=False))
def test_the_order_of_frames_does_not_matter(case: tuple[np.ndarray, np.ndarray], random: object) -> None:
    scores, positive = case
    order = list(range(len(scores)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for calibrated in (False, True):
        before = average_precision(scores, positive, calibrated=calibrated)
        after = average_precision(scores[order], positive[order], calibrated=calibrated)
        assert after == pytest.approx(before, nan_ok=True)
        assert math.isnan(before) or 0 < before <= 1


def test_background_changes_the_plain_figure_but_not_the_calibrated_one() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1, 1, 4000), rng.normal(0, 1, 4000)
    figures = []
    for repeat in (1, 10):
        scores = np.concatenate([positive, np.tile(negative, repeat)])
        truth = np.arange(len(scores)) < len(positive)
        figures.append([average_precision(scores, truth, calibrated=c) for c in (False, True)])
    assert figures[1][0] < figures[0][0] - 0.2
    assert figures[1][1] == pytest.approx(figures[0][1])


def test_the_mean_is_over_the_labels_that_occur() -> None:
    truth = np.array([[True, False, False], [False, True, False]])
    scores = np.array([[0.9, 0.6, 0.9], [0.1, 0.5, 0.9]])
    assert frames.mean_average_precision(scores, truth) == pytest.approx((1 + 1 / 2) / 2)
    assert math.isnan(frames.mean_average_precision(scores, np.zeros((2, 3), dtype=bool)))


def stamps_of(seconds: float, rate: int = 10) -> np.ndarray:
    return np.arange(round(seconds * rate)) * SECOND // rate


def test_scores_that_rise_late_are_bad_in_early_stages_only() -> None:
    stamps = stamps_of(10)
    action = Interval(2 * SECOND, 7 * SECOND, "wave")  # five frames in each stage
    scores = np.zeros((len(stamps), len(LABELS)))
    scores[:, 1] = 0.3
    scores[(stamps >= 4 * SECOND) & (stamps < 7 * SECOND), 1] = 0.9
    parts = frame_stages([action], LABELS, stamps)
    stages = precision_by_stage(scores, parts)
    # In the first four stages five positive frames tie with fifty others, then they come first.
    assert stages == pytest.approx([5 / 55] * 4 + [1.0] * 6)
    assert precision_by_stage(scores, parts, calibrated=True)[:4] == pytest.approx([0.5] * 4)


def test_a_stage_without_frames_has_no_figure() -> None:
    parts = frame_stages([Interval(0, SECOND // 2, "clap")], LABELS, stamps_of(1))
    assert parts.T.tolist() == [[0, 2, 4, 6, 8, -1, -1, -1, -1, -1], [-1] * 10]
    assert np.isnan(precision_by_stage(np.ones((10, 2)), parts)).sum() == STAGES - 5
    nothing = frame_stages([], LABELS, stamps_of(1))
    assert np.isnan(precision_by_stage(np.ones((10, 2)), nothing)).all()


@given(st.integers(0, 30), st.integers(20, 50))
def test_perfect_scores_are_perfect_in_every_stage(start: int, length: int) -> None:
    stamps, truth = stamps_of(10), [Interval(start * SECOND // 10, (start + length) * SECOND // 10, "wave")]
    scores = frame_truth(truth, LABELS, stamps).astype(float)
    assert precision_by_stage(scores, frame_stages(truth, LABELS, stamps)) == pytest.approx([1.0] * STAGES)
    assert frames.mean_average_precision(scores, frame_truth(truth, LABELS, stamps)) == 1.0


def recognised(stamp: float, **scores: float) -> Recognition:
    entries = tuple(ActionScore(label, score) for label, score in scores.items())
    return Recognition(round(stamp * SECOND), 0, 0, State.UNKNOWN if scores else State.IDLE, scores=entries)


def test_frames_have_the_scores_of_the_newest_recognition() -> None:
    stream = [recognised(0.2, wave=0.7, clap=0.2), recognised(0.5), recognised(0.7, clap=0.9, jog=0.1)]
    scores = frame_scores(stream, LABELS, stamps_of(1))
    wanted = [[0, 0]] * 2 + [[0.2, 0.7]] * 3 + [[0, 0]] * 2 + [[0.9, 0]] * 3
    assert scores.tolist() == wanted
    assert not frame_scores([], LABELS, stamps_of(1)).any()


def test_an_interval_holds_its_start_but_not_its_end() -> None:
    actions = [Interval(SECOND // 10, 3 * SECOND // 10, "clap"), Interval(2 * SECOND // 10, 4 * SECOND // 10, "wave")]
    assert frame_truth(actions, LABELS, stamps_of(0.5)).T.tolist() == [
        [False, True, True, False, False],
        [False, False, True, True, False],
    ]
    assert frame_names(actions, stamps_of(0.5)) == ["", "clap", "wave", "wave", ""]


@given(ranked)
def test_unknown_auroc_is_that_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, unknown = case
    if unknown.all() or not unknown.any():
        assert math.isnan(frames.unknown_auroc(scores, unknown))
    else:
        assert frames.unknown_auroc(scores, unknown) == pytest.approx(roc_auc_score(unknown, scores), abs=1e-5)


def test_unknown_auroc_by_hand() -> None:
    scores = np.array([0.9, 0.5, 0.5, 0.1])
    # Of four comparisons of unknown with known two are right, one is a tie and one is wrong.
    assert frames.unknown_auroc(scores, np.array([True, False, True, False])) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert frames.unknown_auroc(scores, np.array([False, False, True, True])) == pytest.approx(0.5 / 4)
