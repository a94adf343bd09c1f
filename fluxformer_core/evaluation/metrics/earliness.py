"""How soon scores rise within an action: average precision by its stages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.metrics.frames import average_precision
from fluxformer_core.evaluation.metrics.intervals import Interval

STAGES = 10
"""Equal parts in which each action is divided."""


def frame_stages(intervals: Iterable[Interval], labels: Sequence[str], stamps: NDArray[np.int64]) -> NDArray[np.intp]:
    """The stage of each label's action at each frame, (n, labels): 0 .. STAGES - 1, or -1 where there is none."""
    stages = np.full((len(stamps), len(labels)), -1, dtype=np.intp)
    for action in intervals:
        inside = (stamps >= action.start) & (stamps < action.end)
        part = (stamps[inside] - action.start) * STAGES // (action.end - action.start)
        stages[inside, labels.index(action.label)] = part
    return stages


def precision_by_stage(
    scores: NDArray[np.floating], stages: NDArray[np.intp], *, calibrated: bool = False
) -> NDArray[np.float64]:
    """Mean average precision if only one stage of each action were to be found.

    For a label and a stage, the positive frames are those in this stage of an action of the label; frames in other
    stages of such an action are left out, and all others are negative.

    Args:
        scores: (n, labels).
        stages: (n, labels), by `frame_stages`.
        calibrated: see `average_precision`.

    Returns:
        (STAGES,), from the beginning to the end; NaN for a stage in which no label has a frame.
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
