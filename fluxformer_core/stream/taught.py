"""Scores of taught actions: how much an embedding speaks for each of them, as further logits of the model.

The embedding space is centred between the known actions and scaled so that their clips spread equally in all
directions. The *evidence* for a taught action compares its direction with all known actions, as if each were a cloud of
directions of the same width (a von Mises-Fisher distribution). A clip shows the taught action when its evidence exceeds
the action's threshold.

Taught actions become further logits beside the known ones, so that one softmax covers all: a clip on the border is as
likely to be the taught action as to be any of the known ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import EnrolledAction
from fluxformer_core.errors import ConfigError
from fluxformer_core.types import OTHER

CONCENTRATION = 10.0
"""Concentration of the clouds of directions: a larger value makes them narrower."""

SHRINKAGE = 0.4
"""Share of the covariance that is replaced by its mean over all directions: the covariance comes from few clips."""

STEEPNESS = 2.0
"""Logits for a unit of evidence beyond the threshold."""


class KnownActions:
    """Where the actions that a model was trained on lie in its embedding.

    Args:
        bundle: has statistics of them.

    Raises:
        ConfigError: if it has not.
    """

    def __init__(self, bundle: Bundle) -> None:
        if bundle.statistics is None:
            raise ConfigError(
                "this model does not say where its own actions lie, so none can be taught; "
                "`fluxformer enroll MODEL --known DATA --out NEW` adds that from labelled recordings"
            )
        # `other` lies in no direction of its own.
        own = [i for i, label in enumerate(bundle.labels) if label != OTHER]
        means = bundle.statistics.means[own]
        self.labels = tuple(bundle.labels[i] for i in own)
        self._middle: NDArray[np.float32] = means.mean(0)
        self._scaling = _scaling(bundle.statistics.spread)
        self.directions = self.place(means)  # (known, D)

    def place(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors (..., D) towards embeddings (..., D), seen from the centre of the known actions."""
        return unit(np.asarray((embeddings - self._middle) @ self._scaling, np.float32))

    def evidence(self, directions: NDArray[np.float32], prototypes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Evidence (..., n) of directions (..., D) for actions (n, D), against all known actions."""
        known = np.logaddexp.reduce(CONCENTRATION * directions @ self.directions.T, axis=-1, keepdims=True)
        return np.asarray(CONCENTRATION * directions @ prototypes.T - known, np.float32)


def _scaling(spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """The whitening matrix (D, D) of a covariance, shrunk towards its mean."""
    width = len(spread)
    believed = (1 - SHRINKAGE) * spread.astype(np.float64) + SHRINKAGE * np.trace(spread) / width * np.eye(width)
    values, vectors = np.linalg.eigh(believed)
    floor = SHRINKAGE * np.trace(spread) / width  # rounding in the file may have made the smallest eigenvalue negative
    return np.asarray((vectors / np.sqrt(np.maximum(values, floor))) @ vectors.T, np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (..., D) scaled to length 1; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


class TaughtActions:
    """The enrolled actions as further logits of a model.

    Args:
        actions: in the order of their logits.
        known: the model's own actions.
    """

    def __init__(self, actions: Sequence[EnrolledAction], known: KnownActions) -> None:
        self.actions, self._known = tuple(actions), known
        self._prototypes = np.stack([action.prototype for action in actions])
        self._thresholds = np.array([action.threshold for action in actions], np.float32)

    def extend(self, logits: NDArray[np.float32], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits of all actions.

        Args:
            logits: (..., known labels), divided by the model's temperature.
            embeddings: (..., D).

        Returns:
            (..., known labels + enrolled actions).
        """
        beyond = self._known.evidence(self._known.place(embeddings), self._prototypes) - self._thresholds
        # Relative to all known logits together, so that both sides are equally likely on the border.
        together = np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        return np.concatenate([logits, together + STEEPNESS * beyond], axis=-1, dtype=np.float32)
