"""Pooling attention of MViTv2 (Li et al. 2022).

Queries, keys and values are pooled over the token grid by depthwise convolutions, positions enter as decomposed
relative biases, and the pooled query is added to the result ("residual pooling").

`attend_textbook` is this formula. Its biases of all pairs of tokens are a matrix as large as the attention. `attend`
makes the biases part of the product of queries and keys: behind its channels, a query carries its bias for each
position on each axis, and a key carries ones at its own positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.models.depthwise import depthwise_conv3d
from fluxformer_core.models.fields import Grid

_ROUND = 8  # channels of queries and keys are a multiple of this, for the fast kernels of GPUs and CPUs


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
    """The vectors r of one axis, by the distance between query and key on that axis; the bias is q·r."""

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

    Without `own_value` the layer has no value projection and attends over given values, which is what the flow stream
    of duplex attention does (Fluxformer, RA-L 2023).
    """

    key_places: Tensor

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
        width = -(-(d + kt + kh + kw) // _ROUND) * _ROUND
        key_places = _key_places(config.kv_grid, width - d).to(self.proj.weight.device)
        self.register_buffer("key_places", key_places, persistent=False)

    @property
    def extra_multiply_adds(self) -> int:
        """Multiply-adds of one sample that `attend` needs more than `attend_textbook`: those that carry the biases."""
        pairs = (1 + math.prod(self.config.q_grid)) * (1 + math.prod(self.config.kv_grid))
        return 2 * self.config.heads * pairs * self.key_places.shape[1]

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pooled and normalised queries, keys and values of x (B, 1+N, dim); each (B, heads, 1+N', d)."""
        parts = self.qkv(x).chunk(3 if self.own_value else 2, dim=-1)
        q = self.norm_q(self._split(self.pool_q(parts[0])))
        k = self.norm_k(self._split(self.pool_k(parts[1])))
        v = self.norm_v(self._split(self.pool_v(parts[2]))) if self.own_value else None
        return q, k, v

    def attend_textbook(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention as the MViTv2 paper writes it: softmax(QKᵀ/√d + E) V + Q, then the projection; (B, 1+Nq, dim_out).

        The reference for `attend`, which computes the same in less time; a test compares the two.
        """
        t, h, w = self._axis_biases(q)
        pairs = t[..., :, None, None] + h[..., None, :, None] + w[..., None, None, :]  # (B, heads, *q_grid, *kv_grid)
        biases = F.pad(pairs.flatten(5).flatten(2, 4), (1, 0, 1, 0))  # the class token, row and column 0, has no bias
        scores = q @ k.transpose(2, 3) * self.config.head_dim**-0.5 + biases  # (B, heads, 1+Nq, 1+Nk)
        return self._project_out(scores.softmax(dim=3) @ v, q)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of q over (k, v), plus the pooled queries; (B, 1+Nq, dim_out)."""
        d, columns = self.config.head_dim, self.key_places.shape[1]
        key_places = self.key_places.to(k.dtype).expand(*k.shape[:2], -1, -1)
        wide_q = torch.cat([q, self._query_biases(q).to(q.dtype)], dim=3)
        wide_k = torch.cat([k, key_places], dim=3)
        # Values get the width of queries and keys, because fast kernels need equal widths.
        wide = F.scaled_dot_product_attention(wide_q, wide_k, F.pad(v, (0, columns)), scale=d**-0.5)
        return self._project_out(wide[..., :d], q)

    def _project_out(self, attended: Tensor, q: Tensor) -> Tensor:
        """Residual pooling, which leaves out the class token's query as in MViTv2, and the output projection."""
        out = torch.cat([attended[:, :, :1], attended[:, :, 1:] + q[:, :, 1:]], dim=2)
        return self.proj(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(2, (self.config.heads, self.config.head_dim))
        return heads.transpose(1, 2)

    def _axis_biases(self, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Biases of each query for the key positions on each axis: (B, heads, *q_grid, kt), (..., kh), (..., kw)."""
        (qt, qh, qw) = self.config.q_grid
        batch, heads, _, d = q.shape
        grid = q[:, :, 1:].reshape(batch, heads, qt, qh, qw, d)
        t = torch.einsum("bnthwd,tkd->bnthwk", grid, self.rel_t())
        h = torch.einsum("bnthwd,hkd->bnthwk", grid, self.rel_h())
        w = torch.einsum("bnthwd,wkd->bnthwk", grid, self.rel_w())
        return t, h, w

    def _query_biases(self, q: Tensor) -> Tensor:
        """The axis biases side by side, as further channels of the queries: (B, heads, 1+Nq, columns of key_places)."""
        biases = torch.cat(self._axis_biases(q), dim=-1).flatten(2, 4) * self.config.head_dim**0.5  # undone by `scale`
        # The class token has no position: its row is zero, like its row of key_places.
        return F.pad(biases, (0, self.key_places.shape[1] - sum(self.config.kv_grid), 1, 0))


def _key_places(grid: Grid, columns: int) -> Tensor:
    """One-hot positions of each key on each axis, (1+Nk, columns); the row of the class token, row 0, is zero."""
    axes = torch.meshgrid(*(torch.arange(n, device="cpu") for n in grid), indexing="ij")
    places = torch.zeros(1 + math.prod(grid), columns, device="cpu")
    first = 0
    for n, place in zip(grid, axes, strict=True):
        places[torch.arange(1, len(places), device="cpu"), first + place.flatten()] = 1.0
        first += n
    return places
