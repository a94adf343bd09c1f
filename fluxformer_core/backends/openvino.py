"""OpenVINO: graphs optimised for CPUs. An optional extra: pip install 'fluxformer[openvino]'."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fluxformer_core.backends.base import Backend, Engine, Order, Precision
from fluxformer_core.backends.export import export
from fluxformer_core.errors import BackendError

_GRAPH = "engine.xml"  # and engine.bin, its weights, beside it
_DEVICE = "CPU"
_HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}

log = logging.getLogger(__name__)


class OpenVinoBackend(Backend):
    """OpenVINO's CPU plugin."""

    name: ClassVar[str] = "openvino"
    compiles = True

    def probe(self, precision: Precision) -> str | None:
        """Compile and run an addition; ask whether the processor has the precision."""
        try:
            import openvino
            from openvino import opset13 as ops
        except ImportError as error:
            return f"{error}: pip install 'fluxformer[openvino]'"
        except OSError as error:  # a library that does not load
            return str(error)
        try:
            x = ops.parameter([4], np.float32)
            core = _core()
            compiled = core.compile_model(openvino.Model([ops.add(x, x)], [x]), _DEVICE)
            if compiled(np.ones(4, np.float32))[0].tolist() != [2.0] * 4:
                return "OpenVINO adds wrongly here"
            able = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
        except RuntimeError as error:
            return str(error).strip().partition("\n")[0]
        wanted = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}[precision]
        return None if wanted in able else f"OpenVINO does not compute in {precision} on this processor"

    def identity(self) -> dict[str, str]:
        """OpenVINO's version, the exporter's and the processor."""
        import openvino

        return {"openvino": openvino.get_version(), "torch": torch.__version__, "device": _processor()}

    def build(self, order: Order, folder: Path) -> None:
        """Export the net and write it as OpenVINO has graphs.

        Raises:
            BackendError: if it cannot be exported or converted.
        """
        import openvino

        program = export(order.net().eval(), order)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the converter's, about its own use of torch
                model = openvino.convert_model(program)
            if order.batch == 1:
                model.reshape({port: list(shape) for port, shape in zip(model.inputs, order.shapes, strict=True)})
            openvino.save_model(model, folder / _GRAPH, compress_to_fp16=False)
        except Exception as error:  # as above: another program's front end
            reason = str(error).strip().partition("\n")[0]
            raise BackendError(f"OpenVINO cannot take {order.name}: {reason}") from error

    def load(self, order: Order, folder: Path) -> Engine:
        """Compile the graph for this processor.

        Raises:
            BackendError: if the graph cannot be read.
        """
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": order.threads,
            "INFERENCE_PRECISION_HINT": _HINTS[order.precision],
            # Threads that are tied to a core wait for whatever else runs there.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = _core().compile_model(folder / _GRAPH, _DEVICE, settings)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO cannot load it: {str(error).strip().partition(chr(10))[0]}") from error
        return _OpenVinoEngine(self.name, order, compiled)


class _OpenVinoEngine(Engine):
    def __init__(self, backend: str, order: Order, compiled: Any) -> None:
        super().__init__(backend, order, "cpu", order.batch)
        self._request = compiled.create_infer_request()

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        # Inputs are read where they lie; outputs are copied, for the next pass writes to the same place.
        given = {i: x.contiguous().numpy() for i, x in enumerate(inputs)}
        results = self._request.infer(given, share_inputs=True)
        return tuple(torch.from_numpy(np.array(results[i])) for i in range(len(results)))


@cache
def _core() -> Any:
    """The one Core of the process, kept to its end.

    Its CPU plugin gives the thread that loads it a stack for signals, and takes that away with the last engine. If
    another thread lets go of that engine, the first one keeps a stack that is no more, and dies of its next signal.
    """
    import openvino

    return openvino.Core()


def _processor() -> str:
    return str(_core().get_property(_DEVICE, "FULL_DEVICE_NAME")).strip()
