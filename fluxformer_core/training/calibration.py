"""Probabilities that mean what they say: one temperature for all logits (Guo et al. 2017)."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

COLDEST, HOTTEST = 0.2, 5.0
"""Limits of a temperature: a few clips that are all right would otherwise ask for certainty."""

_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: Tensor, classes: Tensor) -> float:
    """The temperature under which clips that were not trained on are least surprising.

    The loss has a single minimum along the temperature, which golden-section search finds.

    Args:
        logits: (clips, labels).
        classes: (clips,).
    """

    def loss(position: float) -> float:
        return float(F.cross_entropy(logits.double() / math.exp(position), classes.long()))

    low, high = math.log(COLDEST), math.log(HOTTEST)
    while high - low > 1e-4:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)
