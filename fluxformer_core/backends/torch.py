"""Eager PyTorch, on the CPU or on a CUDA GPU. On the GPU, passes of one batch size are replayed as a CUDA graph."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fluxformer_core.backends.base import DTYPES, Backend, Engine, Order, Precision, tensors_of

_WARM_UP = 3  # passes before a graph is captured: kernels are chosen and memory is set aside meanwhile


class TorchBackend(Backend):
    """PyTorch as it is.

    Args:
        device: where it runs.
    """

    name: ClassVar[str] = "torch"
    compiles = False
    device: ClassVar[Literal["cpu", "cuda"]] = "cpu"

    def probe(self, precision: Precision) -> str | None:
        """Multiply two small matrices."""
        if self.device == "cuda" and not torch.cuda.is_available():
            return "PyTorch sees no CUDA GPU" if torch.version.cuda else "this PyTorch is built without CUDA"
        try:
            x = torch.ones(16, 16, dtype=DTYPES[precision], device=self.device)
            wrong = bool((x @ x != 16).any())
        except RuntimeError as error:
            return str(error).partition("\n")[0]
        return f"{self.device} multiplies wrongly in {precision}" if wrong else None

    def identity(self) -> dict[str, str]:
        """Torch's version and the device."""
        return {"torch": torch.__version__, "device": self._device_name()}

    def build(self, order: Order, folder: Path) -> None:
        """Nothing is compiled."""

    def load(self, order: Order, folder: Path) -> Engine:
        """Make the net and bring it to device and precision."""
        return _TorchEngine(self.name, order, self.device, self._device_name())

    def _device_name(self) -> str:
        return f"cuda ({torch.cuda.get_device_name()})" if self.device == "cuda" else "cpu"


class CudaBackend(TorchBackend):
    """PyTorch on a CUDA GPU."""

    name: ClassVar[str] = "cuda"
    device: ClassVar[Literal["cpu", "cuda"]] = "cuda"


class _TorchEngine(Engine):
    def __init__(self, backend: str, order: Order, device: str, device_name: str) -> None:
        super().__init__(backend, order, device_name, order.batch)
        self._device, self._dtype = device, DTYPES[order.precision]
        # Weights of convolutions stay as they are: channels last, the nets' few dense convolutions gained nothing on a
        # CPU, and what pools tokens keeps channels last by itself.
        self._net = order.net().eval().to(device, self._dtype)
        self._graph = _Graph(self, order.noise()) if device == "cuda" else None

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self._graph is not None and inputs[0].shape == self._graph.shape:
            outputs = self._graph.replay(inputs)
        else:
            outputs = self.forward(tuple(x.to(self._device, self._dtype) for x in inputs))
        return tuple(x.float().cpu() for x in outputs)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Run tensors that are on the device already."""
        with _in_full(self._dtype):
            return tensors_of(self._net(*inputs))


def _in_full(dtype: torch.dtype) -> AbstractContextManager[None]:
    """Convolutions of float32 in float32: cuDNN's TF32 keeps 10 bits, of which GMFlow's matching makes 4 % (H200)."""
    if dtype != torch.float32:
        return nullcontext()
    cudnn = torch.backends.cudnn
    kept = {"benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
    return cudnn.flags(enabled=cudnn.enabled, allow_tf32=False, **kept)


class _Graph:
    """One forward pass on a GPU, recorded: replaying it costs one launch instead of hundreds."""

    def __init__(self, engine: _TorchEngine, example: tuple[Tensor, ...]) -> None:
        self.shape = example[0].shape
        self._inputs = tuple(x.to(engine._device, engine._dtype) for x in example)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                engine.forward(self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self._graph):
            self._outputs = engine.forward(self._inputs)

    def replay(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The outputs for these inputs; overwritten by the next call."""
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given)
        self._graph.replay()
        return self._outputs
