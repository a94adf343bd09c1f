"""Duplex attention: an RGB stream and a flow stream through one block (Fluxformer, RA-L 2023).

The RGB stream attends to its own tokens. The flow stream decides *where* to look by its own queries and keys, and reads
*what* is there from the RGB stream's values. The flow stream's MLP output is added to RGB through a learned gate.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from fluxformer_core.models.fluxformer.attention import AttentionConfig, PoolingAttention
from fluxformer_core.models.fluxformer.mvit import Block, MViTConfig

DuplexMode = Literal["cross", "self", "bidirectional"]


class DuplexBlock(Block):
    """A trunk block with a second attention for flow; norms, MLP and skip path are shared by both streams.

    The mode is `cross` (flow attends over RGB's values), `self` (flow over its own values, as the released code does)
    or `bidirectional` (as cross, and RGB also attends over flow's values through a second gate). `gate` is the start of
    the learned gate on flow's contribution; 0 starts as the plain block.
    """

    def __init__(
        self, config: AttentionConfig, trunk: MViTConfig, drop_path: float, *, mode: DuplexMode, gate: float
    ) -> None:
        super().__init__(config, trunk, drop_path)
        self.mode = mode
        self.flow_attn = PoolingAttention(config, own_value=mode != "cross")
        self.gamma = nn.Parameter(torch.full((config.dim_out,), gate))
        if mode == "bidirectional":
            self.value_gate = nn.Parameter(torch.zeros(config.head_dim))

    def forward_duplex(self, rgb: Tensor, flow: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both streams, each (B, 1+N, dim) -> (B, 1+N', dim_out).

        `keep` (B, 1, 1) is 0 for samples whose flow is ignored; None keeps the flow of all samples.
        """
        rgb_normed, flow_normed = self.norm1(rgb), self.norm1(flow)
        q, k, v = self.attn.project(rgb_normed)
        flow_q, flow_k, flow_v = self.flow_attn.project(flow_normed)
        assert v is not None
        flow_values = v
        if self.mode == "self" and flow_v is not None:
            flow_values = flow_v
        if self.mode == "bidirectional" and flow_v is not None:
            gated = self.value_gate * flow_v
            v = v + (gated if keep is None else gated * keep[..., None])
        flow = self.skip(flow, flow_normed) + self.attn_branch(self.flow_attn.attend(flow_q, flow_k, flow_values))
        rgb = self.skip(rgb, rgb_normed) + self.attn_branch(self.attn.attend(q, k, v))
        # One draw of drop path serves both streams, so that flow's MLP vanishes from both or from neither.
        flow_mlp = self.mlp_branch(self.mlp(self.norm2(flow)))
        shared = self.gamma * flow_mlp
        rgb = rgb + self.mlp_branch(self.mlp(self.norm2(rgb))) + (shared if keep is None else shared * keep)
        return rgb, flow + flow_mlp
