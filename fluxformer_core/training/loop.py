"""The training loop on Lightning: moving average of the weights, checks, checkpoints, logs and throughput."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import Tensor

from fluxformer_core.training.loading import Loader
from fluxformer_core.training.module import ActionModule

log = logging.getLogger(__name__)

LAST, BEST = "last", "best"
"""Names of the checkpoints."""


class EMA(WeightAveraging):
    """Exponential moving average of the weights. The decay starts small, so that the random start is soon forgotten."""

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=self._follow)
        self._decay = decay

    @torch.no_grad()
    def _follow(self, mean: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
        weight = 1.0 - min(self._decay, (float(count) + 1) / (float(count) + 10))
        if mean[0].is_floating_point():
            torch._foreach_lerp_(list(mean), list(new), weight)  # as PyTorch's own averages
        else:
            for old, value in zip(mean, new, strict=True):
                old.copy_(value)


class ThroughputCallback(Callback):
    """Measures clips per second and the time spent waiting for data, and logs both after every epoch."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._busy = self.seconds = self.waited = 0.0
        self.clips = self.epochs = 0
        self._started = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        self._busy = time.perf_counter() - self._loader.began

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ActionModule)
        epoch, epochs = trainer.current_epoch + 1, pl_module.config.epochs
        clips = len(self._loader) * pl_module.config.batch * trainer.world_size
        self.seconds, self.waited = self.seconds + self._busy, self.waited + self._loader.waited
        self.clips, self.epochs = self.clips + clips, self.epochs + 1
        speed, waiting = clips / self._busy, self._loader.waited / self._busy
        pl_module.log_dict({"clips_per_second": speed, "waiting": waiting})
        top1 = trainer.callback_metrics.get("check_top1") if epoch % pl_module.config.checks_every == 0 else None
        left = (time.monotonic() - self._started) / self.epochs * (epochs - epoch) / 60
        if trainer.is_global_zero:
            result = f"loss {torch.stack(pl_module.losses).mean():.3f}"
            result += "" if top1 is None else f", accuracy {float(top1):.1%}"
            rate = f"{speed:.0f} clips/s, {100 * waiting:.0f} % of the time waiting for data"
            log.info("epoch %d/%d: %s, %s, %.0f min left", epoch, epochs, result, rate, left)


def fit(
    module: ActionModule, loader: Loader, check: Loader | None, folder: Path
) -> tuple[ThroughputCallback, torch.device]:
    """Train, continuing what the folder of checkpoints and logs holds.

    Returns:
        The measured throughput, and the device; the module itself is back on the CPU.
    """
    last, throughput = folder / f"{LAST}.ckpt", ThroughputCallback(loader)
    module.train()  # Lightning does not change the mode
    with _quiet():
        trainer = _trainer(module, throughput, folder, checked=check is not None)
        try:
            trainer.fit(module, loader, check, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        except SystemExit:
            raise KeyboardInterrupt from None  # Lightning exits when it is interrupted
    return throughput, trainer.strategy.root_device


def _trainer(module: ActionModule, throughput: ThroughputCallback, folder: Path, *, checked: bool) -> pl.Trainer:
    config = module.config
    assert config.precision != "auto"  # `train` has replaced auto
    settings: dict[str, Any] = {"save_top_k": 1, "enable_version_counter": False, "dirpath": folder}
    callbacks: list[Callback] = [EMA(config.ema_decay), throughput]
    if checked:
        callbacks.append(ModelCheckpoint(filename=BEST, monitor="check_rank", mode="max", **settings))
    # The last checkpoint is written after the best and holds the best score, which a continued training must know.
    callbacks.append(ModelCheckpoint(filename=LAST, save_on_train_epoch_end=True, **settings))
    watched = sys.stderr.isatty()
    if watched:
        callbacks.append(TQDMProgressBar(leave=False))
    loggers: list[Logger] = [CSVLogger(folder, name="logs", flush_logs_every_n_steps=1000)]
    if find_spec("tensorboard") or find_spec("tensorboardX"):
        loggers.append(TensorBoardLogger(folder, name="tensorboard"))
    # Under torchrun, the environment tells the number of processes.
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
    """Hide Lightning's advice to authors of trainings."""
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
