"""Compare unknown scores on the same stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic.watching import Moment
from fluxformer_core.bundle import Bundle
from fluxformer_core.evaluation.metrics.frames import unknown_auroc
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.stream.belief import FLATTENED, softmax
from fluxformer_core.types import OTHER

Score = Callable[[NDArray[np.float32], NDArray[np.float32]], float]
"""A function of logits (labels,) and embedding (D,); higher values speak against every known action."""

SHRUNK = 0.1
"""Shrinkage of the covariance of the embeddings towards a sphere; the covariance comes from few clips."""


def scores(bundle: Bundle) -> dict[str, Score]:
    """The compared scores by name."""
    known = np.array([label != OTHER for label in bundle.labels])
    temperature = np.float32(bundle.metadata.temperature)

    def flattened(logits: NDArray[np.float32], _: NDArray[np.float32]) -> float:
        flat = softmax(logits / temperature) ** FLATTENED
        return 1.0 - float(flat[known].max() / flat.sum())

    def entropy(logits: NDArray[np.float32], _: NDArray[np.float32]) -> float:
        p = softmax(logits / temperature)
        return float(-(p * np.log(p + 1e-12)).sum())

    found: dict[str, Score] = {
        "what is used: square roots of probabilities, calibrated": flattened,
        "1 - highest probability, calibrated": lambda z, _: 1.0 - float(softmax(z / temperature)[known].max()),
        "1 - highest probability at temperature 1": lambda z, _: 1.0 - float(softmax(z)[known].max()),
        "energy of the known logits": lambda z, _: -float(np.logaddexp.reduce(z[known])),
        "entropy, calibrated": entropy,
    }
    if not known.all():
        other = int(np.flatnonzero(~known)[0])
        found["probability of other"] = lambda z, _: float(softmax(z)[other])
        found["logit of other less the highest known one"] = lambda z, _: float(z[other] - z[known].max())
    if bundle.statistics is not None:
        means = bundle.statistics.means[known]
        middle = means.mean(axis=0)
        spread = float(np.sqrt(np.trace(bundle.statistics.spread)))

        def distance(_: NDArray[np.float32], embedding: NDArray[np.float32]) -> float:
            return float(np.linalg.norm(means - embedding, axis=1).min() / spread)

        def turned(_: NDArray[np.float32], embedding: NDArray[np.float32]) -> float:
            one, many = embedding - middle, means - middle
            return 1.0 - float((many @ one / np.linalg.norm(many, axis=1)).max() / np.linalg.norm(one))

        ridge = SHRUNK * np.trace(bundle.statistics.spread) / len(middle) * np.eye(len(middle), dtype=np.float32)
        factor = np.linalg.cholesky(np.linalg.inv((1 - SHRUNK) * bundle.statistics.spread + ridge))

        def mahalanobis(_: NDArray[np.float32], embedding: NDArray[np.float32]) -> float:
            return float(np.linalg.norm((means - embedding) @ factor, axis=1).min() / np.sqrt(len(middle)))

        found["distance to the nearest mean of an action, Euclidean"] = distance
        found["the same, Mahalanobis"] = mahalanobis
        found["the same, cosine seen from the middle of the means"] = turned
        found["square roots and Euclidean distance, added"] = lambda z, e: flattened(z, e) + distance(z, e)
        found["entropy and Euclidean distance, added"] = lambda z, e: entropy(z, e) + distance(z, e)
        found["entropy and Mahalanobis distance, added"] = lambda z, e: entropy(z, e) + mahalanobis(z, e)
    return found


def table(moments: Sequence[Moment], truth: Sequence[Interval], bundle: Bundle) -> str:
    """AUROC of each score over the performed actions, by its mean over an action and by its last value."""
    asked = [m for m in moments if m.logits is not None and m.embedding is not None]
    stamps = np.array([m.stamp for m in asked], np.int64)
    inside = [np.flatnonzero((stamps >= action.start) & (stamps < action.end)) for action in truth]
    seen = [(action, which) for action, which in zip(truth, inside, strict=True) if len(which)]
    unknown = np.array([action.label not in bundle.labels for action, _ in seen], dtype=np.bool_)
    lines = ["| unknown score | AUROC of its mean | of its last value |", "| --- | --- | --- |"]
    for name, score in scores(bundle).items():
        values = np.array([score(m.logits, m.embedding) for m in asked])
        means, lasts = (
            unknown_auroc(np.array([pick(values[which]) for _, which in seen]), unknown) for pick in (np.mean, _last)
        )
        lines.append(f"| {name} | {means:.3f} | {lasts:.3f} |")
    return "\n".join(lines)


def _last(values: NDArray[np.float64]) -> float:
    return float(values[-1])
