"""How soon scores rise within an action: average precision by its stages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.frames import average_precision
from fluxformer_core.evaluation.intervals import Interval

STAGES = 10
"""Equal parts in which each action is divided."""


def precision_by_stage(
    scores: NDArray[np.floating],
    stamps: NDArray[np.int64],
    truth: Sequence[Interval],
    labels: Sequence[str],
    *,
    calibrated: bool = False,
) -> NDArray[np.float64]:
    """Mean average precision if only one stage of each action were to be found.

    For a label and a stage, the positive frames are those in this stage of an action of the label; frames in other
    stages of such an action are left out, and all others are negative.

    Args:
        scores: (n, labels).
        stamps: (n,) ns, of the frames.
        truth: performed actions.
        labels: of the columns.
        calibrated: see `average_precision`.

    Returns:
        (STAGES,), from the beginning to the end; NaN for a stage in which no label has a frame.
    """
    values: list[list[float]] = [[] for _ in range(STAGES)]
    for column, label in enumerate(labels):
        stage = np.full(len(stamps), -1)
        for action in (action for action in truth if action.label == label):
            inside = (stamps >= action.start) & (stamps < action.end)
            stage[inside] = (stamps[inside] - action.start) * STAGES // (action.end - action.start)
        for k in range(STAGES):
            kept = (stage == k) | (stage < 0)
            value = average_precision(scores[kept, column], stage[kept] == k, calibrated=calibrated)
            if not math.isnan(value):
                values[k].append(value)
    return np.array([np.mean(of) if of else math.nan for of in values])
