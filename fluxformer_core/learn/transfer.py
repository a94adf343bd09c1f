"""Going on from trained models: their weights, and of the head the labels that stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import ConfigError
from fluxformer_core.models.registry import create_model


def mean_of(bundles: Sequence[Bundle]) -> Bundle:
    """One model whose weights are the mean of several that came from the same one ("model soup", Wortsman et al. 2022).

    Models that went on from a common ancestor by different data or seeds often lie so close that their mean is better
    than each. Running statistics of norms are averaged, too. What holds for none but themselves is left out:
    temperature, statistics of embeddings, enrolled actions.

    Args:
        bundles: alike in architecture, clip and labels.

    Raises:
        ConfigError: if they are not.
    """
    first = bundles[0]
    if len(bundles) == 1:
        return first
    for other in bundles[1:]:
        for what, one, two in (
            ("architecture", (first.name, first.metadata.config), (other.name, other.metadata.config)),
            ("clip", first.spec, other.spec),
            ("labels", first.labels, other.labels),
        ):
            if one != two:
                raise ConfigError(f"models of which the mean is taken differ in {what}: {one} and {two}")
    weights: dict[str, Tensor] = {}
    for name, weight in first.weights.items():
        several = torch.stack([bundle.weights[name] for bundle in bundles])
        weights[name] = several.mean(0) if weight.is_floating_point() else weight
    parents = [{"bundle": bundle.digest, **bundle.metadata.provenance} for bundle in bundles]
    return Bundle(replace(first.metadata, temperature=1.0, provenance={"mean_of": parents}), weights)


@torch.no_grad()
def start_from(bundle: Bundle, labels: Sequence[str]) -> tuple[nn.Module, tuple[str, ...]]:
    """A model with a bundle's weights for other labels.

    Args:
        bundle: the model to start from.
        labels: in the order of the logits; those that the bundle knows keep their part of the head, others start anew.

    Returns:
        The model, and the labels that it knew already.
    """
    trained = bundle.build_model()
    if tuple(labels) == bundle.labels:
        return trained, bundle.labels
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
