"""EMIM (2025): a UniFormer (Li et al. 2022) whose attention mines motion between neighbouring frames.

The blocks of the first stages are convolutions. In later stages every other block compares each frame with the next
frame (mining.py), and the blocks between attend to all tokens of the clip. The net sees colour only. Without mining the
net is UniFormer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fluxformer_core.declared import check
from fluxformer_core.models.depthwise import depthwise_conv3d
from fluxformer_core.models.emim.mining import Border, MotionMining, Pairing
from fluxformer_core.models.fields import AtLeastOne, BelowOne, Depths, Grid, LayerScale, Stride, clip_problems
from fluxformer_core.models.layers import Mlp, Prediction, ResidualBranch, drop_rates, initialise
from fluxformer_core.models.stem import Embedding, channels_first, channels_last, mean_of_tokens


@dataclass(frozen=True)
class EmimConfig:
    """An EMIM; without a window it is a plain UniFormer. Each stage after the first halves the grid.

    Raises:
        ConfigError: if a field is outside its range or the clip is not divisible by the strides.
    """

    frames: int = 16
    size: int = 224  # px
    depths: Depths = (3, 4, 8, 3)
    dims: tuple[AtLeastOne, ...] = (64, 128, 320, 512)  # channels of each stage
    head_dim: AtLeastOne = 64
    conv_stages: Annotated[int, Field(ge=0)] = 2  # stages, from the first, whose blocks are convolutions
    conv_kernel: int = 5  # of these convolutions, in time, height and width
    stem_kernel: Grid = (3, 4, 4)
    stem_stride: Stride = (1, 4, 4)  # published UniFormers take every other frame: (2, 4, 4)
    stem_widths: tuple[AtLeastOne, ...] = ()  # channels of convolutions before the embedding; empty as in the paper
    window: Annotated[int, Field(ge=0)] = 7  # tokens, odd: side of the window in which motion is looked for; 0: none
    pairing: Pairing = "next"
    border: Border = "mask"
    mlp_ratio: AtLeastOne = 4
    drop_path: BelowOne = 0.2  # of the last block, growing linearly from 0
    layer_scale: LayerScale = None
    head_dropout: BelowOne = 0.0
    family: Literal["emim"] = "emim"

    def __post_init__(self) -> None:
        check(self)
        wrong = []
        if len(self.depths) != len(self.dims):
            wrong.append(f"depths and dims must give every stage blocks and channels, not {self.depths}, {self.dims}")
        if any(dim % self.head_dim for dim in self.dims[self.conv_stages :]):
            wrong.append(f"dims of stages that attend must be multiples of head_dim {self.head_dim}, not {self.dims}")
        if self.conv_stages > len(self.depths):
            wrong.append(f"conv_stages must be 0 to {len(self.depths)}, not {self.conv_stages}")
        if self.conv_kernel < 1 or not self.conv_kernel % 2:
            wrong.append(f"conv_kernel must be odd, not {self.conv_kernel}")
        # Patches do not overlap: another kernel would give a grid that is not the clip's divided by the stride.
        slots = self.stem_kernel[0]
        if not self.stem_widths and (slots < 1 or not slots % 2 or self.stem_kernel[1:] != self.stem_stride[1:]):
            fits = f"odd in time and as wide and high as stem_stride {self.stem_stride}"
            wrong.append(f"stem_kernel must be {fits}, not {self.stem_kernel}")
        if self.window and not self.window % 2:
            wrong.append(f"window must be odd, or 0 for none, not {self.window}")
        wrong += clip_problems(self.frames, self.size, self.stem_stride, self.stem_widths, len(self.depths))
        if not wrong and self.window and self.frames < 2 * self.stem_stride[0]:
            wrong.append(f"motion is between frames: {self.frames} are one slot of time, two are needed")
        check(self, wrong)

    @property
    def width(self) -> int:
        return self.dims[-1]

    @property
    def num_blocks(self) -> int:
        return sum(self.depths)

    @property
    def takes_flow(self) -> bool:
        return False

    def grid(self, stage: int) -> Grid:
        """Tokens of a stage, counted from 0."""
        t, h, w = self.stem_stride
        return self.frames // t, self.size // (h << stage), self.size // (w << stage)

    def resized(self, frames: int, size: int) -> EmimConfig:
        return replace(self, frames=frames, size=size)


class DepthwiseConv(nn.Module):
    """A convolution of tokens (B, T, H, W, dim), channel by channel."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, 1, kernel, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(dim))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(depthwise_conv3d(channels_first(x), self.weight, (1, 1, 1))) + self.bias


class TokenBatchNorm(nn.BatchNorm3d):
    """Batch norm of tokens (B, T, H, W, dim)."""

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(super().forward(channels_first(x)))


class GlobalAttention(nn.Module):
    """Multi-head attention of tokens (B, T, H, W, dim) to all of their clip."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.qkv(x.flatten(1, 3)).unflatten(2, (3, self.heads, -1))
        q, k, v = tokens.permute(2, 0, 3, 1, 4).unbind()  # (B, heads, N, d)
        out = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.proj(out).reshape(x.shape)  # type: ignore[no-any-return]


class ConvMixing(nn.Module):
    """The mixer of the first stages, in place of attention: a wide convolution between two linear layers."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.conv1, self.conv, self.conv2 = nn.Linear(dim, dim), DepthwiseConv(dim, kernel), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv(self.conv1(x)))  # type: ignore[no-any-return]


class UniBlock(nn.Module):
    """A block of UniFormer, (B, T, H, W, dim): position encoding, a mixer of tokens, and an MLP, each added."""

    def __init__(self, dim: int, mixer: nn.Module, norm: type[nn.Module], config: EmimConfig, drop_path: float) -> None:
        super().__init__()
        self.position = DepthwiseConv(dim, 3)
        # The published LayerNorm has another epsilon than PyTorch's default; the published BatchNorm has not.
        settings = {"eps": 1e-6} if norm is nn.LayerNorm else {}
        self.norm1, self.norm2 = norm(dim, **settings), norm(dim, **settings)
        self.mixer = mixer
        self.mlp = Mlp(dim, dim * config.mlp_ratio)
        self.mixer_branch = ResidualBranch(dim, drop_path, config.layer_scale)
        self.mlp_branch = ResidualBranch(dim, drop_path, config.layer_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position(x)
        x = x + self.mixer_branch(self.mixer(self.norm1(x)))
        return x + self.mlp_branch(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class Emim(nn.Module):
    """Clip in, logits and embedding out."""

    def __init__(self, config: EmimConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.embeds, self.stages = nn.ModuleList(), nn.ModuleList()
        channels = 3
        rates = drop_rates(config.drop_path, config.depths)
        for stage, (dim, drops) in enumerate(zip(config.dims, rates, strict=True)):
            form = ((1, 2, 2), (1, 2, 2), ()) if stage else (config.stem_kernel, config.stem_stride, config.stem_widths)
            self.embeds.append(Embedding(channels, dim, *form))
            self.stages.append(nn.Sequential(*[_block(config, stage, i, drop) for i, drop in enumerate(drops)]))
            channels = dim
        self.norm = TokenBatchNorm(config.width)
        self.dropout = nn.Dropout(config.head_dropout)
        self.head = nn.Linear(config.width, num_classes)
        initialise(self)

    def forward(self, rgb: Tensor, flow: Tensor | None = None) -> Prediction:
        """Classify clips (B, 3, T, H, W), normalised as the ClipSpec says. Flow is ignored."""
        x = rgb
        for stage, (embed, blocks) in enumerate(zip(self.embeds, self.stages, strict=True)):
            x = blocks(embed(channels_first(x) if stage else x))
        embedding = mean_of_tokens(self.norm(x))
        return Prediction(self.head(self.dropout(embedding)), embedding)


def _block(config: EmimConfig, stage: int, index: int, drop_path: float) -> UniBlock:
    """The block at a place: convolutions in early stages; later, motion mining and global attention by turns."""
    dim, grid = config.dims[stage], config.grid(stage)
    if stage < config.conv_stages:
        return UniBlock(dim, ConvMixing(dim, config.conv_kernel), TokenBatchNorm, config, drop_path)
    heads = dim // config.head_dim
    mixer: nn.Module = GlobalAttention(dim, heads)
    if config.window and index % 2 == 0:
        mixer = MotionMining(dim, heads, grid[1:], config.window, pairing=config.pairing, border=config.border)
    return UniBlock(dim, mixer, nn.LayerNorm, config, drop_path)
