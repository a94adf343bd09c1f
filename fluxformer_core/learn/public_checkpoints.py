"""Public MViTv2 checkpoints to bundles: to be run as they are, or as the start of a training."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.clip import ClipSpec
from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.models.checkpoints import Checkpoint, Transfer, initialise_from, read_checkpoint
from fluxformer_core.models.fluxformer import Fluxformer
from fluxformer_core.models.mvit import MViTConfig
from fluxformer_core.models.registry import clip_spec, create_model, model_config
from fluxformer_core.weights_file import read_weights_file

_SLOWFAST = "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/mvitv2/pysf_video_models"
KNOWN = {
    "torchvision:mvit_v2_s": "https://download.pytorch.org/models/mvit_v2_s-ae3be167.pth",
    "slowfast:MViTv2_S_16x4_k400": f"{_SLOWFAST}/MViTv2_S_16x4_k400_f302660347.pyth",
    "slowfast:MViTv2_B_32x3_k400": f"{_SLOWFAST}/MViTv2_B_32x3_k400_f304025456.pyth",
    "slowfast:MViTv2_S_16x4_ssv2": f"{_SLOWFAST}/MViTv2_S_16x4_ssv2_f308341823.pyth",
    "slowfast:MViTv2_B_32x3_ssv2": f"{_SLOWFAST}/MViTv2_B_32x3_ssv2_f305803282.pyth",
}
"""Addresses of the published files; the number in PySlowFast's names is a job's, no digest."""

_LABELS = {400: "kinetics400", 174: "something_something_v2"}
"""By the number of outputs: the file of labels in the order of the logits."""

_MEAN, _STD = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

_KINETICS_RATE = {16: 30 / 4, 32: 30 / 3}
"""Hz, by frames of the clip: the published recipes 16x4 and 32x3 take every fourth and third frame of 30 Hz."""


@dataclass(frozen=True)
class Conversion:
    """A bundle made from a public checkpoint, not yet on disk, and how it was made."""

    bundle: Bundle
    transfer: Transfer


def published_labels(classes: int) -> tuple[str, ...] | None:
    """Labels of the data set with so many classes, as snake_case names in the order of the logits; None if unknown."""
    if classes not in _LABELS:
        return None
    lines = (Path(__file__).parent.parent / "labels" / f"{_LABELS[classes]}.txt").read_text().splitlines()
    return tuple(re.sub(r"\W+", "_", line.replace("'", "")).strip("_").lower() for line in lines)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a file in one of the public layouts; nothing in it is ever run.

    Raises:
        BundleError: if it is damaged, holds more than plain data, or is not a MViTv2.
    """
    content = read_weights_file(path)
    try:
        return read_checkpoint(content)
    except BundleError as error:
        # A damaged file's names may hold anything, line ends too.
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
        model: a registered model with the checkpoint's trunk; None for the plain trunk, which runs as it is.
        labels: of the new model; None for those of the data set that the checkpoint was trained on.
        frames: of the clip; None for the checkpoint's own.
        size: px, of the clip; None for the checkpoint's own.
        rate: Hz at which the clip's frames follow each other; None for that of the published recipe.
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
    config = model_config(name)
    trunk = replace(config.trunk, frames=frames or checkpoint.trunk.frames, size=size or checkpoint.trunk.size)
    config = replace(config, trunk=trunk)
    net = create_model(name, len(labels), config=config)
    assert isinstance(net, Fluxformer)
    transfer = initialise_from(net, checkpoint)
    ready = config.duplex == "off" and transfer.head
    spec = _published_clip(checkpoint, trunk, rate) if ready else _clip_to_train_on(name, trunk, rate)
    metadata = Metadata(name, config, spec, labels, provenance=provenance or {})
    if wrong := metadata.problems():
        raise ConfigError("; ".join(wrong))
    return Conversion(Bundle(metadata, net.state_dict()), transfer)


def _published_clip(checkpoint: Checkpoint, trunk: MViTConfig, rate: float | None) -> ClipSpec:
    """The clip that the checkpoint was trained on; with other frames, the same stretch of time.

    Kinetics nets have seen frames at equal distances: the window holds no more than them, so that nothing is left to
    select. Something-Something nets have seen whole videos, 4 s long on average, thinned to the clip: for them the
    window is as long, and the recogniser chooses.
    """
    clip = ClipSpec(frames=trunk.frames, size=trunk.size, window=trunk.frames, mean=_MEAN, std=_STD)
    if rate is not None:
        return replace(clip, rate=rate)
    if _LABELS.get(checkpoint.classes) == "something_something_v2":
        return replace(clip, rate=12.0, window=max(48, trunk.frames))
    published = checkpoint.trunk.frames
    if published not in _KINETICS_RATE:
        raise ConfigError(f"no published recipe has {published} frames: give the rate that they follow each other at")
    return replace(clip, rate=_KINETICS_RATE[published] * trunk.frames / published)


def _clip_to_train_on(name: str, trunk: MViTConfig, rate: float | None) -> ClipSpec:
    """Our default clip: what still has to be trained will be trained on it, and flow needs its short steps."""
    clip = clip_spec(name)
    window = max(clip.window, trunk.frames)
    return replace(
        clip, frames=trunk.frames, size=trunk.size, rate=rate or clip.rate, window=window, mean=_MEAN, std=_STD
    )
