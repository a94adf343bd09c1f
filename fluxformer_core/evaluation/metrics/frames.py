"""How well the scores of single frames rank those with an action before those without."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_], *, calibrated: bool = False) -> float:
    """Area under the precision-recall curve of one label, as a sum of steps; frames of equal score are one step.

    torchmetrics has the plain one, but not the calibrated one, and both must treat equal scores alike.

    Args:
        scores: (n,) higher: rather positive.
        positive: (n,) the truth.
        calibrated: weight the positive frames as if there were as many of them as of the others, so that the share of
            background in a recording does not decide the figure (De Geest et al., ECCV 2016).

    Returns:
        0..1; NaN without positive frames.
    """
    count = int(positive.sum())
    if not count:
        return math.nan
    weight = (len(positive) - count) / count if calibrated and count < len(positive) else 1.0
    order = np.argsort(-scores, kind="stable")
    hits, last = positive[order], np.append(np.diff(scores[order]) != 0, True)
    true, false = hits.cumsum()[last], (~hits).cumsum()[last]
    gained = np.diff(true, prepend=0)  # whole numbers until the end, so that perfect is exactly 1
    return float((gained * (weight * true / (weight * true + false))).sum() / count)


def mean_average_precision(
    scores: NDArray[np.floating], truth: NDArray[np.bool_], *, calibrated: bool = False
) -> float:
    """Mean over the labels that occur, of scores and truth (n, labels); NaN if none does."""
    values = [
        average_precision(scores[:, k], truth[:, k], calibrated=calibrated) for k in np.flatnonzero(truth.any(axis=0))
    ]
    return float(np.mean(values)) if values else math.nan
