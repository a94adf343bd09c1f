"""Figures on whole recordings, worked out by hand, and charts: well-formed pictures that show their numbers."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from fluxformer_core.evaluation.metrics.clips import ClipReport, score_clips
from fluxformer_core.evaluation.report.charts import (
    MOST_LABELS,
    confusion_matrix,
    forward_times,
    reliability,
    shown_labels,
)

SVG = "{http://www.w3.org/2000/svg}"
LABELS = ("clap", "jog", "wave")


def report(answers: np.ndarray, truth: np.ndarray, labels: tuple[str, ...]) -> ClipReport:
    return score_clips(np.eye(len(labels), dtype=np.float32)[answers], truth, labels)


def cells(picture: str) -> list[tuple[str, str]]:
    """Title and number of every cell of a matrix."""
    return [
        ("".join(group.findtext(f"{SVG}title") or ""), group.findtext(f"{SVG}text") or "")
        for group in ET.fromstring(picture).iter(f"{SVG}g")
    ]


def test_a_matrix_has_a_cell_for_every_count() -> None:
    found = report(np.array([0, 2, 2, 2, 0]), np.array([0, 0, 2, 2, 2]), ("clap", "jog", "<wave>"))
    assert cells(confusion_matrix(found)) == [
        ("clap recognised: 1 of 2 (50%)", "1"),
        ("clap taken for <wave>: 1 of 2 (50%)", "1"),
        ("<wave> taken for clap: 1 of 3 (33%)", "1"),
        ("<wave> recognised: 2 of 3 (67%)", "2"),
    ]
    assert shown_labels(found) == [0, 2]  # jog is neither the truth nor an answer


def test_of_many_labels_those_with_the_most_mistakes_are_shown() -> None:
    count = MOST_LABELS + 20
    truth = np.arange(count)
    answers = truth.copy()
    answers[[5, count - 1]] = [count - 1, 5]
    found = report(answers, truth, tuple(f"action {i}" for i in range(count)))
    shown = shown_labels(found)
    assert len(shown) == MOST_LABELS
    assert {5, count - 1} <= set(shown)
    assert shown == sorted(shown)
    assert len(cells(confusion_matrix(found))) == MOST_LABELS


def test_bars_are_as_high_as_their_share() -> None:
    scores = np.array([[0.9, 0.1]] * 4 + [[0.62, 0.38]] * 2, np.float32)
    bins = score_clips(scores, np.array([0, 0, 0, 1, 0, 1]), ("clap", "wave")).bins
    picture = ET.fromstring(reliability(bins))
    bars = [rect for rect in picture.iter(f"{SVG}rect") if rect.get("class") == "fill"]
    heights = [float(bar.get("height", 0)) for bar in bars]
    assert heights[0] / heights[1] == pytest.approx((1 / 2) / (3 / 4), abs=0.01)
    titles = [bar.findtext(f"{SVG}title") or "" for bar in bars]
    assert titles[1] == "4 clips with a score of 90% on average: 75% right"


def test_a_histogram_counts_everything() -> None:
    values = np.array([1.0, 1.1, 1.2, 5.0, 40.0])
    picture = ET.fromstring(forward_times(values))
    bars = [rect.findtext(f"{SVG}title") or "" for rect in picture.iter(f"{SVG}rect")]
    assert sum(int(title.split()[0]) for title in bars) == len(values)
    assert "p50 1.2" in [text.text for text in picture.iter(f"{SVG}text")]


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
    for clips, truth in ((2, [0]), (0, [])):
        with pytest.raises(ValueError, match="do not match"):
            score_clips(np.zeros((clips, 3), np.float32), np.array(truth, int), LABELS)
