"""The running mean of calibrated probabilities over one motion segment."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.types import OTHER, SECOND

FLATTENED = 0.5
"""Power of the probabilities from which the unknown score is taken.

A power below one gives the second and third label more weight, which tells unknown actions apart better on streams of
people that the model had not seen (docs/measurements/decisions.md)."""


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (labels,) as probabilities."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)


class Belief:
    """Running mean of probabilities over one motion segment.

    The running mean of a label starts at zero, so a label must score very high at once or keep scoring. The unknown
    score decides nothing, so its mean counts only the windows that were seen, from the first one on.

    Args:
        labels: in the order of the probabilities.
        start: ns, when the motion began.
    """

    def __init__(self, labels: tuple[str, ...], start: int) -> None:
        self.labels = labels
        self.mean: NDArray[np.float32] = np.zeros(len(labels), np.float32)
        self.unknown = 1.0  # 0 (surely a known action) .. 1 (surely none): a rank, not a probability
        self._seen = 0.0  # weight of all windows so far; 1 after an endless segment
        self._known = np.array([label != OTHER for label in labels])
        self._newest = start

    def update(self, stamp: int, probabilities: NDArray[np.float32], memory: float) -> None:
        """Take in the probabilities (labels,) of the window that ends at a stamp.

        The past fades with time, not with the number of recognitions: more recognitions a second add no evidence.

        Args:
            stamp: ns.
            probabilities: calibrated.
            memory: s, in which the past fades to 37 %; 0: it does not count.
        """
        passed = max(stamp - self._newest, 0) / SECOND
        past = np.float32(math.exp(-passed / memory) if memory > 0 else 0.0)
        self.mean = past * self.mean + (1 - past) * probabilities
        flat = probabilities**FLATTENED
        known = float(flat[self._known].max(initial=0.0) / flat.sum())
        seen = float(past * self._seen + (1 - past))
        if seen:  # the weight is zero at the very stamp at which the segment begins
            self.unknown = float(past * self._seen * self.unknown + (1 - past) * (1.0 - known)) / seen
        self._seen = seen
        self._newest = stamp

    def of(self, label: str) -> float:
        """The smoothed score of a label, 0..1."""
        return float(self.mean[self.labels.index(label)])

    @property
    def best(self) -> str:
        """The label with the highest smoothed score, `other` included."""
        return self.labels[int(self.mean.argmax())]
