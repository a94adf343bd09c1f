"""Explicit motion information mining: attention between neighbouring frames that tells how things moved (EMIM, 2025).

Every query is compared with a window of the neighbouring frame. The affinities are used twice: after a softmax they
gather the appearance at the place that the query came from or goes to; without one a small net reads the motion.

Affinities are computed by whole rows: a row of queries times the rows of keys around that row is one matrix product.
Padding and reshaping cut each query's own offsets out of the product, which exports to every backend.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.models.fields import Grid

Pairing = Literal["next", "causal"]
"""The frame that a frame is compared with: the next, as in the paper, or the previous (causal), as a stream needs."""

Border = Literal["mask", "pad"]
"""Cells outside the picture: masked in the softmax, or padded with zeros as in the paper."""


class MotionMining(nn.Module):
    """Appearance and motion of tokens (B, T, H, W, dim) from the neighbouring frame.

    The grid is the height and width of a frame. A query is compared with a square of tokens whose side is the window,
    an odd number. With pairing `next` the last frame repeats the result of the frame before; with `causal` the first
    frame is compared with itself.
    """

    inside: Tensor

    def __init__(
        self,
        dim: int,
        heads: int,
        grid: tuple[int, int],
        window: int = 7,
        *,
        pairing: Pairing = "next",
        border: Border = "mask",
    ) -> None:
        super().__init__()
        self.heads, self.window, self.pairing, self.border = heads, window, pairing, border
        self.scale = (dim // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.position_bias = nn.Parameter(torch.zeros(heads, window, window))
        self.motion1, self.motion2 = nn.Linear(window**2, 4 * window**2), nn.Linear(4 * window**2, dim // heads)
        inside = _inside(*grid, window).to(self.position_bias.device)
        self.register_buffer("inside", inside, persistent=False)
        self.start()  # `initialise` calls this again

    def start(self) -> None:
        """Initialise as attention alone, with motion output zero."""
        nn.init.trunc_normal_(self.position_bias, std=0.02)
        nn.init.xavier_uniform_(self.motion1.weight)
        for silent in (self.motion1.bias, self.motion2.weight, self.motion2.bias):
            nn.init.zeros_(silent)

    def forward(self, x: Tensor) -> Tensor:
        parts = (part.unflatten(4, (self.heads, -1)) for part in self.qkv(x).chunk(3, dim=-1))
        q, k, v = self._paired(*(part.permute(0, 1, 4, 2, 3, 5) for part in parts))  # (B, T, heads, H, W, d)
        affinity = self.affinity(q, k)
        out = self._appearance(affinity, v) + self._motion(affinity)
        if self.pairing == "next":
            out = torch.cat([out, out[:, -1:]], dim=1)
        return self.proj(out.permute(0, 1, 3, 4, 2, 5).flatten(4))  # type: ignore[no-any-return]

    def affinity(self, q: Tensor, k: Tensor) -> Tensor:
        """Similarity of every query (B, T, heads, H, W, d) to the keys around the same place in the other frames.

        The result is (B, T, heads, H, W, window, window), by offset down and right; the bias alone outside the picture.
        """
        rows = self._rows(k)
        products = (self.scale * q) @ rows.transpose(-1, -2)  # (B, T, heads, H, W, window*W)
        products = products.unflatten(-1, (self.window, -1)).transpose(-2, -3)  # (..., H, window, W, W)
        own: Tensor = _own_offsets(products, self.window).transpose(-2, -3)  # (..., H, W, window, window)
        return own + self.position_bias[:, None, None]

    def _paired(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.pairing == "next":
            return q[:, :-1], k[:, 1:], v[:, 1:]
        return q, torch.cat([k[:, :1], k[:, :-1]], dim=1), torch.cat([v[:, :1], v[:, :-1]], dim=1)

    def _appearance(self, affinity: Tensor, v: Tensor) -> Tensor:
        if self.border == "mask":
            affinity = affinity.masked_fill(~self.inside, float("-inf"))
        share = affinity.flatten(-2).softmax(dim=-1, dtype=torch.float32).to(v.dtype)
        share = share.unflatten(-1, (self.window, self.window)).transpose(-2, -3)  # (..., H, window, W, window)
        share = _all_columns(share, v.shape[-2]).transpose(-2, -3).flatten(-2)  # (..., H, W, window*W)
        return share @ self._rows(v)

    def _motion(self, affinity: Tensor) -> Tensor:
        if self.border == "mask":
            affinity = affinity.masked_fill(~self.inside, 0.0)
        hidden = self.motion1(affinity.flatten(-2))
        return self.motion2(hidden * torch.sigmoid(1.702 * hidden))  # type: ignore[no-any-return]

    def _rows(self, x: Tensor) -> Tensor:
        """For each row of (..., H, W, d), all rows within the windows, concatenated: (..., H, window*W, d)."""
        reach, height = self.window // 2, x.shape[-3]
        padded = F.pad(x, (0, 0, 0, 0, reach, reach))
        return torch.stack([padded[..., i : i + height, :, :] for i in range(self.window)], dim=-3).flatten(-3, -2)


class MinedMotion(nn.Module):
    """Causal motion mining for a trunk without flow, added to tokens (B, 1+N, dim) through a learned gate.

    The class token, row 0, is not changed. `gate` is the start of the learned gate: 0 starts as the plain trunk.
    """

    def __init__(self, dim: int, heads: int, grid: Grid, window: int, *, gate: float) -> None:
        super().__init__()
        self.grid = grid
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.mining = MotionMining(dim, heads, grid[1:], window, pairing="causal")
        self.gamma = nn.Parameter(torch.full((dim,), gate))

    def forward(self, x: Tensor) -> Tensor:
        found = self.mining(self.norm(x[:, 1:]).unflatten(1, self.grid)).flatten(1, 3)
        return torch.cat([x[:, :1], x[:, 1:] + self.gamma * found], dim=1)


def _own_offsets(x: Tensor, window: int) -> Tensor:
    """(..., W, W) by query and key -> (..., W, window) by query and offset; 0 where there is no key.

    The flat matrix is read in rows that are one element longer: each row begins one place later, which turns diagonals
    into columns.
    """
    width, reach = x.shape[-1], window // 2
    padded = F.pad(x, (reach, reach)).flatten(-2)
    shifted: Tensor = F.pad(padded, (0, width)).unflatten(-1, (width, width + window))
    return shifted[..., :window]


def _all_columns(x: Tensor, width: int) -> Tensor:
    """The inverse, (..., W, window) -> (..., W, W): 0 for keys outside the window."""
    window = x.shape[-1]
    padded = F.pad(x, (0, width)).flatten(-2)
    columns: Tensor = padded[..., : width * (width + window - 1)].unflatten(-1, (width, -1))
    return columns[..., window // 2 :][..., :width]


def _inside(height: int, width: int, window: int) -> Tensor:
    """Whether (y, x) plus an offset lies in the picture: (H, W, window, window)."""
    # On the CPU even where the default device is meta, whose integer arithmetic takes PyTorch seconds to import.
    offset = torch.arange(window, device="cpu") - window // 2
    rows, columns = (
        (place >= 0) & (place < size)
        for size in (height, width)
        for place in [torch.arange(size, device="cpu")[:, None] + offset]
    )
    return rows[:, None, :, None] & columns[None, :, None, :]
