"""Spatial attention clustering: support tokens that summarise *where* things are in the clip.

The Fluxformer paper (RA-L 2023) clusters tubelets; this form of it is differentiable and deterministic: tubelets are
assigned softly to learned prototypes in a few unrolled k-means rounds. The centroids become the support tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.models.fields import Grid


class ClusteringTokens(nn.Module):
    """Clip (B, 3, T, H, W) -> support tokens (B, K = clusters, dim), after some unrolled k-means rounds.

    The tubelet is the kernel and the stride of the embedding. A hard assignment gives each tubelet to one prototype;
    gradients flow as if the assignment were soft.
    """

    def __init__(self, clip: Grid, tubelet: Grid, dim: int, clusters: int, rounds: int, *, hard: bool = False) -> None:
        super().__init__()
        self.rounds, self.hard = rounds, hard
        t, h, w = (n // s for n, s in zip(clip, tubelet, strict=True))
        self.embed = nn.Conv3d(3, dim, tubelet, tubelet)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.position_t = nn.Parameter(torch.zeros(1, t, 1, 1, dim))
        self.position_h = nn.Parameter(torch.zeros(1, 1, h, 1, dim))
        self.position_w = nn.Parameter(torch.zeros(1, 1, 1, w, dim))
        self.prototypes = nn.Parameter(torch.empty(clusters, dim))
        self.log_sharpness = nn.Parameter(torch.tensor(2.0))  # e² = 7.4: a soft assignment at the start of training
        self.out_norm = nn.LayerNorm(dim, eps=1e-6)
        self.out = nn.Linear(dim, dim)
        self.type_embedding = nn.Parameter(torch.zeros(1, 1, dim))
        for p in (self.position_t, self.position_h, self.position_w, self.type_embedding):
            nn.init.trunc_normal_(p, std=0.02)
        nn.init.trunc_normal_(self.prototypes)

    def forward(self, rgb: Tensor) -> Tensor:
        return self.assign(rgb)[0]

    def assign(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Support tokens (B, K, dim) and the assignment (B, T', H', W', K) of tubelets to them."""
        z = self.norm(self.embed(rgb).permute(0, 2, 3, 4, 1))  # (B, T', H', W', dim)
        grid = z.shape[1:4]
        z = (z + self.position_t + self.position_h + self.position_w).flatten(1, 3)
        direction = F.normalize(z, dim=-1)
        centre = self.prototypes.to(z.dtype).expand(z.shape[0], -1, -1)
        for _ in range(self.rounds):
            similarity = direction @ F.normalize(centre, dim=-1).transpose(1, 2)
            share = (similarity * self.log_sharpness.exp()).softmax(dim=-1)  # (B, N, K)
            if self.hard:
                winner = F.one_hot(share.argmax(dim=-1), share.shape[-1]).to(share.dtype)
                share = winner + share - share.detach()  # straight-through estimator: hard value, soft gradient
            centre = share.transpose(1, 2) @ z / (share.sum(dim=1)[..., None] + 1e-6)
        tokens = self.out(self.out_norm(centre)) + self.type_embedding
        return tokens, share.unflatten(1, grid)
