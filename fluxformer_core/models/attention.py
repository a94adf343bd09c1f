"""Pooling attention of MViTv2 (Li et al. 2022).

Queries, keys and values are pooled over the token grid by depthwise convolutions, positions enter as decomposed
relative biases, and the pooled query is added to the result (SPEC 1.6).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.models.depthwise import depthwise_conv3d
from fluxformer_core.models.layers import Grid


@dataclass(frozen=True)
class AttentionConfig:
    """Shape of one pooling attention."""

    dim: int  # channels of the input tokens
    dim_out: int  # channels of the output tokens
    heads: int
    grid: Grid  # of the input tokens, CLS not counted
    q_stride: Grid
    kv_stride: Grid
    kernel: Grid = (3, 3, 3)

    @property
    def q_grid(self) -> Grid:
        return _strided(self.grid, self.q_stride)

    @property
    def kv_grid(self) -> Grid:
        return _strided(self.grid, self.kv_stride)

    @property
    def head_dim(self) -> int:
        return self.dim_out // self.heads


def _strided(grid: Grid, stride: Grid) -> Grid:
    t, h, w = (-(-n // s) for n, s in zip(grid, stride, strict=True))
    return t, h, w


class TokenPool(nn.Module):
    """Depthwise convolution over the token grid with one kernel shared by all heads, then a norm per head.

    The class token, row 0, is not convolved.
    """

    def __init__(self, config: AttentionConfig, stride: Grid) -> None:
        super().__init__()
        self.grid, self.stride, self.heads = config.grid, stride, config.heads
        self.weight = nn.Parameter(torch.empty(config.head_dim, 1, *config.kernel))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, channels = x.shape  # (B, 1+N, heads*d)
        cls, tokens = x[:, :1], x[:, 1:]
        grid = tokens.reshape(batch, *self.grid, channels).permute(0, 4, 1, 2, 3)  # channels last in memory
        # The heads lie side by side in the channels: repeating the kernel keeps that layout and saves two copies.
        weight = self.weight.repeat(self.heads, 1, 1, 1, 1).to(grid.dtype)
        pooled = depthwise_conv3d(grid, weight, self.stride)
        return torch.cat([cls, pooled.permute(0, 2, 3, 4, 1).reshape(batch, -1, channels)], dim=1)  # (B, 1+N', C)


class RelativePosition(nn.Module):
    """Bias q·r of one axis, r looked up by the distance between query and key on that axis."""

    index: Tensor

    def __init__(self, queries: int, keys: int, head_dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2 * max(queries, keys) - 1, head_dim))
        nn.init.trunc_normal_(self.table, std=0.02)
        # On the CPU even where the default device is meta, whose integer arithmetic takes PyTorch seconds to import.
        q = torch.arange(queries, device="cpu")[:, None] * max(keys / queries, 1.0)
        k = torch.arange(keys, device="cpu")[None, :] * max(queries / keys, 1.0)
        distance = q - k + (keys - 1) * max(queries / keys, 1.0)
        self.register_buffer("index", distance.long().to(self.table.device), persistent=False)

    def forward(self) -> Tensor:
        return self.table[self.index]  # (queries, keys, d)


class PoolingAttention(nn.Module):
    """Multi-head attention over pooled tokens.

    Args:
        config: shapes.
        own_value: without it the layer has no value projection and attends over the values that it is given, which is
            what the flow stream of duplex attention does (SPEC 1.4).
    """

    def __init__(self, config: AttentionConfig, *, own_value: bool = True) -> None:
        super().__init__()
        self.config, self.own_value = config, own_value
        dim, d = config.dim_out, config.head_dim
        self.qkv = nn.Linear(config.dim, dim * (3 if own_value else 2))
        self.pool_q = TokenPool(config, config.q_stride)
        self.pool_k = TokenPool(config, config.kv_stride)
        self.norm_q, self.norm_k = nn.LayerNorm(d, eps=1e-6), nn.LayerNorm(d, eps=1e-6)
        if own_value:
            self.pool_v = TokenPool(config, config.kv_stride)
            self.norm_v = nn.LayerNorm(d, eps=1e-6)
        (qt, qh, qw), (kt, kh, kw) = config.q_grid, config.kv_grid
        self.rel_t = RelativePosition(qt, kt, d)
        self.rel_h = RelativePosition(qh, kh, d)
        self.rel_w = RelativePosition(qw, kw, d)
        self.proj = nn.Linear(dim, dim)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pooled and normalised queries, keys and values of x (B, 1+N, dim); each (B, heads, 1+N', d)."""
        parts = self.qkv(x).chunk(3 if self.own_value else 2, dim=-1)
        q = self.norm_q(self._split(self.pool_q(parts[0])))
        k = self.norm_k(self._split(self.pool_k(parts[1])))
        v = self.norm_v(self._split(self.pool_v(parts[2]))) if self.own_value else None
        return q, k, v

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of q over (k, v), plus the pooled queries; (B, 1+Nq, dim_out)."""
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(q).to(q.dtype))
        # Residual pooling; the class token's query is left out of it, as in MViTv2.
        out = torch.cat([out[:, :, :1], out[:, :, 1:] + q[:, :, 1:]], dim=2)
        return self.proj(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(2, (self.config.heads, self.config.head_dim))
        return heads.transpose(1, 2)

    def _bias(self, q: Tensor) -> Tensor:
        (qt, qh, qw), (kt, kh, kw) = self.config.q_grid, self.config.kv_grid
        batch, heads, _, d = q.shape
        grid = q[:, :, 1:].reshape(batch, heads, qt, qh, qw, d)
        t = torch.einsum("bnthwd,tkd->bnthwk", grid, self.rel_t())[..., :, None, None]
        h = torch.einsum("bnthwd,hkd->bnthwk", grid, self.rel_h())[..., None, :, None]
        w = torch.einsum("bnthwd,wkd->bnthwk", grid, self.rel_w())[..., None, None, :]
        bias: Tensor = (t + h + w).reshape(batch, heads, qt * qh * qw, kt * kh * kw)
        # The class token has no position.
        return F.pad(bias, (1, 0, 1, 0))
