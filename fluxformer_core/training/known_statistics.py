"""Where a model's own actions lie in its embedding: what teaching it further ones needs to know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.data import Subset

from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.enrolled import Statistics
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.selection import uniform
from fluxformer_core.training.loading import Loader, WholeClips
from fluxformer_core.types import OTHER, ClipSpec

CLIPS = 32
"""Clips of one label that are looked at, at most: their statistics hardly change with more."""

_BATCH = 32


@torch.inference_mode()
def known_statistics(
    model: nn.Module, stores: Sequence[ClipStore], spec: ClipSpec, *, most: int = CLIPS, workers: int = 0
) -> Statistics:
    """Statistics of the embeddings of whole clips; those of `other`, which is no action, are zero.

    Args:
        model: in evaluation mode.
        stores: clips, all with the model's labels.
        spec: clip that the model takes.
        most: clips of one label that are looked at, spread evenly over all.
        workers: processes that prepare clips.

    Raises:
        ConfigError: if a label has no clip.
    """
    store = ClipStore.joined(stores)
    wanted = [label for label in range(len(store.labels)) if store.labels[label] != OTHER]
    found = {label: np.flatnonzero(store.classes == label) for label in wanted}
    if missing := [store.labels[label] for label in wanted if not len(found[label])]:
        raise ConfigError(f"there is no clip of {', '.join(missing)}, so where they lie cannot be told")
    chosen = {label: clips[uniform(len(clips), min(most, len(clips)))] for label, clips in found.items()}
    order = np.concatenate(list(chosen.values()))
    device = next(model.parameters()).device
    embeddings = torch.cat(
        [
            model(rgb.to(device), None if spec.flow == "none" else flow.to(device)).embedding.float().cpu()
            for rgb, flow, _ in Loader(Subset(WholeClips(store, spec), order.tolist()), _BATCH, num_workers=workers)
        ]
    ).numpy()
    means = np.zeros((len(store.labels), embeddings.shape[1]), np.float32)
    for label in wanted:
        means[label] = embeddings[store.classes[order] == label].mean(0)
    rest = embeddings - means[store.classes[order]]
    spread = rest.T @ rest
    # Only its shape counts; the unit is one that float16 holds well. Clips without any spread have none in particular.
    scale = np.trace(spread) / len(spread)
    return Statistics(means, spread / scale if scale > 0 else np.eye(len(spread), dtype=np.float32))
