"""Human-action recognition from a stream of camera images: models, optical flow, streaming and training. No ROS.

The names in `__all__` are the public interface. Each name is imported when it is first used, so that
`import fluxformer_core` loads neither PyTorch nor NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxformer_core.bundle import Bundle, load_bundle
    from fluxformer_core.enrollment.enroll import enroll
    from fluxformer_core.errors import BackendError, BundleError, ConfigError, FluxformerError, ImageError, SourceError
    from fluxformer_core.evaluation.clips import evaluate_clips
    from fluxformer_core.recognition import recognize
    from fluxformer_core.stream.inference import ClipModel
    from fluxformer_core.stream.recognizer import Recognizer
    from fluxformer_core.training.train_bundle import train_bundle
    from fluxformer_core.types import ActionEvent, EventKind, Pixels, Recognition, State, Update

__version__ = "0.2.0"

__all__ = [
    "ActionEvent", "BackendError", "Bundle", "BundleError", "ClipModel", "ConfigError", "EventKind", "FluxformerError",
    "ImageError", "Pixels", "Recognition", "Recognizer", "SourceError", "State", "Update", "enroll", "evaluate_clips",
    "load_bundle", "recognize", "train_bundle",
]  # fmt: skip

_MODULES = {
    "bundle": ("Bundle", "load_bundle"),
    "enrollment.enroll": ("enroll",),
    "errors": ("BackendError", "BundleError", "ConfigError", "FluxformerError", "ImageError", "SourceError"),
    "evaluation.clips": ("evaluate_clips",),
    "recognition": ("recognize",),
    "stream.inference": ("ClipModel",),
    "stream.recognizer": ("Recognizer",),
    "training.train_bundle": ("train_bundle",),
    "types": ("ActionEvent", "EventKind", "Pixels", "Recognition", "State", "Update"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            return globals().setdefault(name, getattr(import_module(f"{__name__}.{module}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
