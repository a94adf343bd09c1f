"""How a net is run: the words and the protocol that every backend shares."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from fluxformer_core.errors import ConfigError

BackendName = Literal["auto", "torch", "cuda", "openvino", "tensorrt"]
"""`torch` is eager PyTorch on the CPU, `cuda` the same on a GPU; `auto` takes the fastest that works."""

Precision = Literal["fp32", "fp16", "bf16"]
"""Of the arithmetic; what goes in and comes out is float32 everywhere."""

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

MOST_BATCH = 64
"""Clips at once that an engine may be built for."""


@dataclass(frozen=True, eq=False)
class Order:
    """A net that is to be run, and for what.

    Raises:
        ConfigError: if the batch is outside its range.
    """

    name: str  # of the net, for people and for the cache
    digest: str  # of its weights; empty: an engine of it cannot be recognised again, so it is not kept
    net: Callable[[], nn.Module]  # makes the net: on the CPU, float32, in evaluation mode
    shapes: tuple[tuple[int, ...], ...]  # of each input, batch 1
    examples: Callable[[], Sequence[tuple[Tensor, ...]]]  # inputs, batch 1, on which an engine is held against the net
    precision: Precision = "fp32"
    batch: int = 1  # inputs at once, at most; 1 fixes every shape
    threads: int = field(default_factory=torch.get_num_threads)  # of one pass on a CPU

    def __post_init__(self) -> None:
        if self.precision not in DTYPES:
            raise ConfigError(f"precision must be one of {', '.join(DTYPES)}, not {self.precision!r}")
        if not 1 <= self.batch <= MOST_BATCH:
            raise ConfigError(f"batch must be within 1 .. {MOST_BATCH}, not {self.batch}")

    def noise(self, batch: int = 1) -> tuple[Tensor, ...]:
        """Inputs that mean nothing, always the same: for exports and clocks."""
        generator = torch.Generator().manual_seed(0)
        return tuple(torch.rand(batch, *shape[1:], generator=generator) for shape in self.shapes)


class Engine(ABC):
    """A net that is ready to run; from any thread, one call at a time.

    Args:
        backend: name of what runs it.
        order: what it was made for.
        device: in words, for people.
        most: inputs at once; larger batches are worked through in parts.
    """

    def __init__(self, backend: str, order: Order, device: str, most: int) -> None:
        self.backend, self.precision, self.device, self.most = backend, order.precision, device, most
        self._lock = threading.Lock()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run float32 CPU tensors, each (B, ...), through the net: its outputs, as float32 CPU tensors (B, ...)."""
        parts = list(zip(*(x.split(self.most) for x in inputs), strict=True))
        with self._lock, torch.inference_mode():
            done = [self._run(part) for part in parts]
        return done[0] if len(done) == 1 else tuple(torch.cat(column) for column in zip(*done, strict=True))

    @abstractmethod
    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Run one batch of at most `most`."""


class Backend(ABC):
    """One way to run nets.

    Attributes:
        name: as settings have it.
        compiles: whether building takes so long that the result is kept on disk.
    """

    name: ClassVar[str]
    compiles: ClassVar[bool]

    @abstractmethod
    def probe(self, precision: Precision) -> str | None:
        """Really try it: why it cannot be used here, in words; None if it can."""

    @abstractmethod
    def identity(self) -> dict[str, str]:
        """Versions and device on which an engine depends; only after a successful probe."""

    @abstractmethod
    def build(self, order: Order, folder: Path) -> None:
        """Compile a net into files in an empty folder.

        Raises:
            BackendError: if it cannot be compiled.
        """

    @abstractmethod
    def load(self, order: Order, folder: Path) -> Engine:
        """Make what was built ready to run.

        Raises:
            BackendError: if it cannot be.
        """


def tensors_of(outputs: Any) -> tuple[Tensor, ...]:
    """A net's outputs as a tuple, whether it gives one tensor or several."""
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
