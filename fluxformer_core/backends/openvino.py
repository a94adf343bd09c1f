"""The OpenVINO backend: graphs optimised for CPUs. OpenVINO is an extra: pip install 'fluxformer[openvino]'."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fluxformer_core.backends.base import Backend, BuildRequest, InferencePrecision, LoadedNet
from fluxformer_core.backends.export import export
from fluxformer_core.errors import BackendError, first_line

_GRAPH = "engine.xml"  # OpenVINO writes the weights to engine.bin beside this file
_DEVICE = "CPU"
_HINTS: dict[InferencePrecision, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}

log = logging.getLogger(__name__)


class OpenVinoBackend(Backend):
    """OpenVINO's CPU plugin."""

    name: ClassVar[str] = "openvino"
    compiles = True

    def probe(self, precision: InferencePrecision) -> str | None:
        """Compile and run an addition, and check that the processor supports the precision."""
        try:
            import openvino
            from openvino import opset13 as ops
        except ImportError as error:
            return f"{error}: pip install 'fluxformer[openvino]'"
        except OSError as error:  # a shared library cannot be loaded
            return str(error)
        try:
            x = ops.parameter([4], np.float32)
            core = _core()
            compiled = core.compile_model(openvino.Model([ops.add(x, x)], [x]), _DEVICE)
            if compiled(np.ones(4, np.float32))[0].tolist() != [2.0] * 4:
                return "OpenVINO adds wrongly here"
            able = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
        except RuntimeError as error:
            return first_line(error)
        wanted = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}[precision]
        return None if wanted in able else f"OpenVINO does not compute in {precision} on this processor"

    def identity(self) -> dict[str, str]:
        import openvino

        return {"openvino": openvino.get_version(), "torch": torch.__version__, "device": _processor()}

    def build(self, request: BuildRequest, folder: Path) -> None:
        import openvino

        program = export(request.net().eval(), request)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the converter warns about its own use of torch
                model = openvino.convert_model(program)
            if request.batch == 1:
                model.reshape({port: list(shape) for port, shape in zip(model.inputs, request.shapes, strict=True)})
            openvino.save_model(model, folder / _GRAPH, compress_to_fp16=False)
        except Exception as error:  # the converter raises errors of many types
            raise BackendError(f"OpenVINO cannot convert {request.name}: {first_line(error)}") from error

    def load(self, request: BuildRequest, folder: Path) -> LoadedNet:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": request.threads,
            "INFERENCE_PRECISION_HINT": _HINTS[request.precision],
            # A thread that is pinned to a core waits for other programs on that core.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = _core().compile_model(folder / _GRAPH, _DEVICE, settings)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO cannot load the engine: {first_line(error)}") from error
        return _OpenVinoNet(self.name, request, compiled)


class _OpenVinoNet(LoadedNet):
    def __init__(self, backend: str, request: BuildRequest, compiled: Any) -> None:
        super().__init__(backend, request, "cpu")
        self._request = compiled.create_infer_request()

    def _run(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        # Inputs are shared without a copy. Outputs are copied because the next pass overwrites them.
        given = {i: x.contiguous().numpy() for i, x in enumerate(inputs)}
        results = self._request.infer(given, share_inputs=True)
        return tuple(torch.from_numpy(np.array(results[i])) for i in range(len(results)))


@cache
def _core() -> Any:
    """The only Core of the process, kept until the process ends.

    The CPU plugin gives the thread that loads the plugin an alternate signal stack, and frees that stack with the last
    engine. If another thread frees the last engine, the first thread keeps a dangling stack and crashes at its next
    signal.
    """
    import openvino

    return openvino.Core()


def _processor() -> str:
    return str(_core().get_property(_DEVICE, "FULL_DEVICE_NAME")).strip()
