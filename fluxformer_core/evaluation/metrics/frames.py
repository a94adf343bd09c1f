"""How well the scores of single frames rank frames of an action above other frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fluxformer_core.evaluation.metrics.intervals import Interval

STAGES = 10
"""Equal parts into which each action is divided."""


def average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_], *, calibrated: bool = False) -> float:
    """Area under the precision-recall curve of one label, as a sum of steps; frames of equal score are one step.

    Scores and truth are (n,); the result is 0..1, NaN without positive frames. `calibrated` weights the positive frames
    as if there were as many of them as of the others, so that the figure does not depend on the share of background in
    a recording (De Geest et al., ECCV 2016). torchmetrics has no calibrated average precision, and both variants must
    treat equal scores alike.
    """
    count = int(positive.sum())
    if not count:
        return math.nan
    weight = (len(positive) - count) / count if calibrated and count < len(positive) else 1.0
    order = np.argsort(-scores, kind="stable")
    hits, last = positive[order], np.append(np.diff(scores[order]) != 0, True)
    true, false = hits.cumsum()[last], (~hits).cumsum()[last]
    gained = np.diff(true, prepend=0)  # integers until the division, so that a perfect ranking gives exactly 1
    return float((gained * (weight * true / (weight * true + false))).sum() / count)


def mean_average_precision(
    scores: NDArray[np.floating], truth: NDArray[np.bool_], *, calibrated: bool = False
) -> float:
    """Mean over the labels that occur, of scores and truth (n, labels); NaN if no label occurs."""
    occurring = np.flatnonzero(truth.any(axis=0))
    values = [average_precision(scores[:, k], truth[:, k], calibrated=calibrated) for k in occurring]
    return float(np.mean(values)) if values else math.nan


def frame_stages(intervals: Iterable[Interval], labels: Sequence[str], stamps: NDArray[np.int64]) -> NDArray[np.intp]:
    """The stage of each label's action at each frame, (n, labels): 0 .. STAGES - 1; -1 outside the label's actions."""
    stages = np.full((len(stamps), len(labels)), -1, dtype=np.intp)
    for action in intervals:
        inside = (stamps >= action.start) & (stamps < action.end)
        part = (stamps[inside] - action.start) * STAGES // (action.end - action.start)
        stages[inside, labels.index(action.label)] = part
    return stages


def precision_by_stage(
    scores: NDArray[np.floating], stages: NDArray[np.intp], *, calibrated: bool = False
) -> NDArray[np.float64]:
    """Mean average precision of each stage of the actions: how early scores rise; NaN for a stage without frames.

    Scores and `stages` (by `frame_stages`) are (n, labels); the result is (STAGES,), from the beginning to the end. For
    a label and a stage, frames in this stage of an action of the label are positive, frames in other stages of these
    actions are left out, and all other frames are negative.
    """
    figures = np.full(STAGES, math.nan)
    for k in range(STAGES):
        values = []
        for column in np.flatnonzero((stages == k).any(axis=0)):
            kept = (stages[:, column] == k) | (stages[:, column] < 0)
            positive = stages[kept, column] == k
            values.append(average_precision(scores[kept, column], positive, calibrated=calibrated))
        if values:
            figures[k] = np.mean(values)
    return figures


def unknown_auroc(scores: NDArray[np.floating], unknown: NDArray[np.bool_]) -> float:
    """Probability that an unknown sample has a higher unknown score than a known one; equal scores count half.

    Scores (n,) are 0..1, `unknown` (n,) tells which samples show none of the known actions. The result is NaN unless
    there are both kinds.
    """
    from torchmetrics.functional.classification import binary_auroc

    if unknown.all() or not unknown.any():
        return math.nan
    return float(binary_auroc(torch.from_numpy(scores), torch.from_numpy(unknown.astype(np.int64))))
