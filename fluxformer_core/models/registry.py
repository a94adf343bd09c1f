"""Models by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from fluxformer_core.clip import ClipSpec
from fluxformer_core.errors import ConfigError
from fluxformer_core.models.fluxformer import Fluxformer, FluxformerConfig
from fluxformer_core.models.mvit import MViTConfig

_SMALL = MViTConfig()
_BASE = MViTConfig(depths=(2, 3, 16, 3), drop_path=0.3)


def _nano() -> FluxformerConfig:
    """For two CPU cores: 64 px, a stem that learns from little data, the paper's duplex stage and clustering tokens."""
    trunk = MViTConfig(
        frames=16,
        size=64,
        depths=(1, 1),
        dim=192,
        heads=4,
        stem_stride=(2, 16, 16),
        stem_widths=(16, 48, 128),
        pool_kernel=(1, 3, 3),
        kv_stride=1,
        coarse_transitions=True,
        drop_path=0.1,
        layer_scale=0.1,
    )
    return FluxformerConfig(trunk, gate=1.0, clusters=8, final_heads=4, readout="mean", head_dropout=0.3)


_CONFIGS: dict[str, Callable[[], FluxformerConfig]] = {
    "fluxformer_nano": _nano,
    "fluxformer_s": lambda: FluxformerConfig(_SMALL),
    "fluxformer_b": lambda: FluxformerConfig(_BASE),
    "mvit_s": lambda: FluxformerConfig(_SMALL, duplex="off", clusters=0),
    "mvit_b": lambda: FluxformerConfig(_BASE, duplex="off", clusters=0),
}


def list_models() -> list[str]:
    """Names that `create_model` knows."""
    return sorted(_CONFIGS)


def model_config(name: str) -> FluxformerConfig:
    """The default configuration of a model.

    Raises:
        ConfigError: if there is no such model.
    """
    if name not in _CONFIGS:
        raise ConfigError(f"there is no model {name!r}; known are {', '.join(list_models())}")
    return _CONFIGS[name]()


def clip_spec(name: str) -> ClipSpec:
    """The clip that a model takes by default: its own size, at 20 Hz, out of the last 3.2 s.

    Raises:
        ConfigError: if there is no such model.
    """
    trunk = model_config(name).trunk
    return ClipSpec(frames=trunk.frames, size=trunk.size)


def create_model(
    name: str, num_classes: int, *, config: FluxformerConfig | None = None, **changes: object
) -> nn.Module:
    """A model with random weights.

    Args:
        name: one of `list_models()`.
        num_classes: labels.
        config: used instead of the model's default configuration.
        changes: fields of the configuration to replace, such as `duplex="off"`.

    Raises:
        ConfigError: if there is no such model, no such field, or the configuration contradicts itself.
    """
    default = model_config(name)  # also refuses an unknown name
    config = default if config is None else config
    try:
        config = replace(config, **changes)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(f"{name}: {error}") from None
    return Fluxformer(config, num_classes)
