"""GMFlow (Xu et al. 2022): optical flow as global matching, the flow network of the Fluxformer paper (RA-L 2023).

At an eighth of the image's size, features of both images are computed and every cell of the first image is compared
with every cell of the second. Flow is propagated to cells without a match, then upsampled. The public scale-1 weights
of GMFlow and UniMatch load unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.declared import check
from fluxformer_core.models.gmflow.features import CHANNELS, SPLITS, STRIDE, Backbone, FeatureTransformer

MULTIPLE = STRIDE * SPLITS
"""Height and width of an image must be multiples of this."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as in the training of the public weights


@dataclass(frozen=True)
class GMFlowConfig:
    """Shape of a GMFlow.

    Raises:
        ConfigError: if a field is outside its range.
    """

    height: Annotated[int, Field(ge=MULTIPLE, multiple_of=MULTIPLE)] = 224  # px
    width: Annotated[int, Field(ge=MULTIPLE, multiple_of=MULTIPLE)] = 224  # px
    layers: Annotated[int, Field(ge=1)] = 6  # of the public weights; the Fluxformer paper's net has 4, without weights

    def __post_init__(self) -> None:
        check(self)


class FlowPropagation(nn.Module):
    """Carries flow from matched cells to cells with similar features, because occluded cells have no match."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(CHANNELS, CHANNELS), nn.Linear(CHANNELS, CHANNELS)
        nn.init.xavier_uniform_(self.q_proj.weight)
        nn.init.xavier_uniform_(self.k_proj.weight)

    def forward(self, features: Tensor, flow: Tensor) -> Tensor:
        """Flow (B, N, 2) averaged by the similarity of features (B, N, CHANNELS)."""
        query = self.q_proj(features)
        # Keys are projected from the queries, not from the features: the public weights were trained so.
        key = self.k_proj(query)
        return _similarity(query, key) @ flow


class GMFlow(nn.Module):
    """Displacement of each pixel from one image to another.

    The size is fixed: positions and window masks are constants, so that the net can be exported. The constants are not
    part of the state, so that weights fit any size.
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
        batch = first.shape[0]  # not len(), which an export would fix as a constant
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
    """Flow in cells (B, N, 2): the expected place of a cell's feature in the second map, minus the cell's own place.

    Args:
        first: features (B, N, C).
        second: features (B, N, C).
        cells: places (N, 2).
    """
    return _similarity(first, second) @ cells - cells


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


def _similarity(query: Tensor, key: Tensor) -> Tensor:
    """Softmax of the feature products over all cells of the other map, (B, N, N)."""
    scores: Tensor = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    return scores.softmax(dim=-1)
