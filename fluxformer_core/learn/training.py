"""Training from decoded clips: AdamW with warm-up and cosine, label smoothing, averaged weights (SPEC 1.7 [R])."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset
from tqdm import tqdm

from fluxformer_core.clip import ClipSpec
from fluxformer_core.errors import ConfigError
from fluxformer_core.learn.augment import AugmentConfig, training_clip, whole_clip
from fluxformer_core.learn.datasets import ClipStore
from fluxformer_core.stream.clip_builder import encode_flow, normalise_rgb

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainConfig:
    """The recipe."""

    epochs: int = 60
    batch: int = 16
    learning_rate: float = 1e-3  # peak
    warmup: float = 2.0  # epochs
    weight_decay: float = 0.05  # of matrices and kernels; norms, biases and gates are free
    label_smoothing: float = 0.1
    clip_gradient: float = 1.0  # norm
    average: float = 0.998  # memory of the running mean of the weights, which is what is kept
    half: bool = True  # bfloat16 where it is safe
    workers: int = 1
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


class _Clips(Dataset[tuple[Tensor, Tensor, int]]):
    """Clips of a store; random ones when there is a recipe, else each recording whole."""

    def __init__(
        self, store: ClipStore, spec: ClipSpec, partner: Mapping[int, int], augment: AugmentConfig | None, seed: int
    ) -> None:
        self.store, self.spec, self.partner, self.augment, self.seed = store, spec, partner, augment, seed

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, int]:
        if self.augment is None:
            frames, flow, label = whole_clip(self.store[i], self.spec.frames)
        else:
            # torch has another initial seed in every epoch: this process from `train`, workers from the loader.
            rng = np.random.default_rng([self.seed, torch.initial_seed() % 2**32, i])
            frames, flow, label = training_clip(self.store[i], self.spec.frames, self.partner, self.augment, rng)
        return normalise_rgb(torch.from_numpy(frames), self.spec), encode_flow(torch.from_numpy(flow), self.spec), label


def train(
    model: nn.Module,
    stores: Sequence[ClipStore],
    spec: ClipSpec,
    partner: Mapping[int, int],
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    check: ClipStore | None = None,
) -> nn.Module:
    """Train a model and return it with averaged weights, in evaluation mode.

    Args:
        model: with random or earlier weights; on the device to train on.
        stores: training clips, all with the same labels.
        spec: clip that the model takes.
        partner: class of the mirrored action where it differs.
        config: the recipe.
        checkpoint: file that is written after every epoch and, if there, continued from.
        check: clips whose accuracy is logged every few epochs; never trained on.

    Raises:
        ConfigError: if there is nothing to train on or the checkpoint is another model's.
    """
    clips: Dataset[Any] = ConcatDataset([_Clips(s, spec, partner, config.augment, k) for k, s in enumerate(stores)])
    steps = sum(map(len, stores)) // config.batch
    if steps == 0:
        raise ConfigError(f"{sum(map(len, stores))} clips are fewer than one batch of {config.batch}")
    device = next(model.parameters()).device
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.AdamW(_groups(model, config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98))
    begin = _resume(checkpoint, model, average, optimizer)
    started = time.monotonic()
    for epoch in range(begin, config.epochs):
        # Each epoch has a seed of its own, so that one that continues a checkpoint draws as if nothing had happened.
        seed = config.seed * 100_003 + epoch
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        loader = DataLoader(
            clips, config.batch, shuffle=True, drop_last=True, num_workers=config.workers, generator=generator
        )
        model.train()
        losses = []
        bar = tqdm(loader, desc=f"epoch {epoch + 1}/{config.epochs}", unit="batch", leave=False, disable=None)
        for i, (rgb, flow, label) in enumerate(bar):
            done = epoch * steps + i
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _schedule(done, steps, config)
            with torch.autocast(device.type, torch.bfloat16, enabled=config.half):
                logits = model(rgb.to(device), flow.to(device)).logits
            loss = nn.functional.cross_entropy(logits.float(), label.to(device), label_smoothing=config.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_gradient)
            optimizer.step()
            # Short memory at first, or the random start would stay in the mean for long.
            _follow(average, model, min(config.average, (done + 1) / (done + 10)))
            losses.append(loss.item())
            bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}")
        note = ""
        if check is not None and (epoch % 5 == 4 or epoch + 1 == config.epochs):
            note = f", accuracy {accuracy(_with(model, average), check, spec):.1%}"
        minutes = (time.monotonic() - started) / 60
        log.info("epoch %d/%d: loss %.3f%s, %.1f min", epoch + 1, config.epochs, np.mean(losses), note, minutes)
        if checkpoint is not None:
            _save(checkpoint, epoch + 1, model, average, optimizer)
    model.load_state_dict(average)
    return model.eval()


def predict(model: nn.Module, store: ClipStore, spec: ClipSpec, batch: int = 32) -> Tensor:
    """Logits (clips, classes) of whole recordings."""
    device = next(model.parameters()).device
    loader = DataLoader(_Clips(store, spec, {}, None, 0), batch)
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(rgb.to(device), flow.to(device)).logits.float().cpu() for rgb, flow, _ in loader])


def accuracy(model: nn.Module, store: ClipStore, spec: ClipSpec) -> float:
    """Share of whole recordings whose best label is right."""
    right = predict(model, store, spec).argmax(1).numpy() == store.classes
    return float(right.mean())


def _schedule(step: int, steps: int, config: TrainConfig) -> float:
    warm = (step + 1) / max(config.warmup * steps, 1.0)
    return min(1.0, warm) * (0.5 + 0.5 * math.cos(math.pi * step / (config.epochs * steps)))


def _groups(model: nn.Module, decay: float) -> Iterator[dict[str, Any]]:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    yield {"params": matrices, "weight_decay": decay}
    yield {"params": rest, "weight_decay": 0.0}


@torch.no_grad()
def _follow(average: dict[str, Tensor], model: nn.Module, memory: float) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1.0 - memory)
        else:
            average[name].copy_(value)


def _with(model: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """A copy of the model with other weights."""
    twin = copy.deepcopy(model)
    twin.load_state_dict(weights)
    return twin


def _save(
    path: Path, epoch: int, model: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {"epoch": epoch, "model": model.state_dict(), "average": average, "optimizer": optimizer.state_dict()}
    torch.save(state, partial)
    partial.replace(path)


def _resume(path: Path | None, model: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> int:
    if path is None or not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            average[name].copy_(value)
    except (RuntimeError, LookupError, TypeError, ValueError, EOFError, OSError, UnpicklingError) as error:
        raise ConfigError(f"cannot continue from {path}: {(str(error) or 'it is empty').splitlines()[0]}") from None
    log.info("continuing after epoch %d", state["epoch"])
    return int(state["epoch"])
