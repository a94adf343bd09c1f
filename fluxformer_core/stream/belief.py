"""What is believed of the motion under way: calibrated probabilities, averaged over the time that has passed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.types import OTHER, SECOND

FLATTENED = 0.5
"""Power of the probabilities from which the unknown score is taken: what comes second and third counts more there.

On streams of people that the model had not seen it tells unknown actions better (docs/decisions.md)."""


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (labels,) as probabilities."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)


class Belief:
    """Running mean of probabilities over one segment of motion.

    No name is believed at its beginning: it has to be sure, or to last. What speaks against all of them decides nothing
    and needs no such care: its mean is of what was seen, however little.

    Args:
        labels: in the order of the probabilities.
        start: ns, when the motion began.
    """

    def __init__(self, labels: tuple[str, ...], start: int) -> None:
        self.labels = labels
        self.mean: NDArray[np.float32] = np.zeros(len(labels), np.float32)
        self.unknown = 1.0  # how much speaks against every known action, 0..1: to rank by, not a probability
        self._seen = 0.0  # weight of all that was seen, against what would be remembered of an endless segment
        self._known = np.array([label != OTHER for label in labels])
        self._newest = start

    def update(self, stamp: int, probabilities: NDArray[np.float32], memory: float) -> None:
        """Take in the probabilities (labels,) of the window that ends at a stamp.

        The past fades by time and not by recognitions: more of them tell the same more often, not more.

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
        if seen:  # nothing counts yet at the very stamp of the beginning
            self.unknown = float(past * self._seen * self.unknown + (1 - past) * (1.0 - known)) / seen
        self._seen = seen
        self._newest = stamp

    def of(self, label: str) -> float:
        """How much a label is believed, 0..1."""
        return float(self.mean[self.labels.index(label)])

    @property
    def best(self) -> str:
        """The label that is believed most, `other` included."""
        return self.labels[int(self.mean.argmax())]
