"""Backends by name, and which of them `auto` considers."""

from __future__ import annotations

from typing import get_args

from fluxformer_core.backends.base import Backend, BackendName
from fluxformer_core.backends.openvino import OpenVinoBackend
from fluxformer_core.backends.tensorrt import TensorRtBackend
from fluxformer_core.backends.torch import CudaBackend, TorchBackend
from fluxformer_core.errors import ConfigError

_BACKENDS: dict[str, type[Backend]] = {
    backend.name: backend for backend in (TorchBackend, CudaBackend, OpenVinoBackend, TensorRtBackend)
}


def list_backends() -> list[str]:
    """Names that settings may have, `auto` first."""
    return list(get_args(BackendName))


def create_backend(name: str) -> Backend:
    """A backend, which may turn out not to work here: ask its probe.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in _BACKENDS:
        raise ConfigError(f"there is no backend {name!r}; known are {', '.join(_BACKENDS)}")
    return _BACKENDS[name]()


def candidates() -> tuple[Backend, ...]:
    """What `auto` tries: those for the GPU where there is one, else those for the processor."""
    gpu, cpu = (CudaBackend, TensorRtBackend), (TorchBackend, OpenVinoBackend)
    return tuple(backend() for backend in (gpu if CudaBackend().probe("fp32") is None else cpu))
