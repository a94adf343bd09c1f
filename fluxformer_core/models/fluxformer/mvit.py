"""Multiscale vision transformer, MViTv2 (Li et al. 2022): the trunk of Fluxformer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fluxformer_core.declared import check
from fluxformer_core.models.fields import AtLeastOne, BelowOne, Depths, Grid, LayerScale, Stride, clip_problems
from fluxformer_core.models.fluxformer.attention import AttentionConfig, PoolingAttention
from fluxformer_core.models.layers import Mlp, ResidualBranch
from fluxformer_core.models.stem import conv3d, conv_stem, half


@dataclass(frozen=True)
class MViTConfig:
    """A trunk. Each stage after the first doubles channels and heads and halves the grid's height and width.

    Raises:
        ConfigError: if a field is outside its range or the clip is not divisible by the strides.
    """

    frames: int = 16
    size: int = 224  # px
    depths: Depths = (1, 2, 11, 2)
    dim: AtLeastOne = 96  # channels of the first stage
    heads: AtLeastOne = 1  # of the first stage
    stem_kernel: Grid = (3, 7, 7)
    stem_stride: Stride = (2, 4, 4)
    stem_widths: tuple[AtLeastOne, ...] = ()  # channels of convolutions before the embedding; empty as in the paper
    pool_kernel: Grid = (3, 3, 3)  # of the depthwise convolutions that pool queries, keys and values
    kv_stride: AtLeastOne = 8  # of keys and values in the first stage, halved at each transition
    coarse_transitions: bool = False  # halve kv_stride after the transition block, whose keys then cost a quarter
    mlp_ratio: AtLeastOne = 4
    drop_path: BelowOne = 0.2  # of the last block, growing linearly from 0
    layer_scale: LayerScale = None

    def __post_init__(self) -> None:
        check(self)
        wrong = []
        if self.dim % self.heads:
            wrong.append(f"dim must be a multiple of heads, not {self.dim} for {self.heads} heads")
        if not all(k > 0 and k % 2 for k in (*self.stem_kernel, *self.pool_kernel)):
            wrong.append(f"stem_kernel and pool_kernel must be odd, not {self.stem_kernel} and {self.pool_kernel}")
        wrong += clip_problems(self.frames, self.size, self.stem_stride, self.stem_widths, len(self.depths))
        check(self, wrong)

    @property
    def grid(self) -> Grid:
        """Tokens of the first stage."""
        t, h, w = self.stem_stride
        return self.frames // t, self.size // h, self.size // w

    @property
    def dim_out(self) -> int:
        """Channels of the last stage."""
        return self.dim << (len(self.depths) - 1)

    def attentions(self) -> list[AttentionConfig]:
        """The attention of every block, first to last."""
        blocks: list[AttentionConfig] = []
        grid, dim, heads, kv = self.grid, self.dim, self.heads, self.kv_stride
        for stage, depth in enumerate(self.depths):
            for index in range(depth):
                transition = stage > 0 and index == 0
                out = dim * 2 if transition else dim
                heads = heads * 2 if transition else heads
                q_stride: Grid = (1, 2, 2) if transition else (1, 1, 1)
                if transition and not self.coarse_transitions:
                    kv = max(kv // 2, 1)
                # The transition block reads the finer grid of the stage before it.
                blocks.append(AttentionConfig(dim, out, heads, grid, q_stride, (1, kv, kv), self.pool_kernel))
                if transition and self.coarse_transitions:
                    kv = max(kv // 2, 1)
                grid, dim = blocks[-1].q_grid, out
        return blocks


class PatchEmbed(nn.Module):
    """Embeds overlapping tubelets of a clip: (B, 3, T, H, W) -> (B, N, dim)."""

    def __init__(self, config: MViTConfig) -> None:
        super().__init__()
        if config.stem_widths:
            self.conv, width, stride = conv_stem(config.stem_widths, config.stem_stride)
            last = conv3d(width, config.dim, (3, 3, 3), stride, (1, 1, 1))
            self.proj: nn.Module = nn.Sequential(last, nn.BatchNorm3d(config.dim))
        else:
            self.conv = nn.Identity()
            padding = half(config.stem_kernel)
            self.proj = conv3d(3, config.dim, config.stem_kernel, config.stem_stride, padding, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.conv(x)).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pooling attention and an MLP, each with a residual path. Transitions double the channels and shrink the grid."""

    def __init__(self, config: AttentionConfig, trunk: MViTConfig, drop_path: float) -> None:
        super().__init__()
        self.config = config
        self.norm1 = nn.LayerNorm(config.dim, eps=1e-6)
        self.attn = PoolingAttention(config)
        self.norm2 = nn.LayerNorm(config.dim_out, eps=1e-6)
        self.mlp = Mlp(config.dim_out, config.dim_out * trunk.mlp_ratio)
        self.attn_branch = ResidualBranch(config.dim_out, drop_path, trunk.layer_scale)
        self.mlp_branch = ResidualBranch(config.dim_out, drop_path, trunk.layer_scale)
        self.proj: nn.Module = nn.Identity()
        if config.dim != config.dim_out:
            self.proj = nn.Linear(config.dim, config.dim_out)

    def skip(self, x: Tensor, normed: Tensor) -> Tensor:
        """The residual path, brought to the channels and the grid of the attention's output."""
        if isinstance(self.proj, nn.Linear):
            x = self.proj(normed)
        return _pool_skip(x, self.config)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        q, k, v = self.attn.project(normed)
        assert v is not None
        x = self.skip(x, normed) + self.attn_branch(self.attn.attend(q, k, v))
        return x + self.mlp_branch(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


def _pool_skip(x: Tensor, config: AttentionConfig) -> Tensor:
    if config.q_stride == (1, 1, 1):
        return x
    kernel = tuple(s + 1 if s > 1 else s for s in config.q_stride)
    grid = x[:, 1:].transpose(1, 2).unflatten(2, config.grid)
    pooled = nn.functional.max_pool3d(grid, kernel, config.q_stride, [k // 2 for k in kernel])
    return torch.cat([x[:, :1], pooled.flatten(2).transpose(1, 2)], dim=1)
