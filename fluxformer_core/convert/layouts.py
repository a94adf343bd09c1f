"""Layouts of published weights: how a layout is recognised, and the names of its tensors in our models.

Published tensors differ from ours in names, and in axes of length one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.models.emim.emim import EmimConfig
from fluxformer_core.models.fluxformer.fluxformer import FluxformerConfig
from fluxformer_core.models.registry import ModelConfig, config_of
from fluxformer_core.models.video_focalnet import VideoFocalNetConfig

LayoutName = Literal["slowfast", "torchvision", "uniformer", "video_focalnet"]

Rename = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class Layout:
    """One publisher's names of the weights of one family of nets."""

    name: LayoutName
    net: str  # for people
    mark: str  # name of a tensor that only this layout has
    mark_axes: tuple[int, ...]  # numbers of axes that this tensor may have
    renames: Mapping[str, Rename]  # by regular expression, in this order
    shape: Callable[[Mapping[str, Tensor]], tuple[str, ModelConfig]]  # of renamed weights: the registered net, its clip
    video_only: str = "(?!)"  # regular expression of our names that weights trained on images lack

    def rename(self, name: str) -> str:
        """Our name of a tensor."""
        for pattern, ours in self.renames.items():
            name = re.sub(pattern, ours, name)
        return name


def _mvit(weights: Mapping[str, Tensor]) -> tuple[str, ModelConfig]:
    """The plain trunk with this number of blocks, and the clip that the relative positions of the first block fit."""
    blocks = {int(m[1]) for name in weights if (m := re.match(r"blocks\.(\d+)\.", name))}
    configs = {name: config_of(name, FluxformerConfig) for name in ("mvit_s", "mvit_b")}
    by_depth = {config.num_blocks: name for name, config in configs.items()}
    if blocks != set(range(len(blocks))) or len(blocks) not in by_depth:
        known = " or ".join(f"{depth} ({name})" for depth, name in by_depth.items())
        raise BundleError(f"it has {len(blocks)} blocks, the known MViTv2 have {known}")
    tables = [weights.get(f"blocks.0.attn.rel_{axis}.table") for axis in "thw"]
    if any(table is None for table in tables):
        raise BundleError("it has no relative positions in time, height and width: this is not a MViTv2 for video")
    rows = [len(table) for table in tables if table is not None]
    model = by_depth[len(blocks)]
    trunk = configs[model].trunk
    frames, height, width = ((n + 1) // 2 * stride for n, stride in zip(rows, trunk.stem_stride, strict=True))
    if height != width:
        raise BundleError(f"its clips are {height} x {width} px, but only square clips can be used")
    try:
        return model, replace(configs[model], trunk=replace(trunk, frames=frames, size=height))
    except ConfigError as error:
        raise BundleError(f"its relative positions are of no clip: {error}") from None


def _uniformer(weights: Mapping[str, Tensor]) -> tuple[str, ModelConfig]:
    """The UniFormer with these numbers of blocks. The weights do not tell the clip; the default clip is assumed."""
    depths = _depths(weights)
    for name in ("uniformer_s", "uniformer_b"):
        if (config := config_of(name, EmimConfig)).depths == depths:
            return name, config
    raise BundleError(f"its stages have {depths} blocks, which no known UniFormer has")


def _video_focalnet(weights: Mapping[str, Tensor]) -> tuple[str, ModelConfig]:
    """The Video-FocalNet with these numbers of blocks and channels. The weights do not tell the clip."""
    depths, bias = _depths(weights), weights.get("patch_embed.norm.bias")
    dim = 0 if bias is None else len(bias)
    for name in ("video_focalnet_t", "video_focalnet_s", "video_focalnet_b"):
        config = config_of(name, VideoFocalNetConfig)
        if (config.depths, config.dim) == (depths, dim):
            return name, config
    raise BundleError(f"its stages have {depths} blocks of {dim} channels and up, which no known Video-FocalNet has")


def _depths(weights: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Blocks of each stage."""
    places = {(int(m[1]), int(m[2])) for name in weights if (m := re.match(r"stages\.(\d+)\.(\d+)\.", name))}
    return tuple(sum(stage == s for stage, _ in places) for s in sorted({stage for stage, _ in places}))


def _from_zero(ours: str) -> Callable[[re.Match[str]], str]:
    """A name with the number that was matched, counted from 0 instead of 1."""
    return lambda match: ours.format(int(match[1]) - 1)


_SLOWFAST: dict[str, Rename] = {r"\.rel_pos_([thw])$": r".rel_\1.table", r"^head\.projection\.": "head."}
_TORCHVISION: dict[str, Rename] = {
    r"^conv_proj\.": "patch_embed.proj.",
    r"^pos_encoding\.class_token$": "cls_token",
    r"\.rel_pos_([thw])$": r".rel_\1.table",
    r"\.attn\.project\.0\.": ".attn.proj.",
    r"\.pool_([qkv])\.pool\.": r".pool_\1.",
    r"\.pool_([qkv])\.norm_act\.0\.": r".norm_\1.",
    r"\.mlp\.0\.": ".mlp.fc1.",
    r"\.mlp\.3\.": ".mlp.fc2.",
    r"^(blocks\.\d+)\.project\.": r"\1.proj.",
    r"^head\.1\.": "head.",
}
_UNIFORMER: dict[str, Rename] = {
    r"^patch_embed([1-4])\.": _from_zero("embeds.{}."),
    r"^blocks([1-4])\.": _from_zero("stages.{}."),
    r"\.pos_embed\.": ".position.",
    r"\.attn\.(qkv|proj)\.": r".mixer.\1.",
    r"\.attn\.(weight|bias)$": r".mixer.conv.\1",
    r"\.conv([12])\.": r".mixer.conv\1.",
}
_FOCALNET: dict[str, Rename] = {
    r"^layers\.(\d+)\.downsample\.": r"downsamples.\1.",
    r"^layers\.(\d+)\.blocks\.": r"stages.\1.",
    r"\.modulation\.f\.": ".modulation.spatial_in.",
    r"\.modulation\.h\.": ".modulation.spatial_out.",
    r"\.modulation\.f_temporal\.": ".modulation.temporal_in.",
    r"\.modulation\.h_temporal\.": ".modulation.temporal_out.",
    r"\.focal_layers\.(\d+)\.0\.weight$": r".spatial_levels.\1",
    r"\.focal_layers_temporal\.(\d+)\.0\.weight$": r".temporal_levels.\1",
}
_TEMPORAL = r"\.temporal_(in|levels|out)\."
_STEM = "patch_embed.proj.weight"

LAYOUTS = (
    Layout("slowfast", "PySlowFast's MViTv2", _STEM, (5,), _SLOWFAST, _mvit),
    Layout("torchvision", "torchvision's MViTv2", "conv_proj.weight", (5,), _TORCHVISION, _mvit),
    Layout("uniformer", "UniFormer", "patch_embed1.proj.weight", (4, 5), _UNIFORMER, _uniformer),
    Layout("video_focalnet", "Video-FocalNet or FocalNet", _STEM, (4,), _FOCALNET, _video_focalnet, _TEMPORAL),
)
"""Every layout that can be read."""
