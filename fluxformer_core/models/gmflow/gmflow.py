"""GMFlow (Xu et al. 2022): optical flow as global matching, the flow network of the Fluxformer paper (SPEC 1.2).

One scale, an eighth of the image: features of both images, every cell of the first compared with every cell of the
second, the flow propagated to where nothing matches, and upsampled. GMFlow's and UniMatch's public scale-1 weights
load as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.errors import ConfigError
from fluxformer_core.models.gmflow.features import CHANNELS, SPLITS, STRIDE, Backbone, FeatureTransformer

MULTIPLE = STRIDE * SPLITS
"""Height and width of an image must be multiples of this."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, on which it was trained to be normalised


@dataclass(frozen=True)
class GMFlowConfig:
    """Shape of a GMFlow.

    Raises:
        ConfigError: if a field is outside its range.
    """

    height: int = 224  # px
    width: int = 224  # px
    layers: int = 6  # of the public weights; the Fluxformer paper's net has 4, and its weights are not public

    def __post_init__(self) -> None:
        wrong = []
        if min(self.height, self.width) < MULTIPLE or self.height % MULTIPLE or self.width % MULTIPLE:
            wrong.append(f"height and width must be multiples of {MULTIPLE}, not {self.height} and {self.width}")
        if self.layers < 1:
            wrong.append(f"layers must be at least 1, not {self.layers}")
        if wrong:
            raise ConfigError("; ".join(wrong))


class FlowPropagation(nn.Module):
    """Carries flow from where it was matched to where the image looks alike: occluded places have no match."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(CHANNELS, CHANNELS), nn.Linear(CHANNELS, CHANNELS)
        nn.init.xavier_uniform_(self.q_proj.weight)
        nn.init.xavier_uniform_(self.k_proj.weight)

    def forward(self, features: Tensor, flow: Tensor) -> Tensor:
        """Flow (B, N, 2) averaged by the likeness of features (B, N, CHANNELS)."""
        query = self.q_proj(features)
        # Keys are projected from the queries, not from the features: so the public weights were trained (SPEC 1.2).
        key = self.k_proj(query)
        return _likeness(query, key) @ flow


class GMFlow(nn.Module):
    """Displacement of each pixel from one image to another.

    The size is fixed: positions and window masks are constants, so that the net exports as it is. They are not part of
    the state, so that weights fit any size.
    """

    mean: Tensor
    std: Tensor
    cells: Tensor

    def __init__(self, config: GMFlowConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GMFlowConfig()
        height, width = config.height // STRIDE, config.width // STRIDE
        self.backbone = Backbone()
        self.transformer = FeatureTransformer(height, width, config.layers)
        self.feature_flow_attn = FlowPropagation()
        self.upsampler = nn.Sequential(
            nn.Conv2d(2 + CHANNELS, 256, 3, 1, 1), nn.ReLU(), nn.Conv2d(256, 9 * STRIDE**2, 1)
        )
        self.register_buffer("mean", 255.0 * torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255.0 * torch.tensor(_STD).view(3, 1, 1), persistent=False)
        self.register_buffer("cells", cell_places(height, width), persistent=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Match images.

        Args:
            first: (B, 3, H, W) RGB, float in 0..255, of the configured size.
            second: the same, of a later moment.

        Returns:
            (B, 2, H, W): how many pixels each pixel of `first` moves to the right and down.
        """
        maps = self.backbone((torch.cat([first, second]) - self.mean) / self.std)
        batch = first.shape[0]  # not len(), which an export takes for a constant
        one, two = self.transformer(maps[:batch], maps[batch:])
        tokens = one.flatten(2).transpose(1, 2)  # (B, cells, CHANNELS)
        flow = match(tokens, two.flatten(2).transpose(1, 2), self.cells)
        flow = self.feature_flow_attn(tokens, flow).transpose(1, 2).unflatten(2, one.shape[2:])  # (B, 2, H/8, W/8)
        return upsample_convex(flow, self.upsampler(torch.cat([flow, one], dim=1)), STRIDE)


def cell_places(height: int, width: int) -> Tensor:
    """Column and row of each cell of a map, row by row: (height * width, 2)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows], dim=-1).flatten(0, 1).float()


def match(first: Tensor, second: Tensor, cells: Tensor) -> Tensor:
    """Flow in cells (B, N, 2): the place in the second map that a cell's feature is expected at, less its own.

    Args:
        first: features (B, N, C).
        second: features (B, N, C).
        cells: places (N, 2).
    """
    return _likeness(first, second) @ cells - cells


def upsample_convex(flow: Tensor, weights: Tensor, factor: int) -> Tensor:
    """Each fine pixel's flow as a weighted mean over the 3x3 cells around its own.

    Args:
        flow: (B, 2, h, w) in cells.
        weights: (B, 9 * factor^2, h, w), before the softmax over the 9.
        factor: fine pixels per cell, along each side.

    Returns:
        (B, 2, factor * h, factor * w) in fine pixels.
    """
    height, width = flow.shape[2:]
    share = weights.unflatten(1, (1, 9, factor, factor)).softmax(dim=2)
    around = F.unfold(factor * flow, 3, padding=1).unflatten(2, (height, width)).unflatten(1, (2, 9, 1, 1))
    fine: Tensor = (share * around).sum(dim=2)  # (B, 2, factor, factor, h, w)
    return fine.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)


def _likeness(query: Tensor, key: Tensor) -> Tensor:
    """Softmax over all of the other map, (B, N, N)."""
    scores: Tensor = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    return scores.softmax(dim=-1)
