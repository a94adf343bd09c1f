"""Training from decoded clips: the recipe (SPEC 1.7 [R]) and what comes of it. The loop itself is Lightning's."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Literal

import torch

from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.errors import ConfigError

log = logging.getLogger(__name__)

Precision = Literal["auto", "bf16-mixed", "16-mixed", "32"]
"""What training computes in."""

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
