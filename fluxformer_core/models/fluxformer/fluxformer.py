"""Fluxformer (RA-L 2023): `Fluxformer.forward` reads from top to bottom like the paper's overview figure.

RGB and flow clips are embedded separately and pass through duplex blocks; the flow stream ends there and the rest of
the multiscale trunk works on RGB tokens. Support tokens from spatial clustering join them for a last self-attention,
and the class token is classified.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fluxformer_core.declared import check
from fluxformer_core.models.emim.mining import MinedMotion
from fluxformer_core.models.fields import BelowOne, Grid
from fluxformer_core.models.fluxformer.clustering import ClusteringTokens
from fluxformer_core.models.fluxformer.duplex import DuplexBlock, DuplexMode
from fluxformer_core.models.fluxformer.mvit import Block, MViTConfig, PatchEmbed
from fluxformer_core.models.layers import Mlp, Prediction, ResidualBranch, drop_rates, initialise, sample_mask

LARGEST_GATE = 100.0
"""Far beyond any useful value: a damaged file may name a number that float32 cannot hold."""
Gate = Annotated[float, Field(ge=-LARGEST_GATE, le=LARGEST_GATE)]


@dataclass(frozen=True)
class FluxformerConfig:
    """A Fluxformer; without duplex stages and clusters it is a plain MViTv2.

    Raises:
        ConfigError: if a field is outside its range or contradicts the trunk.
    """

    trunk: MViTConfig
    duplex: DuplexMode | Literal["off"] = "cross"
    duplex_stages: tuple[int, ...] = (1,)  # counted from 1, without gaps
    gate: Gate = 0.0  # start of the learned gate on motion: 0 starts as the plain trunk, 1 suits training from scratch
    clusters: Annotated[int, Field(ge=0)] = 16  # support tokens; 0: no clustering and no final self-attention
    cluster_rounds: int = 3
    hard_clusters: bool = False  # each tubelet belongs to one cluster, instead of to all clusters by degrees
    tubelet: Grid = (2, 16, 16)
    final_blocks: int = 1
    final_heads: int = 8
    flow_dropout: BelowOne = 0.15  # share of training samples without flow, so that the net works without flow
    readout: Literal["cls", "mean"] = "cls"  # classify the class token, or the mean of all tokens (learns faster)
    head_dropout: BelowOne = 0.5
    mined_stages: tuple[int, ...] = ()  # counted from 1: motion is mined from colour after the first block of each
    mining_window: int = 7  # tokens, odd: side of the window in which motion is looked for
    family: Literal["fluxformer"] = "fluxformer"

    def __post_init__(self) -> None:
        check(self)
        wrong, depth = [], len(self.trunk.depths)
        counted, mined = tuple(range(1, len(self.duplex_stages) + 1)), set(self.mined_stages)
        if self.duplex != "off" and (self.duplex_stages != counted or not 1 <= len(counted) <= depth):
            wrong.append(f"duplex_stages must count up from 1, at most to {depth}, not {self.duplex_stages}")
        if len(mined) < len(self.mined_stages) or not mined <= set(range(1, depth + 1)):
            wrong.append(f"mined_stages must be some of the trunk's 1 to {depth}, not {self.mined_stages}")
        if mined and (self.mining_window < 1 or not self.mining_window % 2):
            wrong.append(f"mining_window must be odd, not {self.mining_window}")
        check(self, [*wrong, *(self._clustering_problems() if self.clusters else ())])

    @property
    def frames(self) -> int:
        return self.trunk.frames

    @property
    def size(self) -> int:
        return self.trunk.size

    @property
    def width(self) -> int:
        return self.trunk.dim_out

    @property
    def num_blocks(self) -> int:
        return sum(self.trunk.depths) + (self.final_blocks if self.clusters else 0)

    @property
    def takes_flow(self) -> bool:
        return self.duplex != "off"

    def resized(self, frames: int, size: int) -> FluxformerConfig:
        """The same net for another clip, on which the relative positions and the clustering's positions depend."""
        return replace(self, trunk=replace(self.trunk, frames=frames, size=size))

    def _clustering_problems(self) -> list[str]:
        wrong, trunk, counts = [], self.trunk, (self.cluster_rounds, self.final_blocks)
        if min(counts) < 1:
            wrong.append(f"cluster_rounds and final_blocks must be at least 1, not {counts[0]} and {counts[1]}")
        clip = (trunk.frames, trunk.size, trunk.size)
        if min(self.tubelet) < 1 or any(n % s for n, s in zip(clip, self.tubelet, strict=True)):
            wrong.append(f"tubelet {self.tubelet} must divide the clip {clip}")
        if self.final_heads < 1 or trunk.dim_out % self.final_heads:
            wrong.append(f"final_heads must divide the trunk's {trunk.dim_out} channels, not {self.final_heads}")
        return wrong


class SelfAttentionBlock(nn.Module):
    """Plain pre-norm transformer block over a set of tokens (B, N, dim)."""

    def __init__(self, dim: int, heads: int, layer_scale: float | None) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = Mlp(dim, 4 * dim)
        self.attn_branch = ResidualBranch(dim, 0.0, layer_scale)
        self.mlp_branch = ResidualBranch(dim, 0.0, layer_scale)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        attended = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.attn_branch(self.proj(attended))
        return x + self.mlp_branch(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class Fluxformer(nn.Module):
    """Clip in, logits and embedding out."""

    def __init__(self, config: FluxformerConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        trunk = config.trunk
        blocks = trunk.attentions()
        self.num_duplex = 0 if config.duplex == "off" else sum(trunk.depths[: max(config.duplex_stages)])
        self.patch_embed = PatchEmbed(trunk)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, trunk.dim))
        self.blocks = nn.ModuleList()
        drops = chain.from_iterable(drop_rates(trunk.drop_path, trunk.depths))
        for i, (attention, drop) in enumerate(zip(blocks, drops, strict=True)):
            if config.duplex != "off" and i < self.num_duplex:
                self.blocks.append(DuplexBlock(attention, trunk, drop, mode=config.duplex, gate=config.gate))
            else:
                self.blocks.append(Block(attention, trunk, drop))
        if self.num_duplex:
            self.flow_embed = PatchEmbed(trunk)
        self.mined = nn.ModuleDict()
        for stage in config.mined_stages:
            first = sum(trunk.depths[: stage - 1])
            shape = blocks[first]
            self.mined[str(first)] = MinedMotion(
                shape.dim_out, shape.heads, shape.q_grid, config.mining_window, gate=config.gate
            )
        dim = trunk.dim_out
        if config.clusters:
            clip = (trunk.frames, trunk.size, trunk.size)
            self.clustering = ClusteringTokens(
                clip, config.tubelet, dim, config.clusters, config.cluster_rounds, hard=config.hard_clusters
            )
            self.final = nn.Sequential(
                *[SelfAttentionBlock(dim, config.final_heads, trunk.layer_scale) for _ in range(config.final_blocks)]
            )
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.dropout = nn.Dropout(config.head_dropout)
        self.head = nn.Linear(dim, num_classes)
        initialise(self)
        nn.init.trunc_normal_(self.cls_token, std=0.02)

    def forward(self, rgb: Tensor, flow: Tensor | None = None) -> Prediction:
        """Classify clips.

        Args:
            rgb: (B, 3, T, H, W), normalised as the ClipSpec says.
            flow: (B, 3, T, H, W), encoded (u, v, magnitude); None runs the RGB stream alone.
        """
        rgb_tokens = self._tokens(self.patch_embed, rgb)  # (B, 1 + N, dim)
        flow_tokens = keep = None
        if flow is not None and self.num_duplex:
            flow_tokens = self._tokens(self.flow_embed, flow)
            if self.training and self.config.flow_dropout:
                keep = sample_mask(rgb_tokens, self.config.flow_dropout)  # (B, 1, 1)
        for i, block in enumerate(self.blocks):
            if flow_tokens is not None and i < self.num_duplex:
                rgb_tokens, flow_tokens = block.forward_duplex(rgb_tokens, flow_tokens, keep)  # type: ignore[operator]
            else:
                rgb_tokens = block(rgb_tokens)
            if str(i) in self.mined:
                rgb_tokens = self.mined[str(i)](rgb_tokens)
        if self.config.clusters:
            support_tokens = self.clustering(rgb)  # (B, K, dim_out)
            rgb_tokens = self.final(torch.cat([rgb_tokens, support_tokens], dim=1))
        normed = self.norm(rgb_tokens)
        embedding = normed[:, 0] if self.config.readout == "cls" else normed.mean(dim=1)  # (B, dim_out)
        return Prediction(self.head(self.dropout(embedding)), embedding)

    def _tokens(self, embed: PatchEmbed, clip: Tensor) -> Tensor:
        x = embed(clip)
        return torch.cat([self.cls_token.to(x.dtype).expand(x.shape[0], -1, -1), x], dim=1)
