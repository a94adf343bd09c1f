"""Clips on their way to the model: which ones an epoch shows, prepared by other processes, and the wait for them."""

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

from fluxformer_core.augment.clip import training_clip, whole_clip
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.other import GAITS, REPEATED, OtherClips
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.clip import encode_flow, normalise_rgb
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import OTHER, ClipSpec

Item = tuple[Tensor, Tensor, int]
"""rgb (3, T, S, S), flow (3, T, S, S), class."""
Batch = tuple[Tensor, Tensor, Tensor]
"""rgb (B, 3, T, S, S), flow (B, 3, T, S, S), class (B,)."""


class WholeClips(Dataset[Item]):
    """Every recording of a store, whole."""

    def __init__(self, store: ClipStore, spec: ClipSpec) -> None:
        self.store, self.spec = store, spec

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> Item:
        return _tensors(*whole_clip(self.store[i], self.spec.frames, SELECTORS[self.spec.selection]), self.spec)


class TrainingClips(Dataset[Item]):
    """Random clips of several stores; an item's key is its draw's epoch, number in the epoch, and clip.

    Args:
        stores: where the clips are.
        spec: clip that the model takes.
        partner: class of the mirrored action where it differs.
        fixed: classes that must not be mirrored.
        augment: how far clips stray from the recordings.
        seed: of the straying.
        shown: (clips,) how often each clip is shown, which is how often clips of `other` are made from it; None: alike.
    """

    def __init__(
        self,
        stores: Sequence[ClipStore],
        spec: ClipSpec,
        partner: Mapping[int, int],
        fixed: frozenset[int],
        augment: AugmentConfig,
        seed: int,
        shown: NDArray[np.float64] | None = None,
    ) -> None:
        self.stores, self.spec, self.partner, self.fixed = list(stores), spec, partner, fixed
        self.augment, self.seed = augment, seed
        self._ends = np.cumsum([len(store) for store in stores])
        labels = stores[0].labels
        self._other = labels.index(OTHER) if OTHER in labels else None
        self._others = OtherClips(stores, shown)
        self._gaits = {number: GAITS[label] for number, label in enumerate(labels) if label in GAITS}
        self._repeated = frozenset(number for number, label in enumerate(labels) if label in REPEATED)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, key: tuple[int, int, int]) -> Item:
        # The key alone decides, not the process: any number of workers, and a continued training, draw the same clip.
        epoch, number, clip = key
        rng = np.random.default_rng([self.seed, epoch, number])
        if self._other is not None and rng.random() < self.augment.other:
            return _tensors(*self._others.draw(self.spec.frames, self.augment, rng), self._other, self.spec)
        which = int(np.searchsorted(self._ends, clip, side="right"))
        store = self.stores[which]
        sample = store[clip - int(self._ends[which]) + len(store)]
        augment = replace(self.augment, flip=0.0) if sample.label in self.fixed else self.augment
        selector = SELECTORS[self.spec.selection]
        gait, repeated = self._gaits.get(sample.label), sample.label in self._repeated
        count = self.spec.frames
        drawn = training_clip(sample, count, self.partner, augment, rng, selector, gait=gait, repeated=repeated)
        return _tensors(*drawn, self.spec)


class Draw(Sampler[tuple[int, int, int]]):
    """Which clips an epoch shows, in random order: each as often as its weight says, but for rounding up or down.

    Processes that train together see different ones.

    Args:
        expected: (clips,) how often an epoch shows each, on average; all ones: every clip once.
        batch: whole batches are given only.
        seed: of the order.
    """

    def __init__(self, expected: NDArray[np.float64], batch: int, seed: int) -> None:
        self.expected, self.batch, self.seed = expected, batch, seed
        self.epoch = 0

    def __len__(self) -> int:
        """Clips of an epoch for this process."""
        return round(float(self.expected.sum())) // (self.batch * _place()[1]) * self.batch

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.expected))
        # Systematic sampling: evenly spaced points along the summed weights, so that no clip is forgotten by chance.
        edges = np.cumsum(self.expected[order])
        count = round(float(edges[-1]))
        points = (np.arange(count) + rng.random()) * (edges[-1] / count)
        drawn = order[np.minimum(np.searchsorted(edges, points, side="right"), len(order) - 1)]
        drawn = rng.permutation(drawn)
        rank, world = _place()
        for number in range(rank, len(self) * world, world):
            yield self.epoch, number, int(drawn[number])


class Share(Sampler[int]):
    """Every clip once, divided among the processes that work together."""

    def __init__(self, clips: int) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(range(*self._span()))

    def __iter__(self) -> Iterator[int]:
        return iter(range(*self._span()))

    def _span(self) -> tuple[int, int, int]:
        rank, world = _place()
        return rank, self.clips, world


def expected_draws(
    stores: Sequence[ClipStore], shares: Mapping[str, float], *, balanced: bool, count: int | None
) -> NDArray[np.float64]:
    """How often an epoch shows each clip of the stores, one after the other.

    Args:
        stores: where the clips are.
        shares: part of an epoch that comes from the store of a name; the others divide the rest by their clips.
        balanced: whether every label of a store is shown equally often.
        count: clips of an epoch; None: as many as there are.

    Raises:
        ConfigError: if a share names no store, or the shares leave no sense.
    """
    names = {store.name for store in stores}
    unknown = sorted(shares.keys() - names)
    if unknown:
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
    """A loader that knows how long it was waited for.

    Attributes:
        waited: seconds that the last iteration had to wait for batches so far.
        began: when it began, by `time.perf_counter`.
    """

    waited = 0.0
    began = 0.0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A generator starts at its first batch: by then the sampler knows the epoch.
        self.waited, self.began = 0.0, time.perf_counter()
        batches = super().__iter__()
        asked = self.began
        for batch in batches:
            self.waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()


def _place() -> tuple[int, int]:
    """This process's number, and how many train together."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _tensors(frames: NDArray[np.float32], flow: NDArray[np.float32], label: int, spec: ClipSpec) -> Item:
    return normalise_rgb(torch.from_numpy(frames), spec), encode_flow(torch.from_numpy(flow), spec), label
