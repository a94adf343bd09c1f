"""Torch-TensorRT, ahead of time: one engine for the whole net, built on the device on which it is to run.

TensorRT is strongly typed: the precision is that of the graph. Norms stay in float32, whose range a sum of squares may
need; everything else is in the precision that was asked for.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.backends.base import DTYPES, Backend, Engine, Order, Precision, tensors_of
from fluxformer_core.backends.export import export
from fluxformer_core.errors import BackendError

_ENGINE = "engine.pt2"

SETTINGS: dict[str, Any] = {
    "require_full_compilation": True,  # what it cannot take would otherwise run in PyTorch, slowly and silently
    "min_block_size": 1,
    "attn_bias_is_causal": False,  # the default may take a table of positions for a causal mask
}
"""For `torch_tensorrt.dynamo.compile`, which swallows keywords that it does not know: see `unknown_settings`."""


class TensorRtBackend(Backend):
    """Torch-TensorRT on a CUDA GPU."""

    name: ClassVar[str] = "tensorrt"
    compiles = True

    def probe(self, precision: Precision) -> str | None:
        """Import it, look for a GPU, and let TensorRT make a builder."""
        try:
            import tensorrt
            import torch_tensorrt
        except ImportError as error:
            return f"{error}: install torch-tensorrt of the release that goes with torch {torch.__version__}"
        except OSError as error:  # a library that does not load
            return str(error)
        if not torch.cuda.is_available():
            return "PyTorch sees no CUDA GPU"
        if unknown := unknown_settings(torch_tensorrt.dynamo.compile):
            return f"torch_tensorrt {torch_tensorrt.__version__} does not know {', '.join(unknown)}"
        if precision == "bf16" and not torch.cuda.is_bf16_supported():
            return f"{torch.cuda.get_device_name()} does not compute in bf16"
        try:
            tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))
        except Exception as error:  # another program's front end
            return f"TensorRT does not start: {str(error).partition(chr(10))[0]}"
        return None

    def identity(self) -> dict[str, str]:
        """All that an engine is bound to: TensorRT's version, CUDA's, and the GPU."""
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

    def build(self, order: Order, folder: Path) -> None:
        """Compile the net into one engine and save it: minutes.

        Raises:
            BackendError: if it cannot be compiled whole.
        """
        import torch_tensorrt

        net = typed(order.net().eval(), order.precision).cuda()
        program = export(net, order)
        examples = tuple(x.to("cuda", DTYPES[order.precision]) for x in order.noise())
        try:
            compiled = torch_tensorrt.dynamo.compile(program, inputs=self._inputs(order), **SETTINGS)
            torch_tensorrt.save(
                compiled, str(folder / _ENGINE), output_format="exported_program", arg_inputs=list(examples)
            )
        except Exception as error:  # another program's compiler
            reason = str(error).strip().partition("\n")[0]
            raise BackendError(f"TensorRT cannot take {order.name}: {reason}") from error

    def load(self, order: Order, folder: Path) -> Engine:
        """Read the engine and record a pass as a CUDA graph.

        Raises:
            BackendError: if it cannot be read.
        """
        import torch_tensorrt

        try:
            program = torch_tensorrt.load(str(folder / _ENGINE))
        except Exception as error:  # what a foreign engine leads to is not to be foreseen
            raise BackendError(f"TensorRT cannot load it: {str(error).strip().partition(chr(10))[0]}") from error
        return _TensorRtEngine(self.name, order, program.module())

    def _inputs(self, order: Order) -> list[Any]:
        import torch_tensorrt

        dtype = DTYPES[order.precision]
        if order.batch == 1:
            return [torch_tensorrt.Input(shape, dtype=dtype) for shape in order.shapes]
        return [
            torch_tensorrt.Input(min_shape=shape, opt_shape=shape, max_shape=(order.batch, *shape[1:]), dtype=dtype)
            for shape in order.shapes
        ]


class _TensorRtEngine(Engine):
    def __init__(self, backend: str, order: Order, net: Any) -> None:
        super().__init__(backend, order, f"cuda ({torch.cuda.get_device_name()})", order.batch)
        self._net, self._dtype = net, DTYPES[order.precision]

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        outputs = self._net(*(x.to("cuda", self._dtype) for x in inputs))
        return tuple(x.float().cpu() for x in tensors_of(outputs))


class _WideNorm(nn.LayerNorm):
    """Layer norm in float32 amid a net of half precision."""

    def forward(self, input: Tensor) -> Tensor:
        weight = None if self.weight is None else self.weight.float()
        bias = None if self.bias is None else self.bias.float()
        return F.layer_norm(input.float(), self.normalized_shape, weight, bias, self.eps).to(input.dtype)


def typed(net: nn.Module, precision: Precision) -> nn.Module:
    """A net in a precision, its layer norms aside; changes the net that it is given."""
    if precision == "fp32":
        return net
    for part in net.modules():
        if type(part) is nn.LayerNorm:
            part.__class__ = _WideNorm
    return net.to(DTYPES[precision])


def unknown_settings(compiler: Any) -> list[str]:
    """Those of SETTINGS that this release's compiler would swallow without a word."""
    return sorted(SETTINGS.keys() - inspect.signature(compiler).parameters.keys())
