"""Video-FocalNet (Wasim et al. 2023): the surroundings of a token, in space and time, modulate the token.

There is no attention: convolutions gather context at growing ranges, gates weigh the ranges, and the token's query is
multiplied by the weighted context. The net sees colour only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.declared import check
from fluxformer_core.models.depthwise import depthwise_conv3d
from fluxformer_core.models.fields import AtLeastOne, BelowOne, Depths, LayerScale, Stride, clip_problems
from fluxformer_core.models.layers import Mlp, Prediction, ResidualBranch, drop_rates, initialise
from fluxformer_core.models.stem import Embedding, channels_first, channels_last, mean_of_tokens


@dataclass(frozen=True)
class VideoFocalNetConfig:
    """A Video-FocalNet. Each stage after the first doubles channels and halves the grid's height and width.

    Raises:
        ConfigError: if a field is outside its range or the clip is not divisible by the strides.
    """

    frames: int = 8
    size: int = 224  # px
    depths: Depths = (2, 2, 6, 2)
    dim: AtLeastOne = 96  # channels of the first stage
    stem_stride: Stride = (1, 4, 4)
    stem_widths: tuple[AtLeastOne, ...] = ()  # channels of convolutions before the embedding; empty as in the paper
    kernels: Annotated[tuple[int, ...], Field(min_length=1)] = (3, 5)  # of the levels of context, in space and in time
    causal: bool = False  # whether tokens depend on the same and earlier slots of time alone
    mlp_ratio: AtLeastOne = 4
    drop_path: BelowOne = 0.2  # of the last block, growing linearly from 0
    layer_scale: LayerScale = None
    head_dropout: BelowOne = 0.0
    family: Literal["video_focalnet"] = "video_focalnet"

    def __post_init__(self) -> None:
        check(self)
        wrong = clip_problems(self.frames, self.size, self.stem_stride, self.stem_widths, len(self.depths))
        if not all(k > 0 and k % 2 for k in self.kernels):
            wrong.append(f"kernels must be odd, not {self.kernels}")
        check(self, wrong)

    @property
    def width(self) -> int:
        return self.dim << (len(self.depths) - 1)

    @property
    def num_blocks(self) -> int:
        return sum(self.depths)

    @property
    def takes_flow(self) -> bool:
        return False

    def resized(self, frames: int, size: int) -> VideoFocalNetConfig:
        return replace(self, frames=frames, size=size)


class FocalModulation(nn.Module):
    """Spatio-temporal focal modulation of tokens (B, T, H, W, dim), in the paper's section of that name.

    Each level's kernel is applied to the level before. Causal modulation gathers context from the same and earlier
    slots of time alone.
    """

    def __init__(self, dim: int, kernels: tuple[int, ...], *, causal: bool = False) -> None:
        super().__init__()
        self.dim, self.kernels, self.causal = dim, kernels, causal
        gates = len(kernels) + 1
        self.spatial_in = nn.Linear(dim, 2 * dim + gates)  # query, context, gates
        self.spatial_levels = nn.ParameterList(_kernel(dim, 1, 1, k, k) for k in kernels)
        self.spatial_out = nn.Linear(dim, dim)
        self.temporal_in = nn.Linear(dim, dim + gates)  # context, gates
        self.temporal_levels = nn.ParameterList(_kernel(dim, dim, k) for k in kernels)
        self.temporal_out = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        query, spatial, temporal = self.modulate(x)
        return self.proj(query * spatial * temporal)  # type: ignore[no-any-return]

    def modulate(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The queries, and their modulators in space and in time; each (B, T, H, W, dim)."""
        gates = len(self.kernels) + 1
        query, context, gate = self.spatial_in(x).split([self.dim, self.dim, gates], dim=-1)
        spatial = self.spatial_out(self._spatial_context(context, gate))
        context, gate = self.temporal_in(x).split([self.dim, gates], dim=-1)
        return query, spatial, self.temporal_out(self._temporal_context(context, gate))

    def _spatial_context(self, context: Tensor, gate: Tensor) -> Tensor:
        """Context within each frame: levels of growing range, and the whole frame."""
        gathered = torch.zeros_like(context)
        for level, weight in enumerate(self.spatial_levels):
            context = F.gelu(channels_last(depthwise_conv3d(channels_first(context), weight, (1, 1, 1))))
            gathered = gathered + gate[..., level : level + 1] * context
        whole = F.gelu(context.mean(dim=(2, 3), keepdim=True))
        return gathered + gate[..., -1:] * whole

    def _temporal_context(self, context: Tensor, gate: Tensor) -> Tensor:
        """Context of each place over time; channels mix, places do not (the paper calls this point-wise)."""
        b, t, h, w, c = context.shape
        context = context.reshape(b, t, h * w, c).permute(0, 3, 1, 2)  # (B, C, T, H*W), channels last in memory
        gate = gate.reshape(b, t, h * w, -1)
        gathered = torch.zeros_like(context).permute(0, 2, 3, 1)
        for level, weight in enumerate(self.temporal_levels):
            k = self.kernels[level]
            early, late = (k - 1, 0) if self.causal else (k // 2, k // 2)
            context = F.gelu(F.conv2d(F.pad(context, (0, 0, early, late)), weight[..., None]))
            gathered = gathered + gate[..., level : level + 1] * context.permute(0, 2, 3, 1)
        whole = F.gelu(self._mean_over_time(context.permute(0, 2, 3, 1)))
        return (gathered + gate[..., -1:] * whole).reshape(b, t, h, w, c)

    def _mean_over_time(self, x: Tensor) -> Tensor:
        """Mean of (B, T, N, C) over all slots of time; if causal, for each slot over this and the earlier slots."""
        if not self.causal:
            return x.mean(dim=1, keepdim=True)
        count = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
        return x.cumsum(dim=1) / count[:, None, None]


def _kernel(*shape: int) -> nn.Parameter:
    """The weight of a convolution without bias, initialised like PyTorch's convolutions."""
    weight = nn.Parameter(torch.empty(shape))
    nn.init.kaiming_uniform_(weight, a=5**0.5)
    return weight


class FocalBlock(nn.Module):
    """Focal modulation and an MLP, each with a residual path."""

    def __init__(self, dim: int, config: VideoFocalNetConfig, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.modulation = FocalModulation(dim, config.kernels, causal=config.causal)
        self.mlp = Mlp(dim, dim * config.mlp_ratio)
        self.modulation_branch = ResidualBranch(dim, drop_path, config.layer_scale)
        self.mlp_branch = ResidualBranch(dim, drop_path, config.layer_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.modulation_branch(self.modulation(self.norm1(x)))
        return x + self.mlp_branch(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class VideoFocalNet(nn.Module):
    """Clip in, logits and embedding out."""

    def __init__(self, config: VideoFocalNetConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        kernel, stride = (1, *config.stem_stride[1:]), config.stem_stride
        self.patch_embed = Embedding(3, config.dim, kernel, stride, config.stem_widths, causal=config.causal)
        self.stages, self.downsamples = nn.ModuleList(), nn.ModuleList()
        dim = config.dim
        for stage, drops in enumerate(drop_rates(config.drop_path, config.depths)):
            if stage:
                self.downsamples.append(Embedding(dim, 2 * dim, (1, 2, 2), (1, 2, 2)))
                dim *= 2
            self.stages.append(nn.Sequential(*[FocalBlock(dim, config, drop) for drop in drops]))
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.head_dropout)
        self.head = nn.Linear(dim, num_classes)
        initialise(self)

    def forward(self, rgb: Tensor, flow: Tensor | None = None) -> Prediction:
        """Classify clips (B, 3, T, H, W), normalised as the ClipSpec says. Flow is ignored."""
        embedding = mean_of_tokens(self.features(rgb))
        return Prediction(self.head(self.dropout(embedding)), embedding)

    def features(self, rgb: Tensor) -> Tensor:
        """Tokens of the last stage, normed: (B, T', H', W', width)."""
        x = self.patch_embed(rgb)
        for stage, blocks in enumerate(self.stages):
            if stage:
                x = self.downsamples[stage - 1](channels_first(x))
            x = blocks(x)
        return self.norm(x)  # type: ignore[no-any-return]
