"""The PyTorch backends, on the CPU or on a CUDA GPU. On the GPU, a pass of batch 1 is replayed as a CUDA graph."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fluxformer_core.backends.base import DTYPES, Backend, BuildRequest, InferencePrecision, LoadedNet, tensors_of
from fluxformer_core.errors import first_line

_WARM_UP = 3  # passes before a graph is captured, in which PyTorch selects kernels and reserves memory


class TorchBackend(Backend):
    """PyTorch without compilation, on the CPU."""

    name: ClassVar[str] = "torch"
    compiles = False
    device: ClassVar[Literal["cpu", "cuda"]] = "cpu"

    def probe(self, precision: InferencePrecision) -> str | None:
        """Multiply two small matrices in the precision."""
        if self.device == "cuda" and not torch.cuda.is_available():
            return "PyTorch sees no CUDA GPU" if torch.version.cuda else "this PyTorch is built without CUDA"
        try:
            x = torch.ones(16, 16, dtype=DTYPES[precision], device=self.device)
            wrong = bool((x @ x != 16).any())
        except RuntimeError as error:
            return first_line(error)
        return f"{self.device} multiplies wrongly in {precision}" if wrong else None

    def identity(self) -> dict[str, str]:
        return {"torch": torch.__version__, "device": self._device_name()}

    def build(self, request: BuildRequest, folder: Path) -> None:
        """Do nothing: this backend compiles nothing."""

    def load(self, request: BuildRequest, folder: Path) -> LoadedNet:
        return _TorchNet(self.name, request, self.device, self._device_name())

    def _device_name(self) -> str:
        return f"cuda ({torch.cuda.get_device_name()})" if self.device == "cuda" else "cpu"


class CudaBackend(TorchBackend):
    """PyTorch without compilation, on a CUDA GPU."""

    name: ClassVar[str] = "cuda"
    device: ClassVar[Literal["cpu", "cuda"]] = "cuda"


class _TorchNet(LoadedNet):
    def __init__(self, backend: str, request: BuildRequest, device: str, device_name: str) -> None:
        super().__init__(backend, request, device_name)
        self._device, self._dtype = device, DTYPES[request.precision]
        # The weights keep their memory format. With channels-last weights, the few dense convolutions of these nets
        # were not faster on a CPU, and the token pooling uses channels-last tensors already.
        self._net = request.net().eval().to(device, self._dtype)
        self._graph = _Graph(self, request.noise()) if device == "cuda" else None

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self._graph is not None and inputs[0].shape == self._graph.shape:
            outputs = self._graph.replay(inputs)
        else:
            outputs = self.forward(tuple(x.to(self._device, self._dtype) for x in inputs))
        return tuple(x.float().cpu() for x in outputs)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Run tensors that are on the device already."""
        with _without_tf32(self._dtype):
            return tensors_of(self._net(*inputs))


def _without_tf32(dtype: torch.dtype) -> AbstractContextManager[None]:
    """Compute float32 convolutions in float32.

    cuDNN's default, TF32, keeps 10 bits of the mantissa; GMFlow's matching turns that into an error of 4 % (H200).
    """
    if dtype != torch.float32:
        return nullcontext()
    cudnn = torch.backends.cudnn
    kept = {"benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
    return cudnn.flags(enabled=cudnn.enabled, allow_tf32=False, **kept)


class _Graph:
    """A recorded forward pass on a GPU: replaying the graph costs one launch instead of hundreds."""

    def __init__(self, net: _TorchNet, example: tuple[Tensor, ...]) -> None:
        self.shape = example[0].shape
        self._inputs = tuple(x.to(net._device, net._dtype) for x in example)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                net.forward(self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self._graph):
            self._outputs = net.forward(self._inputs)

    def replay(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The outputs for these inputs. The next call overwrites them."""
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given)
        self._graph.replay()
        return self._outputs
