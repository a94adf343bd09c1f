"""Models by name, alone or as the members of an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from fluxformer_core.errors import ConfigError
from fluxformer_core.models.emim.emim import Emim, EmimConfig
from fluxformer_core.models.fluxformer.fluxformer import Fluxformer, FluxformerConfig
from fluxformer_core.models.fluxformer.mvit import MViTConfig
from fluxformer_core.models.layers import Prediction
from fluxformer_core.models.video_focalnet import VideoFocalNet, VideoFocalNetConfig
from fluxformer_core.types import ClipSpec

ModelConfig = FluxformerConfig | EmimConfig | VideoFocalNetConfig
"""A configuration of any family, which can be `resized` to another clip.

It tells `frames` and `size` (px) of the clip, `width` (channels of the embedding), `num_blocks` (of all stages, and of
a final self-attention), `takes_flow` (whether flow changes the output) and `family`.
"""

Config = TypeVar("Config", FluxformerConfig, EmimConfig, VideoFocalNetConfig)

_SMALL = MViTConfig()
_BASE = MViTConfig(depths=(2, 3, 16, 3), drop_path=0.3)
_UNIFORMER_SMALL = EmimConfig(stem_stride=(2, 4, 4), window=0)
_DEEP = (5, 8, 20, 7)  # blocks of the base UniFormer


def _fluxformer_nano() -> FluxformerConfig:
    """For two CPU cores: 64 px, a stem that learns from little data, the paper's duplex stage and clustering tokens."""
    trunk = MViTConfig(
        frames=16, size=64, depths=(1, 1), dim=192, heads=4, stem_stride=(2, 16, 16), stem_widths=(16, 48, 128),
        pool_kernel=(1, 3, 3), kv_stride=1, coarse_transitions=True, drop_path=0.1, layer_scale=0.1,
    )  # fmt: skip
    return FluxformerConfig(trunk, gate=1.0, clusters=8, final_heads=4, readout="mean", head_dropout=0.3)


def _emim_nano() -> EmimConfig:
    """For two CPU cores: motion is mined on a grid of 8 x 8, where a limb is as large as a token."""
    return EmimConfig(
        size=64, depths=(2, 2), dims=(96, 192), head_dim=48, conv_stages=0, stem_stride=(2, 8, 8), stem_widths=(16, 48),
        window=5, pairing="causal", drop_path=0.1, layer_scale=0.1, head_dropout=0.3,
    )  # fmt: skip


def _video_focalnet_nano() -> VideoFocalNetConfig:
    """For two CPU cores: most of the way to the tokens is taken by convolutions."""
    return VideoFocalNetConfig(
        frames=16, size=64, depths=(1, 2), dim=96, stem_stride=(2, 8, 8), stem_widths=(16, 48),
        drop_path=0.1, layer_scale=0.1, head_dropout=0.3,
    )  # fmt: skip


_CONFIGS: dict[str, Callable[[], ModelConfig]] = {
    "fluxformer_nano": _fluxformer_nano,
    "fluxformer_nano_mined": lambda: replace(_fluxformer_nano(), duplex="off", mined_stages=(1,)),
    "fluxformer_s": lambda: FluxformerConfig(_SMALL),
    "fluxformer_b": lambda: FluxformerConfig(_BASE),
    "mvit_s": lambda: FluxformerConfig(_SMALL, duplex="off", clusters=0),
    "mvit_b": lambda: FluxformerConfig(_BASE, duplex="off", clusters=0),
    "emim_nano": _emim_nano,
    "emim_s": EmimConfig,
    "emim_b": lambda: EmimConfig(depths=_DEEP, drop_path=0.4),
    "uniformer_s": lambda: _UNIFORMER_SMALL,
    "uniformer_b": lambda: replace(_UNIFORMER_SMALL, depths=_DEEP, drop_path=0.4),
    "video_focalnet_nano": _video_focalnet_nano,
    "video_focalnet_t": VideoFocalNetConfig,
    "video_focalnet_s": lambda: VideoFocalNetConfig(depths=(2, 2, 18, 2), drop_path=0.3),
    "video_focalnet_b": lambda: VideoFocalNetConfig(depths=(2, 2, 18, 2), dim=128, drop_path=0.5),
}


def list_models() -> list[str]:
    """Names that `create_model` knows."""
    return sorted(_CONFIGS)


def model_config(name: str) -> ModelConfig:
    """The default configuration of a model.

    Raises:
        ConfigError: if there is no such model.
    """
    if name not in _CONFIGS:
        raise ConfigError(f"there is no model {name!r}; known are {', '.join(list_models())}")
    return _CONFIGS[name]()


def config_of(name: str, family: type[Config]) -> Config:
    """The default configuration of a model that must be of one family.

    Raises:
        ConfigError: if there is no such model, or it is of another family.
    """
    config = model_config(name)
    if not isinstance(config, family):
        raise ConfigError(f"{name} is of the family {config.family}, which cannot be used here")
    return config


def clip_spec(name: str) -> ClipSpec:
    """The clip that a model takes by default: its own size, at 20 Hz, out of the last 3.2 s.

    A model that takes no flow needs no estimator: motion, by which frames are selected, is then measured without.

    Raises:
        ConfigError: if there is no such model.
    """
    config = model_config(name)
    return ClipSpec(frames=config.frames, size=config.size, flow="dis" if config.takes_flow else "none")


def create_model(
    name: str, num_classes: int, *, config: ModelConfig | None = None, members: int = 1, **changes: object
) -> nn.Module:
    """A model with random weights.

    Args:
        name: one of `list_models()`.
        num_classes: number of labels.
        config: used instead of the model's default configuration.
        members: nets with that configuration; several are an `Ensemble`.
        changes: fields of the configuration to replace, such as `duplex="off"`.

    Raises:
        ConfigError: if there is no such model, no such field, or the configuration contradicts itself or is of another
            family.
    """
    default = model_config(name)  # also refuses an unknown name
    config = default if config is None else config
    if config.family != default.family:
        raise ConfigError(f"{name} is of the family {default.family}, its configuration of {config.family}")
    try:
        config = replace(config, **changes)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(f"{name}: {error}") from None
    if members > 1:
        return Ensemble([_create(config, num_classes) for _ in range(members)])
    return _create(config, num_classes)


class Ensemble(nn.Module):
    """Nets with the same labels and clip: the mean of their logits, and their embeddings (B, members * D) side by side.

    Members that were trained from different random weights agree on what they have learnt, and less on everything else
    ("deep ensemble", Lakshminarayanan et al. 2017). Unlike in the paper, logits and not probabilities are averaged, so
    that one confident member decides early (docs/measurements/decisions.md).
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, rgb: Tensor, flow: Tensor | None = None) -> Prediction:
        """Classify clips as a single net does; the logits are a linear function of the embeddings."""
        outputs = [member(rgb, flow) for member in self.members]
        logits = torch.stack([output.logits for output in outputs]).mean(dim=0)
        return Prediction(logits, torch.cat([output.embedding for output in outputs], dim=-1))


def _create(config: ModelConfig, num_classes: int) -> nn.Module:
    if isinstance(config, EmimConfig):
        return Emim(config, num_classes)
    if isinstance(config, VideoFocalNetConfig):
        return VideoFocalNet(config, num_classes)
    return Fluxformer(config, num_classes)
