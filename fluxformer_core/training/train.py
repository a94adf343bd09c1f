"""Training from decoded clips: a model and a recipe become a trained model."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.data.label_table import LabelTable
from fluxformer_core.errors import ConfigError
from fluxformer_core.models.layers import Prediction
from fluxformer_core.training.loading import (
    DistributedEvalSampler,
    EvalClips,
    Item,
    Loader,
    TrainingClips,
    WeightedEpochSampler,
    expected_draws,
)
from fluxformer_core.training.recipe import TrainConfig, TrainingPrecision, fastest_precision
from fluxformer_core.types import ClipSpec

log = logging.getLogger(__name__)

EVAL_BATCH = 32
"""Clips of a batch outside of training."""


@dataclass(frozen=True)
class Trained:
    """The result of a training."""

    model: nn.Module  # with the kept weights, in evaluation mode, on the device where it was trained
    kept: str = "as they were"  # which weights were kept
    epochs: int = 0  # trained by this call; fewer than the recipe's if the call continued a training
    clips_per_second: float = 0.0  # 0 if this call had nothing left to do
    waiting: float = 0.0  # share of the training time spent waiting for data
    precision: TrainingPrecision = "32"  # number format that was computed in
    first: bool = True  # whether this process is the one that writes results


def train(
    model: nn.Module,
    stores: Sequence[ClipStore],  # all with the same labels
    spec: ClipSpec,
    config: TrainConfig,
    *,
    table: LabelTable | None = None,  # traits of the labels, such as their mirror labels; None: the package's
    flow: str = "",  # estimator of flow that is not in the stores, as `create_flow` takes a name; empty: the spec's
    folder: Path | None = None,  # gets logs and checkpoints, from which the same call continues; None: neither
    check: ClipStore | None = None,  # clips to log the accuracy of and to keep the best weights by, never trained on
) -> Trained:
    """Train a model, with random or earlier weights, and keep the moving average of its weights.

    Raises:
        ConfigError: if there is nothing to train on, Lightning is missing or the checkpoint is another training's.
    """
    try:
        from fluxformer_core.training import loop
        from fluxformer_core.training.module import ActionModule, identity
    except ModuleNotFoundError as error:
        raise ConfigError(f"training needs {error.name}: pip install 'fluxformer[train]'") from None
    # Set before a checkpoint is read: a training that was begun in one precision continues in that precision.
    precision = fastest_precision(config.accelerator) if config.precision == "auto" else config.precision
    config = replace(config, precision=precision)
    expected = expected_draws(stores, config.shares, balanced=config.balanced, count=config.epoch_clips)
    sampler = WeightedEpochSampler(expected, config.batch, config.seed)
    if len(sampler) == 0:
        raise ConfigError(f"{round(expected.sum())} clips are fewer than one batch of {config.batch}")
    clips = TrainingClips(stores, spec, config.augment, config.seed, expected, table=table, flow=flow)
    pinned = torch.cuda.is_available()
    loader = Loader(clips, config.batch, sampler=sampler, num_workers=config.workers, pin_memory=pinned)
    checks = None
    if check is not None:
        part = DistributedEvalSampler(len(check))
        checks = Loader(EvalClips(check, spec), EVAL_BATCH, sampler=part, num_workers=config.workers, pin_memory=pinned)
    same = identity(config, model, round(expected.sum()), stores[0].labels)
    module = ActionModule(model, config, len(stores[0].labels), spec.flow != "none", same)
    with tempfile.TemporaryDirectory() as scratch:
        place = folder or Path(scratch)
        _check_resumable(place / f"{loop.LAST}.ckpt", same)
        throughput, device = loop.fit(module, loader, checks, place)
        best = place / f"{loop.BEST}.ckpt"
        kept = best if check is not None and config.keep == "best" else place / f"{loop.LAST}.ckpt"
        module.load_state_dict(_load(kept)["state_dict"])
    model, seconds = model.requires_grad_(True).eval().to(device), throughput.seconds
    speed, waiting = (throughput.clips / seconds, throughput.waited / seconds) if seconds else (0.0, 0.0)
    weights = f"{'best' if kept == best else 'last'} moving average of the weights"
    return Trained(model, weights, throughput.epochs, speed, waiting, precision, module.global_rank == 0)


@torch.inference_mode()
def outputs(model: nn.Module, clips: Dataset[Item], spec: ClipSpec, workers: int = 0) -> Prediction:
    """Logits (clips, classes) and embeddings (clips, D) of clips, on the CPU."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))  # engines have none
    found = [
        model(rgb.to(device), None if spec.flow == "none" else flow.to(device))
        for rgb, flow, _ in Loader(clips, EVAL_BATCH, num_workers=workers)
    ]
    return Prediction(*(torch.cat([part.float().cpu() for part in parts]) for parts in zip(*found, strict=True)))


def predict(model: nn.Module, store: ClipStore, spec: ClipSpec) -> Tensor:
    """Logits (clips, classes) of whole recordings."""
    return outputs(model.eval(), EvalClips(store, spec), spec).logits


def accuracy(model: nn.Module, store: ClipStore, spec: ClipSpec) -> float:
    """Share of whole recordings whose label with the highest logit is right."""
    return float((predict(model, store, spec).argmax(1).numpy() == store.classes).mean())


def _check_resumable(path: Path, identity: dict[str, Any]) -> None:
    if not path.exists():
        return
    state = _load(path)
    found = state.get("fluxformer")
    if not isinstance(found, dict):
        raise ConfigError(f"cannot continue from {path}: it is no checkpoint of a training")
    differing = sorted(name for name in identity.keys() | found.keys() if identity.get(name) != found.get(name))
    if differing:
        raise ConfigError(
            f"cannot continue from {path}: its training differs in {', '.join(differing)}; "
            "give the same settings, or remove it to start again"
        )
    log.info("continuing after epoch %d", state.get("epoch", -1) + 1)


def _load(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, dict):
            return state
        reason = "it is something else"
    except (RuntimeError, LookupError, TypeError, ValueError, EOFError, OSError, UnpicklingError) as error:
        reason = (str(error) or "it is empty").splitlines()[0]
    raise ConfigError(f"cannot continue from {path}: {reason}; remove it to start again")
