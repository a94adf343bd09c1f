"""Loading clips for training and evaluation: datasets, samplers, and a loader that measures waiting time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.other_clips import OtherClips
from fluxformer_core.augment.pair_flow import PairFlow
from fluxformer_core.augment.training_clip import training_clip, whole_clip
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.data.label_table import LabelTable, read_label_table
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.clip import encode_flow, normalise_rgb
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import OTHER, ClipSpec

Item = tuple[Tensor, Tensor, int]
"""rgb (3, T, S, S), flow (3, T, S, S), class."""
Batch = tuple[Tensor, Tensor, Tensor]
"""rgb (B, 3, T, S, S), flow (B, 3, T, S, S), class (B,)."""


class EvalClips(Dataset[Item]):
    """The clip that the recogniser would select from each whole recording of a store."""

    def __init__(self, store: ClipStore, spec: ClipSpec) -> None:
        self.store, self.spec = store, spec

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> Item:
        return _tensors(*whole_clip(self.store[i], self.spec.frames, SELECTORS[self.spec.selection]), self.spec)


class TrainingClips(Dataset[Item]):
    """Random clips of several stores. The key of an item is an epoch, a number in the epoch, and a clip.

    Raises:
        ConfigError: if there is no such estimator of flow.
    """

    def __init__(
        self,
        stores: Sequence[ClipStore],  # all with the same labels
        spec: ClipSpec,
        augment: AugmentConfig,
        seed: int,  # of the random differences from the recordings
        sample_weights: NDArray[np.float64] | None = None,  # (clips,) how often each is shown or turned into `other`
        *,
        table: LabelTable | None = None,  # traits of the labels; None: the package's
        flow: str = "",  # estimator of flow that is not in the stores, as `create_flow` takes a name; empty: the spec's
    ) -> None:
        self.stores, self.spec, self.augment, self.seed = list(stores), spec, augment, seed
        self._ends = np.cumsum([len(store) for store in stores])
        labels, table, flow = stores[0].labels, table or read_label_table(), flow or spec.flow
        self.mirror_of, self.unmirrorable = table.mirrors(labels)
        self._traits = [table[label] for label in labels]
        self._other = labels.index(OTHER) if OTHER in labels else None
        self._other_clips = OtherClips(stores, sample_weights, table=table, flow=flow)
        self._pair_flow = PairFlow(flow)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, key: tuple[int, int, int]) -> Item:
        # The key alone decides: any number of workers, and a continued training, draw the same clip.
        epoch, number, clip = key
        rng = np.random.default_rng([self.seed, epoch, number])
        count = self.spec.frames
        if self._other is not None and rng.random() < self.augment.other:
            return _tensors(*self._other_clips.draw(count, self.augment, rng), self._other, self.spec)
        which = int(np.searchsorted(self._ends, clip, side="right"))
        store = self.stores[which]
        sample = store[clip - int(self._ends[which]) + len(store)]
        augment = replace(self.augment, flip=0.0) if sample.label in self.unmirrorable else self.augment
        traits, selector = self._traits[sample.label], SELECTORS[self.spec.selection]
        action: dict[str, Any] = {"gait": traits.gait, "repeated": traits.repeated, "pair_flow": self._pair_flow}
        return _tensors(*training_clip(sample, count, self.mirror_of, augment, rng, selector, **action), self.spec)


class WeightedEpochSampler(Sampler[tuple[int, int, int]]):
    """Keys of the clips of an epoch in random order: each clip as often as expected, rounded up or down.

    `expected` (clips,) tells how often an epoch shows each clip, on average; all ones: every clip once. Processes that
    train together get different keys. Only whole batches are given.
    """

    def __init__(self, expected: NDArray[np.float64], batch: int, seed: int) -> None:
        self.expected, self.batch, self.seed, self.epoch = expected, batch, seed, 0

    def __len__(self) -> int:
        """Clips of an epoch for this process."""
        return round(float(self.expected.sum())) // (self.batch * _rank_and_world()[1]) * self.batch

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.expected))
        # Systematic sampling: evenly spaced points along the summed weights leave out no clip by chance.
        edges = np.cumsum(self.expected[order])
        count = round(float(edges[-1]))
        points = (np.arange(count) + rng.random()) * (edges[-1] / count)
        drawn = rng.permutation(order[np.minimum(np.searchsorted(edges, points, side="right"), len(order) - 1)])
        rank, world = _rank_and_world()
        for number in range(rank, len(self) * world, world):
            yield self.epoch, number, int(drawn[number])


class DistributedEvalSampler(Sampler[int]):
    """Every clip once, divided among the processes that work together."""

    def __init__(self, clips: int) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self._indices())

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices())

    def _indices(self) -> range:
        rank, world = _rank_and_world()
        return range(rank, self.clips, world)


def expected_draws(
    stores: Sequence[ClipStore], shares: Mapping[str, float], *, balanced: bool, count: int | None
) -> NDArray[np.float64]:
    """How often an epoch of `count` clips (None: all) shows each clip of the stores, one store after the other.

    `shares` is the part of an epoch that comes from the store of a name; the other stores share the rest by their
    clips. If balanced, every label of a store is shown equally often.

    Raises:
        ConfigError: if a share names no store, or the shares are negative or do not sum to 1.
    """
    names = {store.name for store in stores}
    if unknown := sorted(shares.keys() - names):
        raise ConfigError(f"there is no data called {', '.join(unknown)}; known are {', '.join(sorted(names))}")
    rest = 1.0 - sum(shares.values())
    free = sum(len(store) for store in stores if store.name not in shares)
    if min(shares.values(), default=0.0) < 0 or rest < -1e-9 or (free and rest <= 0) or (not free and rest > 1e-9):
        raise ConfigError(f"shares must be positive and sum to 1, or to less with data left over, not {dict(shares)}")
    total = count or sum(len(store) for store in stores)
    named = {name: sum(len(store) for store in stores if store.name == name) for name in shares}
    parts = []
    for store in stores:
        each = shares[store.name] / named[store.name] if store.name in shares else rest / free
        weight = np.ones(len(store))
        if balanced:
            clips = np.bincount(store.classes, minlength=len(store.labels))
            weight = len(store) / (np.count_nonzero(clips) * clips[store.classes])
        parts.append(total * each * weight)
    return np.concatenate(parts)


class Loader(DataLoader[Item]):
    """A data loader that measures how long the training waits for batches."""

    waited = 0.0  # seconds that the current iteration has waited for batches
    began = 0.0  # start of the iteration, by `time.perf_counter`

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A generator's body starts at the first batch, when the sampler knows the epoch.
        self.waited, self.began = 0.0, time.perf_counter()
        asked = self.began
        for batch in super().__iter__():
            self.waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()


def _rank_and_world() -> tuple[int, int]:
    """This process's number, and the number of processes that work together."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _tensors(frames: NDArray[np.float32], flow: NDArray[np.float32], label: int, spec: ClipSpec) -> Item:
    return normalise_rgb(torch.from_numpy(frames), spec), encode_flow(torch.from_numpy(flow), spec), label
