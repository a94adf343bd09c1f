"""Models to start a training from: a bundle with other labels, the mean of several bundles, an ensemble of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import ConfigError
from fluxformer_core.models.registry import create_model

_Traits = tuple[tuple[str, Callable[[Bundle], object]], ...]

_TRAITS: _Traits = (
    ("architecture", lambda b: (b.name, b.metadata.config)),
    ("clip", lambda b: b.spec),
    ("labels", lambda b: b.labels),
)
"""What models that are joined must have in common."""


@torch.no_grad()
def start_from(bundle: Bundle, labels: Sequence[str]) -> tuple[nn.Module, tuple[str, ...]]:
    """A model with a bundle's weights for other labels.

    Args:
        bundle: the model to start from.
        labels: in the order of the logits; the bundle's labels keep their rows of the head, new labels get random rows.

    Returns:
        The model, and those of the labels that the bundle has.

    Raises:
        ConfigError: if the bundle is an ensemble with other labels.
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


def mean_of(bundles: Sequence[Bundle]) -> Bundle:
    """One model whose weights are the mean of several that came from the same one ("model soup", Wortsman et al. 2022).

    Models that were trained further from one ancestor, with different data or seeds, often lie so close to each other
    that their mean is better than each of them. Running statistics of norms are averaged, too. Temperature, statistics
    of embeddings and enrolled actions belong to one model alone and are left out.

    Args:
        bundles: with the same architecture, clip and labels.

    Raises:
        ConfigError: if these differ.
    """
    first = bundles[0]
    if len(bundles) == 1:
        return first
    _check_alike(bundles, (*_TRAITS, ("number of nets", lambda b: b.metadata.members)))
    weights: dict[str, Tensor] = {}
    for name, weight in first.weights.items():
        several = torch.stack([bundle.weights[name] for bundle in bundles])
        weights[name] = several.mean(0) if weight.is_floating_point() else weight
    parents = [{"bundle": bundle.digest, **bundle.metadata.provenance} for bundle in bundles]
    return Bundle(replace(first.metadata, temperature=1.0, provenance={"mean_of": parents}), weights)


def ensemble_of(bundles: Sequence[Bundle]) -> Bundle:
    """One model that answers with the mean of several models' logits; an ensemble among them adds all of its members.

    Temperature, statistics of embeddings and enrolled actions are left out, as by `mean_of`.

    Args:
        bundles: with the same architecture, clip and labels; best each trained from its own random weights.

    Raises:
        ConfigError: if these differ, or there are fewer than two bundles.
    """
    if len(bundles) < 2:
        raise ConfigError("an ensemble needs two models or more")
    _check_alike(bundles, _TRAITS)
    members = [member for bundle in bundles for member in _members(bundle)]
    weights = {f"members.{i}.{name}": weight for i, member in enumerate(members) for name, weight in member.items()}
    parents = [{"bundle": bundle.digest, **bundle.metadata.provenance} for bundle in bundles]
    provenance = {"ensemble_of": parents}
    metadata = replace(bundles[0].metadata, members=len(members), temperature=1.0, provenance=provenance)
    return Bundle(metadata, weights)


def _members(bundle: Bundle) -> list[dict[str, Tensor]]:
    """Weights of each of a model's nets."""
    if bundle.metadata.members == 1:
        return [bundle.weights]
    prefixes = [f"members.{i}." for i in range(bundle.metadata.members)]
    return [{k.removeprefix(p): w for k, w in bundle.weights.items() if k.startswith(p)} for p in prefixes]


def _check_alike(bundles: Sequence[Bundle], traits: _Traits) -> None:
    first = bundles[0]
    for other in bundles[1:]:
        for what, trait in traits:
            if trait(first) != trait(other):
                raise ConfigError(f"models to be joined differ in {what}: {trait(first)} and {trait(other)}")
