"""Accuracy and calibration on whole recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
)

BINS = 15
"""Bins of the best score for the expected calibration error; 15 is the usual number."""


@dataclass(frozen=True)
class Bin:
    """The clips whose best score lies in one bin of 0..1."""

    clips: int
    confidence: float  # mean best score; NaN without clips
    accuracy: float  # share that is right; NaN without clips


@dataclass(frozen=True)
class ClipReport:
    """Accuracy on whole recordings, each classified once. Shares are 0..1."""

    labels: tuple[str, ...]
    confusion: NDArray[np.intp]  # (truth, predicted): clips
    recall: NDArray[np.float64]  # (labels,) NaN for labels without clips
    precision: NDArray[np.float64]  # (labels,) NaN for labels that no clip got
    f1: NDArray[np.float64]  # (labels,) harmonic mean of recall and precision; NaN for labels without clips
    top1: float
    top5: float
    calibration_error: float  # expected calibration error over the bins
    bins: tuple[Bin, ...]

    @property
    def clips(self) -> int:
        return int(self.confusion.sum())

    @property
    def mean_recall(self) -> float:
        """Mean recall over the labels that have clips; every label has the same weight."""
        return float(np.nanmean(self.recall))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the labels that have clips."""
        return float(np.nanmean(self.f1))

    @property
    def top1_interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval."""
        n, z = self.clips, 1.96
        middle = (self.top1 + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(self.top1 * (1 - self.top1) / n + z * z / (4 * n * n))
        return middle - half, middle + half

    def mistakes(self, most: int) -> list[tuple[str, str, int]]:
        """The most frequent confusions as (truth, predicted, clips), the most frequent first."""
        wrong = self.confusion - np.diag(np.diagonal(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = [np.unravel_index(int(i), wrong.shape) for i in order]
        return [(self.labels[t], self.labels[p], int(wrong[t, p])) for t, p in pairs if wrong[t, p]]


def score_clips(probabilities: NDArray[np.float32], truth: NDArray[np.intp], labels: tuple[str, ...]) -> ClipReport:
    """Compare probabilities (clips, labels) with the true classes (clips,).

    Raises:
        ValueError: if there is no clip, or the shapes do not match.
    """
    count = len(labels)
    if not len(truth) or probabilities.shape != (len(truth), count):
        raise ValueError(f"probabilities {probabilities.shape} do not match {len(truth)} clips and {count} labels")
    scores, classes = torch.from_numpy(probabilities), torch.from_numpy(truth.astype(np.int64))
    confusion = multiclass_confusion_matrix(scores, classes, count).numpy()
    with_clips, named = confusion.sum(axis=1) > 0, confusion.sum(axis=0) > 0

    def where(known: NDArray[np.bool_], values: torch.Tensor) -> NDArray[np.float64]:
        return np.where(known, values.double().numpy(), np.nan)

    return ClipReport(
        labels,
        confusion,
        recall=where(with_clips, multiclass_accuracy(scores, classes, count, average="none")),
        precision=where(named, multiclass_precision(scores, classes, count, average="none")),
        f1=where(with_clips, multiclass_f1_score(scores, classes, count, average="none")),
        top1=float(multiclass_accuracy(scores, classes, count, average="micro")),
        top5=float(multiclass_accuracy(scores, classes, count, average="micro", top_k=min(5, count))),
        calibration_error=float(multiclass_calibration_error(scores, classes, count, n_bins=BINS)),
        bins=_bins(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth),
    )


def _bins(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """The bins of the calibration error, which torchmetrics does not return."""
    which = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    members = (np.flatnonzero(which == b) for b in range(BINS))

    def mean(values: NDArray[np.float32] | NDArray[np.bool_], m: NDArray[np.intp]) -> float:
        return float(values[m].mean()) if len(m) else math.nan

    return tuple(Bin(len(m), mean(confidence, m), mean(right, m)) for m in members)
