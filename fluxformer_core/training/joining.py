"""One model of several that were trained: of the mean of their weights, or of all of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import ConfigError

_Traits = tuple[tuple[str, Callable[[Bundle], object]], ...]

_TRAITS: _Traits = (
    ("architecture", lambda b: (b.name, b.metadata.config)),
    ("clip", lambda b: b.spec),
    ("labels", lambda b: b.labels),
)
"""What models that are joined must have in common."""


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
    _check_alike(bundles, (*_TRAITS, ("number of nets", lambda b: b.metadata.members)))
    weights: dict[str, Tensor] = {}
    for name, weight in first.weights.items():
        several = torch.stack([bundle.weights[name] for bundle in bundles])
        weights[name] = several.mean(0) if weight.is_floating_point() else weight
    parents = [{"bundle": bundle.digest, **bundle.metadata.provenance} for bundle in bundles]
    return Bundle(replace(first.metadata, temperature=1.0, provenance={"mean_of": parents}), weights)


def ensemble_of(bundles: Sequence[Bundle]) -> Bundle:
    """One model that answers with the mean of what several answer; ensembles among them add all of their members.

    What holds for none but themselves is left out, as `mean_of` does.

    Args:
        bundles: alike in architecture, clip and labels; best trained each from random weights of its own.

    Raises:
        ConfigError: if they are not alike, or are fewer than two.
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
