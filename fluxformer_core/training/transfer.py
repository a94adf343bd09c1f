"""Going on from a trained model: its weights, and of the head the labels that stay."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import ConfigError
from fluxformer_core.models.registry import create_model


@torch.no_grad()
def start_from(bundle: Bundle, labels: Sequence[str]) -> tuple[nn.Module, tuple[str, ...]]:
    """A model with a bundle's weights for other labels.

    Args:
        bundle: the model to start from.
        labels: in the order of the logits; those that the bundle knows keep their part of the head, others start anew.

    Returns:
        The model, and the labels that it knew already.

    Raises:
        ConfigError: if it is an ensemble, and the labels are others.
    """
    trained = bundle.build_model()
    if tuple(labels) == bundle.labels:
        return trained, bundle.labels
    if bundle.metadata.members > 1:
        raise ConfigError("an ensemble keeps its labels: train its members for others, one by one, and join them")
    model = create_model(bundle.name, len(labels), config=bundle.metadata.config)
    weights = trained.state_dict()
    new = model.state_dict()
    known = [label for label in labels if label in bundle.labels]
    for name in [name for name in weights if name.startswith("head.")]:
        for label in known:
            new[name][labels.index(label)] = weights[name][bundle.labels.index(label)]
        weights[name] = new[name]
    model.load_state_dict(weights)
    return model, tuple(known)
