"""Lets torch_tensorrt be imported without TensorRT, CUDA or a GPU, for its parts that are Python only.

Lowering, converter registry and partitioner work on graphs and never call TensorRT; they only name its classes and
constants when they are imported. Nothing can be built with this. It changes the interpreter for good: use it in a
process of its own.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import torch

TENSORRT = "11.0.0.114"  # the release that goes with torch_tensorrt 2.13
_CAPABILITY = (9, 0)
_MEMORY = 1 << 34


def _absent(name: str) -> bool:
    """Names that a real module may lack too: Python's own, and the one by which another product is recognised."""
    return name.startswith("__") or name == "tensorrt_rtx"


class _Names(type):
    """A class on which every name is one of its own instances, as in an enumeration."""

    def __getattr__(cls, name: str) -> Any:
        if _absent(name):
            raise AttributeError(name)
        member = cls(f"{cls.__name__}.{name}")
        setattr(cls, name, member)
        return member

    def __iter__(cls) -> Iterator[Any]:
        return iter(())


class _Constant(metaclass=_Names):
    """Stands for any constant, flag, object or function of TensorRT."""

    def __init__(self, name: str = "?", *_: Any, **__: Any) -> None:
        self.name = name

    def __repr__(self) -> str:
        return str(self.name)

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Constant) and other.name == self.name

    def __or__(self, other: object) -> _Constant:
        return self

    __ror__ = __and__ = __or__

    def __int__(self) -> int:
        return 0

    __index__ = __int__

    def __getattr__(self, name: str) -> Any:
        if _absent(name):
            raise AttributeError(name)
        return _Constant(f"{self.name}.{name}")

    def __call__(self, *_: Any, **__: Any) -> _Constant:
        return self


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if _absent(name):
            raise AttributeError(name)
        made = _Names(name, (_Constant,), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Answer what is asked of a GPU while graphs are prepared for it."""
    properties = SimpleNamespace(name="none", major=_CAPABILITY[0], minor=_CAPABILITY[1], total_memory=_MEMORY)
    answers: dict[str, Any] = {
        "get_device_capability": _CAPABILITY,
        "current_device": 0,
        "set_device": None,
        "get_device_properties": properties,
        "mem_get_info": (_MEMORY, _MEMORY),
        "synchronize": None,
        "empty_cache": None,
    }
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch(f"torch.cuda.{name}", mock.Mock(return_value=answer)))
        yield


def import_torch_tensorrt() -> ModuleType:
    """torch_tensorrt, on the stand-in and without its compiled runtime."""
    tensorrt = _Module("tensorrt")
    tensorrt.__version__ = TENSORRT
    tensorrt.__path__, tensorrt.__file__, tensorrt.__loader__ = [], "<no tensorrt>", None
    tensorrt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    tensorrt.tensorrt = tensorrt  # it names its compiled part, too
    sys.modules["tensorrt"] = sys.modules["tensorrt.tensorrt"] = tensorrt
    if not hasattr(torch._C, "_CudaDeviceProperties"):
        torch._C._CudaDeviceProperties = object
    is_file = os.path.isfile
    without_runtime = mock.patch("os.path.isfile", lambda path: "libtorchtrt" not in str(path) and is_file(path))
    with without_runtime, pretended_gpu():
        import torch_tensorrt
    return torch_tensorrt
