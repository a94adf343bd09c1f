"""Training from decoded clips, from a model and a recipe to a trained model. The loop itself is Lightning's."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.errors import ConfigError
from fluxformer_core.training.loading import Draw, Loader, Share, TrainingClips, WholeClips, expected_draws
from fluxformer_core.training.recipe import Precision, TrainConfig, fastest_precision
from fluxformer_core.types import ClipSpec

log = logging.getLogger(__name__)

CHECK_BATCH = 32
"""Clips at once where nothing is learnt."""


@dataclass(frozen=True)
class Trained:
    """What a training gave."""

    model: nn.Module  # with the weights that were kept, in evaluation mode, where it was trained
    kept: str  # which these are
    epochs: int  # trained by this call; fewer than the recipe's if it continued
    clips_per_second: float  # 0 if this call had nothing left to do
    waiting: float  # share of the training time spent waiting for data
    precision: Precision  # what was computed in
    first: bool  # whether this process is the one that writes results


def train(
    model: nn.Module,
    stores: Sequence[ClipStore],
    spec: ClipSpec,
    partner: Mapping[int, int],
    config: TrainConfig,
    *,
    fixed: frozenset[int] = frozenset(),
    folder: Path | None = None,
    check: ClipStore | None = None,
) -> Trained:
    """Train a model; what is kept is the running mean of its weights.

    Args:
        model: with random or earlier weights.
        stores: training clips, all with the same labels.
        spec: clip that the model takes.
        partner: class of the mirrored action where it differs.
        config: the recipe.
        fixed: classes that must not be mirrored.
        folder: gets logs and, after every epoch, a checkpoint, from which the same call continues; None: neither.
        check: clips whose accuracy is logged, and by which the best weights are kept; never trained on.

    Raises:
        ConfigError: if there is nothing to train on, Lightning is missing or the checkpoint is another training's.
    """
    try:
        from fluxformer_core.training import loop as engine
    except ModuleNotFoundError as error:
        raise ConfigError(f"training needs {error.name}: pip install 'fluxformer[train]'") from None
    # Before a checkpoint is looked for: a training begun in one precision goes on in it.
    precision = fastest_precision(config.accelerator) if config.precision == "auto" else config.precision
    config = replace(config, precision=precision)
    expected = expected_draws(stores, config.shares, balanced=config.balanced, count=config.epoch_clips)
    draw = Draw(expected, config.batch, config.seed)
    if len(draw) == 0:
        raise ConfigError(f"{round(expected.sum())} clips are fewer than one batch of {config.batch}")
    clips = TrainingClips(stores, spec, partner, fixed, config.augment, config.seed, expected)
    pinned = torch.cuda.is_available()
    loader = Loader(clips, config.batch, sampler=draw, num_workers=config.workers, pin_memory=pinned)
    checks = None
    if check is not None:
        whole, part = WholeClips(check, spec), Share(len(check))
        checks = Loader(whole, CHECK_BATCH, sampler=part, num_workers=config.workers, pin_memory=pinned)
    identity = engine.identity(config, model, round(expected.sum()), stores[0].labels)
    lesson = engine.Lesson(model, config, len(stores[0].labels), spec.flow != "none", identity)
    with tempfile.TemporaryDirectory() as scratch:
        place = folder or Path(scratch)
        _check_resumable(place / f"{engine.LAST}.ckpt", identity)
        pace, device = engine.fit(lesson, loader, checks, place)
        best = place / f"{engine.BEST}.ckpt"
        kept = best if check is not None and config.keep == "best" else place / f"{engine.LAST}.ckpt"
        lesson.load_state_dict(_load(kept)["state_dict"])
    return Trained(
        model.requires_grad_(True).eval().to(device),
        f"{'best' if kept == best else 'last'} running mean of the weights",
        pace.epochs,
        pace.clips / pace.seconds if pace.seconds else 0.0,
        pace.waited / pace.seconds if pace.seconds else 0.0,
        precision,
        lesson.global_rank == 0,
    )


def untrained(model: nn.Module) -> Trained:
    """A model as it is, in the place of one that was trained."""
    return Trained(model.eval(), "as they were", 0, 0.0, 0.0, "32", True)


def predict(model: nn.Module, store: ClipStore, spec: ClipSpec, batch: int = CHECK_BATCH, workers: int = 0) -> Tensor:
    """Logits (clips, classes) of whole recordings."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))  # an engine has none
    loader = Loader(WholeClips(store, spec), batch, num_workers=workers)
    model.eval()
    with torch.inference_mode():
        return torch.cat(
            [
                model(rgb.to(device), None if spec.flow == "none" else flow.to(device)).logits.float().cpu()
                for rgb, flow, _ in loader
            ]
        )


def accuracy(model: nn.Module, store: ClipStore, spec: ClipSpec) -> float:
    """Share of whole recordings whose best label is right."""
    right = predict(model, store, spec).argmax(1).numpy() == store.classes
    return float(right.mean())


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
