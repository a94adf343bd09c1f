"""Models to start a training from: a bundle with other labels, the mean of several bundles, an ensemble of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import ConfigError
from fluxformer_core.models.registry import create_model

_Trait = tuple[str, Callable[[Bundle], object]]
_ARCHITECTURE: _Trait = ("architecture", lambda b: (b.name, b.metadata.config))
_TRAITS: tuple[_Trait, ...] = (_ARCHITECTURE, ("clip", lambda b: b.spec), ("labels", lambda b: b.labels))
"""What models that are joined must have in common."""


@torch.no_grad()
def start_from(bundle: Bundle, labels: Sequence[str]) -> nn.Module:
    """A model with a bundle's weights for other labels: the bundle's keep their rows of the head, new ones are random.

    Raises:
        ConfigError: if the bundle is an ensemble with other labels.
    """
    trained = bundle.build_model()
    if tuple(labels) == bundle.labels:
        return trained
    if bundle.metadata.members > 1:
        raise ConfigError("an ensemble keeps its labels: train its members for others, one by one, and join them")
    model = create_model(bundle.name, len(labels), config=bundle.metadata.config)
    weights, new = trained.state_dict(), model.state_dict()
    for name in [name for name in weights if name.startswith("head.")]:
        for row, label in enumerate(labels):
            if label in bundle.labels:
                new[name][row] = weights[name][bundle.labels.index(label)]
        weights[name] = new[name]
    model.load_state_dict(weights)
    return model


def mean_of(bundles: Sequence[Bundle]) -> Bundle:
    """One model whose weights are the mean of several that came from the same one ("model soup", Wortsman et al. 2022).

    Models that were trained further from one ancestor, with different data or seeds, often lie so close to each other
    that their mean is better than each of them. Running statistics of norms are averaged, too. Temperature, statistics
    of embeddings and enrolled actions belong to one model alone and are left out.

    Raises:
        ConfigError: if architecture, clip or labels of the bundles differ.
    """
    first = bundles[0]
    if len(bundles) == 1:
        return first
    _check_alike(bundles, (*_TRAITS, ("number of nets", lambda b: b.metadata.members)))
    weights: dict[str, Tensor] = {}
    for name, weight in first.weights.items():
        several = torch.stack([bundle.weights[name] for bundle in bundles])
        weights[name] = several.mean(0) if weight.is_floating_point() else weight
    return Bundle(replace(first.metadata, temperature=1.0, provenance={"mean_of": _parents(bundles)}), weights)


def ensemble_of(bundles: Sequence[Bundle]) -> Bundle:
    """One model that answers with the mean of several models' logits; an ensemble among them adds all of its members.

    Temperature, statistics of embeddings and enrolled actions are left out, as by `mean_of`. The models are best each
    trained from its own random weights.

    Raises:
        ConfigError: if architecture, clip or labels differ, or there are fewer than two bundles.
    """
    if len(bundles) < 2:
        raise ConfigError("an ensemble needs two models or more")
    _check_alike(bundles, _TRAITS)
    members = [member for bundle in bundles for member in _members(bundle)]
    weights = {f"members.{i}.{name}": weight for i, member in enumerate(members) for name, weight in member.items()}
    provenance = {"ensemble_of": _parents(bundles)}
    return Bundle(replace(bundles[0].metadata, members=len(members), temperature=1.0, provenance=provenance), weights)


def _parents(bundles: Sequence[Bundle]) -> list[dict[str, Any]]:
    return [{"bundle": bundle.digest, **bundle.metadata.provenance} for bundle in bundles]


def _members(bundle: Bundle) -> list[dict[str, Tensor]]:
    """Weights of each of a model's nets."""
    if bundle.metadata.members == 1:
        return [bundle.weights]
    prefixes = [f"members.{i}." for i in range(bundle.metadata.members)]
    return [{k.removeprefix(p): w for k, w in bundle.weights.items() if k.startswith(p)} for p in prefixes]


def _check_alike(bundles: Sequence[Bundle], traits: Sequence[_Trait]) -> None:
    first = bundles[0]
    for other in bundles[1:]:
        for what, trait in traits:
            if trait(first) != trait(other):
                raise ConfigError(f"models to be joined differ in {what}: {trait(first)} and {trait(other)}")
