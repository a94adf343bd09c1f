"""Figures on whole recordings, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fluxformer_core.evaluation.metrics.clips import score_clips

LABELS = ("clap", "jog", "wave")


def test_the_confusion_matrix_counts_answers_by_truth() -> None:
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.1, 0.3, 0.6], [0.1, 0.1, 0.8]], np.float32)
    report = score_clips(scores, np.array([0, 1, 2, 2]), LABELS)
    assert report.top1 == pytest.approx(3 / 4)
    assert report.top5 == 1.0
    assert report.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 2]]
    assert report.recall.tolist() == [1.0, 0.0, 1.0]
    assert report.mistakes(5) == [("jog", "wave", 1)]


def test_calibration_error_is_the_gap_between_score_and_truth() -> None:
    # Four clips at 0.8 of which two are right: |0.5 - 0.8|; one at 0.4 that is wrong: |0 - 0.4|.
    scores = np.array([[0.8, 0.1, 0.1]] * 4 + [[0.4, 0.3, 0.3]], np.float32)
    report = score_clips(scores, np.array([0, 0, 1, 2, 1]), LABELS)
    assert report.calibration_error == pytest.approx(0.8 * 0.3 + 0.2 * 0.4, abs=1e-6)


def test_a_label_without_clips_has_no_recall() -> None:
    report = score_clips(np.array([[0.7, 0.2, 0.1]], np.float32), np.array([0]), LABELS)
    assert np.isnan(report.recall[1])


def test_refuses_shapes_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="do not match"):
        score_clips(np.zeros((2, 3), np.float32), np.array([0]), LABELS)
    with pytest.raises(ValueError, match="do not match"):
        score_clips(np.zeros((0, 3), np.float32), np.array([], dtype=int), LABELS)
