"""How often whole recordings get the right label, and how far the scores can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClipReport:
    """Accuracy on whole recordings, each classified once."""

    labels: tuple[str, ...]
    confusion: NDArray[np.intp]  # (truth, predicted): clips
    top1: float
    top5: float
    calibration_error: float  # expected calibration error over 15 bins of the best score, 0..1

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of each label's clips that got it; NaN for labels without clips."""
        total = self.confusion.sum(axis=1)
        share = np.full(len(total), np.nan)
        np.divide(np.diagonal(self.confusion), total, out=share, where=total > 0)
        return share

    def mistakes(self, most: int) -> list[tuple[str, str, int]]:
        """The most frequent confusions as (truth, predicted, clips), most frequent first."""
        wrong = self.confusion - np.diag(np.diagonal(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = [np.unravel_index(int(i), wrong.shape) for i in order]
        return [(self.labels[t], self.labels[p], int(wrong[t, p])) for t, p in pairs if wrong[t, p]]


def score_clips(
    probabilities: NDArray[np.float32], truth: NDArray[np.intp], labels: tuple[str, ...], bins: int = 15
) -> ClipReport:
    """Compare probabilities (clips, labels) with the true classes (clips,).

    Raises:
        ValueError: if there is no clip, or the shapes do not belong together.
    """
    if not len(truth) or probabilities.shape != (len(truth), len(labels)):
        raise ValueError(f"probabilities {probabilities.shape} do not fit {len(truth)} clips and {len(labels)} labels")
    best = probabilities.argmax(axis=1)
    right = best == truth
    five = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    confusion = np.zeros((len(labels), len(labels)), dtype=np.intp)
    np.add.at(confusion, (truth, best), 1)
    return ClipReport(
        labels,
        confusion,
        top1=float(right.mean()),
        top5=float((five == truth[:, None]).any(axis=1).mean()),
        calibration_error=_calibration_error(probabilities.max(axis=1), right, bins),
    )


def _calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_], bins: int) -> float:
    which = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = which == b
        if inside.any():
            error += inside.mean() * abs(float(right[inside].mean()) - float(confidence[inside].mean()))
    return float(error)
