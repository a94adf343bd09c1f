"""One model on decoded recordings: scores, mistakes and times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fluxformer_core.backends.base import InferencePrecision
from fluxformer_core.bundle import Bundle
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.metrics.clips import score_clips
from fluxformer_core.evaluation.report.result import ModelResult
from fluxformer_core.evaluation.report.strips import worst_mistakes
from fluxformer_core.evaluation.speed.latency import measure_latency
from fluxformer_core.stream.load import open_model
from fluxformer_core.training.train import predict

CONFUSIONS = 6
"""Confusions of which a clip is shown."""


def answers(labels: Sequence[str], data: Sequence[str], file: str, *, restrict: bool) -> tuple[str, ...]:
    """The labels that a model may answer with.

    Args:
        labels: that the model knows.
        data: labels of the recordings.
        file: the model's name, for the message.
        restrict: whether to leave out those that the recordings do not have.

    Raises:
        ConfigError: if the model lacks a label of the recordings.
    """
    unknown = sorted(set(data) - set(labels))
    if unknown:
        raise ConfigError(f"{file} has no label {', '.join(unknown)}: rename or drop them with --labels")
    return tuple(label for label in labels if label in data) if restrict else tuple(labels)


def measure(
    bundle: Bundle,
    file: str,
    store: ClipStore,
    *,
    restrict: bool,
    flow: str = "",
    backend: str = "torch",
    precision: InferencePrecision = "fp32",
) -> ModelResult:
    """Classify every recording once.

    Args:
        bundle: the model.
        file: its name.
        store: the recordings, with their own labels.
        restrict: whether only labels of the recordings may be answers.
        flow: estimator of optical flow, as `create_flow` names it; empty: the one that the model was trained with.
        backend: what runs the model, one of `list_backends()`.
        precision: of its arithmetic.

    Raises:
        ConfigError: if the model lacks a label of the recordings.
        BackendError: if the backend cannot be used here.
    """
    labels = answers(bundle.labels, store.labels, file, restrict=restrict)
    takes_flow = bundle.spec.flow != "none"  # as `predict` has it
    model = open_model(bundle, backend, precision, flow=takes_flow)
    logits = predict(model, store, bundle.spec) / bundle.metadata.temperature
    probabilities = logits[:, [bundle.labels.index(label) for label in labels]].softmax(1).numpy()
    truth = np.array([labels.index(label) for label in store.labels], np.intp)[store.classes]
    report = score_clips(probabilities, truth, labels)
    mistakes = worst_mistakes(report, probabilities, truth, store, bundle.spec, confusions=CONFUSIONS)
    latency = measure_latency(model, store, bundle.spec, flow=flow)
    return ModelResult(file, bundle, report, latency, tuple(mistakes))
