"""Where a model's own actions lie in its embedding, from the embeddings of clips of known class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.enrolled import Statistics
from fluxformer_core.types import OTHER


def embedding_statistics(
    embeddings: NDArray[np.float32], classes: NDArray[np.intp], labels: Sequence[str]
) -> Statistics:
    """Mean of each label's embeddings, and the covariance of all embeddings about these means.

    Args:
        embeddings: (clips, D).
        classes: (clips,) index of each clip's label; every label but `other` has a clip.
        labels: the model's; the mean of `other`, which is no action, is zero.
    """
    means = np.zeros((len(labels), embeddings.shape[1]), np.float32)
    for number, label in enumerate(labels):
        if label != OTHER:
            means[number] = embeddings[classes == number].mean(0)
    rest = embeddings - means[classes]
    covariance = rest.T @ rest
    # Only the shape of the covariance matters; a mean variance of 1 keeps its values within float16's range.
    scale = np.trace(covariance) / len(covariance)
    return Statistics(means, covariance / scale if scale > 0 else np.eye(len(covariance), dtype=np.float32))
