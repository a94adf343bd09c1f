"""The TensorRT backend: Torch-TensorRT compiles the whole net ahead of time, on the GPU that will run the engine.

TensorRT is strongly typed: each operation runs in the precision that the graph states. Layer norms stay in float32
because a sum of squares may leave the range of float16; all other operations run in the requested precision.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.backends.base import DTYPES, Backend, BuildRequest, InferencePrecision, LoadedNet, tensors_of
from fluxformer_core.backends.export import export
from fluxformer_core.errors import BackendError, first_line

_ENGINE = "engine.pt2"

SETTINGS: dict[str, Any] = {
    "require_full_compilation": True,  # otherwise PyTorch runs what TensorRT cannot compile, slowly and silently
    "min_block_size": 1,
    "attn_bias_is_causal": False,  # with the default, TensorRT may treat a position bias as a causal mask
}
"""Keywords for `torch_tensorrt.dynamo.compile`, which ignores unknown keywords: see `unknown_settings`."""


class TensorRtBackend(Backend):
    """Torch-TensorRT on a CUDA GPU."""

    name: ClassVar[str] = "tensorrt"
    compiles = True

    def probe(self, precision: InferencePrecision) -> str | None:
        """Import the libraries, look for a GPU, and let TensorRT create a builder."""
        try:
            import tensorrt
            import torch_tensorrt
        except ImportError as error:
            return f"{error}: install torch-tensorrt of the release that goes with torch {torch.__version__}"
        except OSError as error:  # a shared library cannot be loaded
            return str(error)
        if not torch.cuda.is_available():
            return "PyTorch sees no CUDA GPU"
        if unknown := unknown_settings(torch_tensorrt.dynamo.compile):
            return f"torch_tensorrt {torch_tensorrt.__version__} does not know {', '.join(unknown)}"
        if precision == "bf16" and not torch.cuda.is_bf16_supported():
            return f"{torch.cuda.get_device_name()} does not compute in bf16"
        try:
            tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))
        except Exception as error:  # TensorRT raises errors of many types
            return f"TensorRT does not start: {first_line(error)}"
        return None

    def identity(self) -> dict[str, str]:
        """Versions of TensorRT, PyTorch and CUDA, and the GPU: an engine is bound to all of them."""
        import tensorrt
        import torch_tensorrt

        return {
            "tensorrt": tensorrt.__version__,
            "torch_tensorrt": torch_tensorrt.__version__,
            "torch": torch.__version__,
            "cuda": str(torch.version.cuda),
            "device": torch.cuda.get_device_name(),
            "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        }

    def build(self, request: BuildRequest, folder: Path) -> None:
        """Compile the whole net into one engine, which takes minutes."""
        import torch_tensorrt

        net = typed(request.net().eval(), request.precision).cuda()
        program = export(net, request)
        dtype = DTYPES[request.precision]
        examples = [x.to("cuda", dtype) for x in request.noise()]
        try:
            inputs = [torch_tensorrt.Input(shape, dtype=dtype) for shape in request.shapes]
            if request.batch > 1:
                inputs = [
                    torch_tensorrt.Input(min_shape=one, opt_shape=one, max_shape=(request.batch, *one[1:]), dtype=dtype)
                    for one in request.shapes
                ]
            compiled = torch_tensorrt.dynamo.compile(program, inputs=inputs, **SETTINGS)
            torch_tensorrt.save(compiled, str(folder / _ENGINE), output_format="exported_program", arg_inputs=examples)
        except Exception as error:  # the compiler raises errors of many types
            raise BackendError(f"TensorRT cannot compile {request.name}: {first_line(error)}") from error

    def load(self, request: BuildRequest, folder: Path) -> LoadedNet:
        import torch_tensorrt

        try:
            program = torch_tensorrt.load(str(folder / _ENGINE))
        except Exception as error:  # loading a foreign engine raises errors of many types
            raise BackendError(f"TensorRT cannot load the engine: {first_line(error)}") from error
        return _TensorRtNet(self.name, request, program.module())


class _TensorRtNet(LoadedNet):
    def __init__(self, backend: str, request: BuildRequest, net: Any) -> None:
        super().__init__(backend, request, f"cuda ({torch.cuda.get_device_name()})")
        self._net, self._dtype = net, DTYPES[request.precision]

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        outputs = self._net(*(x.to("cuda", self._dtype) for x in inputs))
        return tuple(x.float().cpu() for x in tensors_of(outputs))


class _WideNorm(nn.LayerNorm):
    """A layer norm that computes in float32 inside a net of half precision."""

    def forward(self, input: Tensor) -> Tensor:
        weight = None if self.weight is None else self.weight.float()
        bias = None if self.bias is None else self.bias.float()
        return F.layer_norm(input.float(), self.normalized_shape, weight, bias, self.eps).to(input.dtype)


def typed(net: nn.Module, precision: InferencePrecision) -> nn.Module:
    """Convert a net to a precision, in place; layer norms keep computing in float32."""
    if precision == "fp32":
        return net
    for part in net.modules():
        if type(part) is nn.LayerNorm:
            part.__class__ = _WideNorm
    return net.to(DTYPES[precision])


def unknown_settings(compiler: Any) -> list[str]:
    """Names in SETTINGS that this release of the compiler would silently ignore."""
    return sorted(SETTINGS.keys() - inspect.signature(compiler).parameters.keys())
