"""The recipe of a training, with defaults after the Fluxformer paper (RA-L 2023, section on implementation details)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from pydantic import Field

from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.declared import check

TrainingPrecision = Literal["auto", "bf16-mixed", "16-mixed", "32"]
"""Number format that training computes in."""

Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class TrainConfig:
    """The recipe.

    Raises:
        ConfigError: if a field is outside its range.
    """

    epochs: Count = 60
    batch: Count = 16  # clips per step and process
    learning_rate: Positive = 1e-3  # peak
    backbone_rate: NotNegative = 1.0  # factor on the learning rate of everything but the head
    train: Literal["all", "head", "none"] = "all"  # what learns; the rest is frozen, statistics of norms included
    warmup: NotNegative = 2.0  # epochs
    weight_decay: NotNegative = 0.05  # of matrices and kernels; norms, biases and gates have no weight decay
    label_smoothing: BelowOne = 0.1
    mixup: NotNegative = 0.0  # parameter of the Beta distribution; 0: no Mixup
    cutmix: NotNegative = 0.0  # parameter of the Beta distribution; with both, each batch gets one of the two
    clip_gradient: Positive = 1.0  # norm
    ema_decay: BelowOne = 0.998  # of the exponential moving average of the weights, which is what a training keeps
    precision: TrainingPrecision = "auto"  # auto: bfloat16 where the machine computes in bfloat16, else float32
    balanced: bool = False  # show every label of a source equally often
    shares: dict[str, float] = field(default_factory=dict)  # part of an epoch that a source of clips gets, by its name
    epoch_clips: Count | None = None  # clips of an epoch; None: as many as there are
    check_every: Count = 5  # epochs, at most
    keep: Literal["best", "last"] = "best"  # of the weights that were checked; without a check the last
    accelerator: str = "auto"
    devices: str = "auto"
    workers: Annotated[int, Field(ge=0)] = 1  # processes that prepare clips; 0: the training process prepares them
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        check(self)

    @property
    def checks_every(self) -> int:
        """Epochs between two checks: a divisor of `epochs`, so that the last is checked, of at most `check_every`."""
        return max(n for n in range(1, self.check_every + 1) if self.epochs % n == 0)


def fastest_precision(accelerator: str = "auto") -> TrainingPrecision:
    """The format in which this machine trains fastest at equal accuracy; emulated bfloat16 is many times slower."""
    if torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    return "bf16-mixed" if torch.backends.cpu.get_cpu_capability().startswith("AVX512") else "32"
