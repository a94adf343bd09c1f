"""Training from decoded clips: the recipe (SPEC 1.7 [R]) and what comes of it. The loop itself is Lightning's."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fluxformer_core.clip import ClipSpec
from fluxformer_core.errors import ConfigError
from fluxformer_core.learn.augment_config import AugmentConfig
from fluxformer_core.learn.datasets import ClipStore
from fluxformer_core.learn.loading import Draw, Loader, Share, TrainingClips, WholeClips, expected_draws

log = logging.getLogger(__name__)

Precision = Literal["auto", "bf16-mixed", "16-mixed", "32"]
"""What training computes in."""

CHECK_BATCH = 32
"""Clips at once where nothing is learnt."""


@dataclass(frozen=True)
class TrainConfig:
    """The recipe.

    Raises:
        ConfigError: if a field is outside its range.
    """

    epochs: int = 60
    batch: int = 16  # clips per step and process
    learning_rate: float = 1e-3  # peak
    backbone_rate: float = 1.0  # factor on the learning rate of everything but the head
    train: Literal["all", "head"] = "all"  # what learns; the rest is frozen, statistics of norms included
    warmup: float = 2.0  # epochs
    weight_decay: float = 0.05  # of matrices and kernels; norms, biases and gates are free
    label_smoothing: float = 0.1
    mixup: float = 0.0  # parameter of the Beta distribution; 0: no Mixup
    cutmix: float = 0.0  # likewise; with both, each batch gets one of them
    clip_gradient: float = 1.0  # norm
    average: float = 0.998  # memory of the running mean of the weights, which is what is kept
    precision: Precision = "auto"  # auto: bfloat16 where the machine computes in it, else float32
    balanced: bool = False  # show every label of a source equally often
    shares: dict[str, float] = field(default_factory=dict)  # part of an epoch that a source of clips gets, by its name
    epoch_clips: int | None = None  # clips of an epoch; None: as many as there are
    check_every: int = 5  # epochs, at most
    keep: Literal["best", "last"] = "best"  # of the weights that were checked; without a check the last
    accelerator: str = "auto"
    devices: str = "auto"
    workers: int = 1  # processes that prepare clips; 0: the one that trains
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        wrong = []
        for name in ("epochs", "batch", "check_every"):
            if getattr(self, name) < 1:
                wrong.append(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("warmup", "weight_decay", "mixup", "cutmix", "workers", "backbone_rate"):
            if not getattr(self, name) >= 0:
                wrong.append(f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("learning_rate", "clip_gradient"):
            if not getattr(self, name) > 0:
                wrong.append(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("label_smoothing", "average"):
            if not 0 <= getattr(self, name) < 1:
                wrong.append(f"{name} must be in [0, 1), not {getattr(self, name)}")
        if wrong:
            raise ConfigError("; ".join(wrong))

    @property
    def checks_every(self) -> int:
        """Epochs between two checks: at most `check_every`, and such that the last epoch is checked, too."""
        return max(n for n in range(1, self.check_every + 1) if self.epochs % n == 0)


def fastest_precision(accelerator: str = "auto") -> Precision:
    """What this machine trains in fastest without harm; bfloat16 that must be emulated is many times slower."""
    if torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    return "bf16-mixed" if torch.backends.cpu.get_cpu_capability().startswith("AVX512") else "32"


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
        from fluxformer_core.learn import engine
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
