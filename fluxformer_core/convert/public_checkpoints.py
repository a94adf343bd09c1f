"""From public checkpoints to bundles, to be run unchanged or to start a training from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.convert.checkpoints import Checkpoint, Transfer, initialise_from, read_checkpoint
from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.models.registry import ModelConfig, clip_spec, create_model, model_config
from fluxformer_core.types import ClipSpec
from fluxformer_core.weights_file import read_weights_file

_SLOWFAST = "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/mvitv2/pysf_video_models"
KNOWN = {
    "torchvision:mvit_v2_s": "https://download.pytorch.org/models/mvit_v2_s-ae3be167.pth",
    "slowfast:MViTv2_S_16x4_k400": f"{_SLOWFAST}/MViTv2_S_16x4_k400_f302660347.pyth",
    "slowfast:MViTv2_B_32x3_k400": f"{_SLOWFAST}/MViTv2_B_32x3_k400_f304025456.pyth",
    "slowfast:MViTv2_S_16x4_ssv2": f"{_SLOWFAST}/MViTv2_S_16x4_ssv2_f308341823.pyth",
    "slowfast:MViTv2_B_32x3_ssv2": f"{_SLOWFAST}/MViTv2_B_32x3_ssv2_f305803282.pyth",
}
"""Addresses of the published files; the number in PySlowFast's names is that of a job, not a digest."""

_LABELS = {400: "kinetics400", 174: "something_something_v2"}
"""The file of labels, in the order of the logits, by the number of outputs."""

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_USUAL = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
"""Mean and deviation of colours in training: of Video-FocalNets, and of all other nets."""

_KINETICS_RATE = {8: 30 / 4, 16: 30 / 4, 32: 30 / 3}
"""Hz, by frames of the clip: the published recipes 8x4, 16x4 and 32x3 take every fourth or third frame of 30 Hz."""


@dataclass(frozen=True)
class Conversion:
    """A bundle made from a public checkpoint, not yet saved, and which weights were taken."""

    bundle: Bundle
    transfer: Transfer


def published_labels(classes: int) -> tuple[str, ...] | None:
    """Labels of the data set with this number of classes, in snake_case and in logit order; None if unknown."""
    if classes not in _LABELS:
        return None
    lines = (Path(__file__).parents[1] / "assets" / "labels" / f"{_LABELS[classes]}.txt").read_text().splitlines()
    return tuple(re.sub(r"\W+", "_", line.replace("'", "")).strip("_").lower() for line in lines)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a file in one of the public layouts without running any code in the file.

    Raises:
        BundleError: if the file is damaged, holds more than plain data, or has an unknown layout.
    """
    content = read_weights_file(path)
    try:
        return read_checkpoint(content)
    except BundleError as error:
        # Names in a damaged file may hold any characters, line ends too.
        raise BundleError(f"{path} is refused: {' '.join(str(error).splitlines())}") from None


def convert(
    checkpoint: Checkpoint,
    *,
    model: str | None = None,
    labels: tuple[str, ...] | None = None,
    frames: int | None = None,
    size: int | None = None,
    rate: float | None = None,
    provenance: dict[str, Any] | None = None,
) -> Conversion:
    """Make a bundle from a checkpoint.

    Args:
        checkpoint: the weights.
        model: a registered model with the checkpoint's trunk; None: the plain trunk, which needs no training.
        labels: None: those of the data set that the checkpoint was trained on.
        frames: of the clip; None: the checkpoint's own number.
        size: px, of the clip; None: the checkpoint's own size.
        rate: Hz, of the clip's frames; None: that of the published recipe.
        provenance: where the weights come from.

    Raises:
        BundleError: if the checkpoint does not fit the model.
        ConfigError: if an argument is missing or contradicts the model.
    """
    name = model or checkpoint.model
    labels = labels or published_labels(checkpoint.classes)
    if labels is None:
        raise ConfigError(
            f"the checkpoint has {checkpoint.classes} outputs, which are neither the 400 of Kinetics-400 nor the 174 "
            "of Something-Something v2: name its labels with --labels"
        )
    config = model_config(name).resized(frames or checkpoint.config.frames, size or checkpoint.config.size)
    net = create_model(name, len(labels), config=config)
    transfer = initialise_from(net, checkpoint)
    ready = name == checkpoint.model and transfer.head and not checkpoint.images
    if ready:
        spec = _published_clip(checkpoint, config, rate)
    else:  # still to be trained, on our clip; flow needs the short steps of this clip
        own = clip_spec(name)
        window = max(own.window, config.frames)
        spec = replace(own, frames=config.frames, size=config.size, rate=rate or own.rate, window=window)
    mean, std = _IMAGENET if checkpoint.layout == "video_focalnet" else _USUAL
    spec = replace(spec, mean=mean, std=std)
    metadata = Metadata(name, config, spec, labels, provenance=provenance or {})
    if wrong := metadata.problems():
        raise ConfigError("; ".join(wrong))
    return Conversion(Bundle(metadata, net.state_dict()), transfer)


def _published_clip(checkpoint: Checkpoint, config: ModelConfig, rate: float | None) -> ClipSpec:
    """The clip that the checkpoint was trained on; with another number of frames, the same stretch of time.

    Kinetics nets were trained on frames at equal distances: the window holds exactly these frames, so that no selection
    takes place. Something-Something nets were trained on frames chosen from whole videos of 4 s on average: their
    window is as long, and the recogniser selects frames.
    """
    clip = ClipSpec(frames=config.frames, size=config.size, window=config.frames, flow="none")
    if rate is not None:
        return replace(clip, rate=rate)
    if _LABELS.get(checkpoint.classes) == "something_something_v2":
        return replace(clip, rate=12.0, window=max(48, config.frames))
    published = checkpoint.config.frames
    if published not in _KINETICS_RATE:
        raise ConfigError(f"no published recipe has {published} frames: give the rate that they follow each other at")
    return replace(clip, rate=_KINETICS_RATE[published] * config.frames / published)
