"""After a training: the temperature of the probabilities, and the statistics that enrolment needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Subset

from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.enrolled import Statistics
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.selection import uniform
from fluxformer_core.training.loading import EvalClips
from fluxformer_core.training.train import outputs
from fluxformer_core.types import OTHER, ClipSpec

COLDEST, HOTTEST = 0.2, 5.0
"""Limits of a temperature: a few clips that are all classified correctly would otherwise lead to a temperature of 0."""
CLIPS = 32
"""Clips of one label, at most, that statistics are computed from: more hardly change the result."""

_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: Tensor, classes: Tensor) -> float:
    """The temperature that minimises the cross entropy of clips that were not trained on (Guo et al. 2017).

    Along the temperature of logits (clips, labels), the loss has a single minimum, which golden-section search finds.
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


def known_statistics(
    model: nn.Module, stores: Sequence[ClipStore], spec: ClipSpec, *, most: int = CLIPS, workers: int = 0
) -> Statistics:
    """Mean of each label's embeddings of whole clips, and the covariance of all embeddings about these means.

    At most `most` clips of a label are used, spread evenly over all clips of the label. The mean of `other`, which is
    no action, is zero. The model must be in evaluation mode.

    Raises:
        ConfigError: if a label has no clip.
    """
    store = ClipStore.joined(stores)
    wanted = [number for number, label in enumerate(store.labels) if label != OTHER]
    found = {number: np.flatnonzero(store.classes == number) for number in wanted}
    if missing := [store.labels[number] for number in wanted if not len(found[number])]:
        raise ConfigError(f"there is no clip of {', '.join(missing)}, so its place in the embedding is unknown")
    order = np.concatenate([clips[uniform(len(clips), min(most, len(clips)))] for clips in found.values()])
    found_embeddings = outputs(model, Subset(EvalClips(store, spec), order.tolist()), spec, workers).embedding
    embeddings, classes = found_embeddings.numpy(), store.classes[order]
    means = np.zeros((len(store.labels), embeddings.shape[1]), np.float32)
    for number in wanted:
        means[number] = embeddings[classes == number].mean(0)
    rest = embeddings - means[classes]
    covariance = rest.T @ rest
    # Only the shape of the covariance matters; a mean variance of 1 keeps its values within float16's range.
    scale = np.trace(covariance) / len(covariance)
    return Statistics(means, covariance / scale if scale > 0 else np.eye(len(covariance), dtype=np.float32))
