"""What Lightning trains: the step with Mixup and CutMix, the check, the optimizer and its learning rates."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fluxformer_core.errors import ConfigError
from fluxformer_core.training.loading import Batch
from fluxformer_core.training.recipe import TrainConfig


class ActionModule(pl.LightningModule):
    """One step of training, one of checking, and the optimizer.

    `flow` tells whether the model gets flow. A checkpoint must have the same `identity` to be continued.
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

    def train(self, mode: bool = True) -> ActionModule:
        """Switch the parts that learn to training mode; frozen parts stay in evaluation mode, norms included."""
        super().train(mode)
        if mode and self.config.train == "head":
            self.model.eval()
            head(self.model).train()
        return self

    def training_step(self, batch: Batch, number: int) -> Tensor:
        if number == 0:
            # Each epoch has its own seed, so that a continued training draws the same numbers as an uninterrupted one.
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
        # Small sets of clips have many ties in accuracy, which the loss breaks.
        rank = top1 - 1e-4 * min(loss, 100.0)
        self.log_dict({"check_top1": top1, "check_loss": loss, "check_rank": rank})

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        if steps == 0:
            raise ConfigError("there are fewer clips than one batch for each process")
        optimizer = torch.optim.AdamW(param_groups(self.model, self.config), betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_lambda(step, steps, self.config))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["fluxformer"] = self.identity


def head(model: nn.Module) -> nn.Module:
    """The layer that classifies."""
    return model.get_submodule("head")


def param_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters by learning rate and weight decay: norms, biases and gates have none, the head may learn faster."""
    of_head = {id(p) for p in head(model).parameters()}
    rates: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = 1.0 if id(parameter) in of_head else config.backbone_rate
            decay = config.weight_decay if parameter.ndim > 1 and not name.endswith("bias") else 0.0
            rates.setdefault((factor, decay), []).append(parameter)
    rate = config.learning_rate
    return [{"params": some, "lr": rate * factor, "weight_decay": decay} for (factor, decay), some in rates.items()]


def lr_lambda(step: int, steps: int, config: TrainConfig) -> float:
    """The learning rate at a step, as a share of the peak."""
    warm = (step + 1) / max(config.warmup * steps / config.epochs, 1.0)
    return min(1.0, warm) * (0.5 + 0.5 * math.cos(math.pi * min(step / steps, 1.0)))


def mix(rgb: Tensor, flow: Tensor, target: Tensor, mixup: float, cutmix: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mix every clip with another clip of the batch, in one way and with one share for the whole batch.

    RGB and flow are (B, 3, T, S, S), the target's probabilities (B, classes). `mixup` and `cutmix` (which replaces a
    rectangle in all frames) are parameters of the Beta distribution of the share, 0 for none; two are equally likely.
    """
    if not mixup and not cutmix:
        return rgb, flow, target
    cut = bool(cutmix) and (not mixup or bool(torch.rand(()) < 0.5))
    alpha = torch.tensor(cutmix if cut else mixup)
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(rgb)).to(rgb.device)
    if not cut:
        return rgb.lerp(rgb[other], 1 - share), flow.lerp(flow[other], 1 - share), target.lerp(target[other], 1 - share)
    height, width = rgb.shape[-2:]
    side = (1 - share) ** 0.5
    row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
    top, bottom = (min(max(round(row + part * side * height / 2), 0), height) for part in (-1, 1))
    left, right = (min(max(round(column + part * side * width / 2), 0), width) for part in (-1, 1))
    rgb, flow = rgb.clone(), flow.clone()
    for clip in (rgb, flow):
        clip[..., top:bottom, left:right] = clip[other][..., top:bottom, left:right]
    replaced = (bottom - top) * (right - left) / (height * width)
    return rgb, flow, target.lerp(target[other], replaced)


def identity(config: TrainConfig, model: nn.Module, clips: int, labels: Sequence[str]) -> dict[str, Any]:
    """Plain values that a checkpoint must share to be continued."""
    free_to_change = ("workers", "accelerator", "devices")
    recipe = {k: v for k, v in asdict(config).items() if k not in free_to_change}
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    return json.loads(json.dumps({**recipe, "model": shapes, "clips": clips, "labels": list(labels)}, default=str))  # type: ignore[no-any-return]
