"""The training loop on Lightning: steps, running mean of the weights, checks, checkpoints, logs and pace."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import Tensor, nn

from fluxformer_core.augment.mix import mix
from fluxformer_core.errors import ConfigError
from fluxformer_core.training.loading import Batch, Loader
from fluxformer_core.training.recipe import TrainConfig

log = logging.getLogger(__name__)

LAST, BEST = "last", "best"
"""Names of the checkpoints."""


class Lesson(pl.LightningModule):
    """One step of training, one of checking, and the optimizer.

    Args:
        model: what learns.
        config: the recipe.
        classes: labels.
        flow: whether the model gets flow.
        identity: what a checkpoint must agree in to be continued; plain values.
    """

    def __init__(
        self, model: nn.Module, config: TrainConfig, classes: int, flow: bool, identity: dict[str, Any]
    ) -> None:
        super().__init__()
        self.model, self.config, self.classes, self.flow, self.identity = model, config, classes, flow, identity
        if config.train == "head":
            model.requires_grad_(False)
            head(model).requires_grad_(True)
        self.losses: list[Tensor] = []
        self._sums = torch.zeros(3)

    def train(self, mode: bool = True) -> Lesson:
        """Switch what learns to training; what is frozen stays as it is in use, statistics of norms included."""
        super().train(mode)
        if mode and self.config.train == "head":
            self.model.eval()
            head(self.model).train()
        return self

    def training_step(self, batch: Batch, number: int) -> Tensor:
        if number == 0:
            # Each epoch has its own seed, so that one that continues a checkpoint draws as if nothing had happened.
            torch.manual_seed((self.config.seed * 100_003 + self.current_epoch) * 1009 + self.global_rank)
            self.losses = []
        rgb, flow, label = batch
        target = nn.functional.one_hot(label, self.classes).float()
        rgb, flow, target = mix(rgb, flow, target, self.config.mixup, self.config.cutmix)
        logits = self.model(rgb, flow if self.flow else None).logits.float()
        loss = nn.functional.cross_entropy(logits, target, label_smoothing=self.config.label_smoothing)
        self.losses.append(loss.detach())
        self.log("loss", loss.detach(), prog_bar=True, on_step=True, on_epoch=True, batch_size=len(rgb))
        return loss

    def on_validation_epoch_start(self) -> None:
        self._sums = torch.zeros(3, device=self.device)

    def validation_step(self, batch: Batch, number: int) -> None:
        rgb, flow, label = batch
        logits = self.model(rgb, flow if self.flow else None).logits.float()
        loss = nn.functional.cross_entropy(logits, label, reduction="sum")
        right = (logits.argmax(1) == label).sum()
        self._sums += torch.stack([right.float(), loss, torch.ones_like(loss) * len(label)])

    def on_validation_epoch_end(self) -> None:
        right, loss, count = self.trainer.strategy.reduce(self._sums, reduce_op="sum").tolist()
        top1, loss = right / count, loss / count
        # Of equally many right the less surprised: small sets of clips have many ties.
        rank = top1 - 1e-4 * min(loss, 100.0)
        self.log_dict({"check_top1": top1, "check_loss": loss, "check_rank": rank})

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        if steps == 0:
            raise ConfigError("there are fewer clips than one batch for each process")
        optimizer = torch.optim.AdamW(groups(self.model, self.config), betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, self.config))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["fluxformer"] = self.identity


class RunningMean(WeightAveraging):
    """An exponential mean of the weights; its memory is short at first, or the random start would stay for long."""

    def __init__(self, memory: float) -> None:
        super().__init__(multi_avg_fn=self._follow)
        self._memory = memory

    @torch.no_grad()
    def _follow(self, mean: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
        weight = 1.0 - min(self._memory, (float(count) + 1) / (float(count) + 10))
        if mean[0].is_floating_point():
            torch._foreach_lerp_(list(mean), list(new), weight)  # as PyTorch's own averages do
        else:
            for old, value in zip(mean, new, strict=True):
                old.copy_(value)


class Pace(Callback):
    """Measures the training and says after every epoch how it goes."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._busy = 0.0
        self.seconds = self.waited = 0.0
        self.clips = self.epochs = 0
        self._started = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        self._busy = time.perf_counter() - self._loader.began

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Lesson)
        epoch, epochs = trainer.current_epoch + 1, pl_module.config.epochs
        clips = len(self._loader) * pl_module.config.batch * trainer.world_size
        self.seconds += self._busy
        self.waited += self._loader.waited
        self.clips += clips
        self.epochs += 1
        pl_module.log_dict({"clips_per_second": clips / self._busy, "waiting": self._loader.waited / self._busy})
        top1 = trainer.callback_metrics.get("check_top1") if epoch % pl_module.config.checks_every == 0 else None
        left = (time.monotonic() - self._started) / self.epochs * (epochs - epoch) / 60
        if trainer.is_global_zero:
            log.info(
                "epoch %d/%d: loss %.3f%s, %.0f clips/s, %.0f %% of the time waiting for data, %.0f min left",
                epoch,
                epochs,
                torch.stack(pl_module.losses).mean(),
                "" if top1 is None else f", accuracy {float(top1):.1%}",
                clips / self._busy,
                100 * self._loader.waited / self._busy,
                left,
            )


def head(model: nn.Module) -> nn.Module:
    """The layer that classifies."""
    return model.get_submodule("head")


def groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters by rate and decay: norms, biases and gates do not decay, the head may learn faster than the rest."""
    of_head = {id(p) for p in head(model).parameters()}
    rates: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = 1.0 if id(parameter) in of_head else config.backbone_rate
            decay = config.weight_decay if parameter.ndim > 1 and not name.endswith("bias") else 0.0
            rates.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": config.learning_rate * factor, "weight_decay": decay}
        for (factor, decay), parameters in rates.items()
    ]


def rate(step: int, steps: int, config: TrainConfig) -> float:
    """The learning rate at a step, as a share of the peak."""
    warm = (step + 1) / max(config.warmup * steps / config.epochs, 1.0)
    return min(1.0, warm) * (0.5 + 0.5 * math.cos(math.pi * min(step / steps, 1.0)))


def fit(lesson: Lesson, loader: Loader, check: Loader | None, folder: Path) -> tuple[Pace, torch.device]:
    """Train, continuing what the folder holds.

    Args:
        lesson: what to learn and how.
        loader: training clips.
        check: clips that are only checked on.
        folder: gets the checkpoints and logs.

    Returns:
        How fast it went, and on which device; the lesson itself is back on the processor.
    """
    last, pace = folder / f"{LAST}.ckpt", Pace(loader)
    lesson.train()  # Lightning leaves the mode as it finds it
    with _quiet():
        trainer = _trainer(lesson, pace, folder, checked=check is not None)
        try:
            trainer.fit(lesson, loader, check, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        except SystemExit:
            raise KeyboardInterrupt from None  # Lightning leaves in its own way when it is interrupted
    return pace, trainer.strategy.root_device


def _trainer(lesson: Lesson, pace: Pace, folder: Path, *, checked: bool) -> pl.Trainer:
    config = lesson.config
    assert config.precision != "auto"  # `train` has decided
    settings: dict[str, Any] = {"save_top_k": 1, "enable_version_counter": False, "dirpath": folder}
    callbacks: list[Callback] = [RunningMean(config.average), pace]
    if checked:
        callbacks.append(ModelCheckpoint(filename=BEST, monitor="check_rank", mode="max", **settings))
    # After the best: what is continued must know of it, or an epoch that was worse takes its place.
    callbacks.append(ModelCheckpoint(filename=LAST, save_on_train_epoch_end=True, **settings))
    watched = sys.stderr.isatty()
    if watched:
        callbacks.append(TQDMProgressBar(leave=False))
    loggers: list[Logger] = [CSVLogger(folder, name="logs", flush_logs_every_n_steps=1000)]
    if find_spec("tensorboard") or find_spec("tensorboardX"):
        loggers.append(TensorBoardLogger(folder, name="tensorboard"))
    # torchrun has decided how many processes there are.
    here, world = (int(os.environ.get(name, "0")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return pl.Trainer(
        accelerator=config.accelerator,
        devices=here or config.devices,
        num_nodes=world // here if here else 1,
        strategy="ddp" if world > 1 else "auto",
        precision=config.precision,
        max_epochs=config.epochs,
        check_val_every_n_epoch=config.checks_every,
        gradient_clip_val=config.clip_gradient,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=10,
        logger=loggers,
        callbacks=callbacks,
        enable_progress_bar=watched,
        enable_model_summary=False,
        default_root_dir=folder,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice, which is for who writes a training and not for who runs one."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def identity(config: TrainConfig, model: nn.Module, clips: int, labels: Sequence[str]) -> dict[str, Any]:
    """What a checkpoint must agree in to be continued, as plain values."""
    free = ("workers", "accelerator", "devices")
    recipe = {k: v for k, v in asdict(config).items() if k not in free}
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    return json.loads(json.dumps({**recipe, "model": shapes, "clips": clips, "labels": list(labels)}, default=str))  # type: ignore[no-any-return]
