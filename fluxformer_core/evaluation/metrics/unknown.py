"""How well what the model does not know is told from what it knows."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_auroc


def unknown_auroc(scores: NDArray[np.floating], unknown: NDArray[np.bool_]) -> float:
    """Chance that something unknown has a higher unknown score than something known; equal scores count half.

    Args:
        scores: (n,) unknown scores, 0..1, of clips or frames with motion.
        unknown: (n,) whether each shows none of the known actions.

    Returns:
        0..1, 0.5 for scores that tell nothing; NaN unless there are both kinds.
    """
    if unknown.all() or not unknown.any():
        return math.nan
    return float(binary_auroc(torch.from_numpy(scores), torch.from_numpy(unknown.astype(np.int64))))
