"""The words and the interfaces that all backends share: a request, a loaded net, a backend."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor, nn

from fluxformer_core.declared import check

BackendName = Literal["auto", "torch", "cuda", "openvino", "tensorrt"]
"""`torch` is PyTorch on the CPU, `cuda` is PyTorch on a GPU, `auto` chooses the fastest backend that works."""

InferencePrecision = Literal["fp32", "fp16", "bf16"]
"""Precision of the arithmetic inside a net; inputs and outputs are float32 in every case."""

DTYPES: dict[InferencePrecision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MAX_BATCH = 64  # largest batch that a net may be built for


def list_backends() -> list[str]:
    """Names that settings may have, `auto` first."""
    return list(get_args(BackendName))


@dataclass(frozen=True, eq=False)
class BuildRequest:
    """A net and the conditions under which a backend shall run it.

    Raises:
        ConfigError: if the precision is unknown or the batch is outside its range.
    """

    name: str  # of the net, for messages and for the cache
    digest: str  # of the net's weights; empty: the cache does not keep what is built
    net: Callable[[], nn.Module]  # makes the net on the CPU, in float32 and evaluation mode
    shapes: tuple[tuple[int, ...], ...]  # of each input at batch 1
    examples: Callable[[], Sequence[tuple[Tensor, ...]]]  # makes inputs of batch 1 for the parity check
    precision: InferencePrecision = "fp32"
    batch: Annotated[int, Field(ge=1, le=MAX_BATCH)] = 1  # largest batch of one pass; 1 fixes every shape
    threads: int = field(default_factory=torch.get_num_threads)  # of one pass on a CPU

    def __post_init__(self) -> None:
        check(self)

    def noise(self, batch: int = 1) -> tuple[Tensor, ...]:
        """Random inputs, the same at each call, for exports and time measurements."""
        generator = torch.Generator().manual_seed(0)
        return tuple(torch.rand(batch, *shape[1:], generator=generator) for shape in self.shapes)


class LoadedNet(ABC):
    """A net that is ready to run. Any thread may call it; calls run one after another.

    `device` tells in words where the net runs. Batches larger than the request's batch are split.
    """

    def __init__(self, backend: str, request: BuildRequest, device: str) -> None:
        self.backend, self.precision, self.device, self.max_batch = backend, request.precision, device, request.batch
        self._lock = threading.Lock()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run float32 CPU tensors (B, ...) through the net and return its outputs as float32 CPU tensors (B, ...)."""
        parts = list(zip(*(x.split(self.max_batch) for x in inputs), strict=True))
        with self._lock, torch.inference_mode():
            done = [self._run(part) for part in parts]
        return done[0] if len(done) == 1 else tuple(torch.cat(column) for column in zip(*done, strict=True))

    @abstractmethod
    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Run one batch of at most `max_batch`."""


class Backend(ABC):
    """One way to run nets."""

    name: ClassVar[str]  # in settings
    compiles: ClassVar[bool]  # whether `build` takes so long that its result is kept on disk

    @abstractmethod
    def probe(self, precision: InferencePrecision) -> str | None:
        """Run a small computation; return None if it works, else the reason why the backend cannot be used here."""

    @abstractmethod
    def identity(self) -> dict[str, str]:
        """Versions and device on which an engine depends. Call this only after a successful probe."""

    @abstractmethod
    def build(self, request: BuildRequest, folder: Path) -> None:
        """Compile a net into files in an empty folder; a BackendError tells why the net cannot be compiled."""

    @abstractmethod
    def load(self, request: BuildRequest, folder: Path) -> LoadedNet:
        """Load what `build` wrote; a BackendError tells why the files cannot be loaded."""


def tensors_of(outputs: Any) -> tuple[Tensor, ...]:
    """A net's outputs as a tuple, also where the net returns a single tensor."""
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
