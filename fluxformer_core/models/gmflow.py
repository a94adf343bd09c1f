"""GMFlow (Xu et al. 2022): optical flow as global matching, the flow network of the Fluxformer paper (RA-L 2023).

At an eighth of the image's size, features of both images are computed by a small convolutional net and a transformer
that sees both images. Every cell of the first image is compared with every cell of the second. Flow is propagated to
cells without a match, then upsampled. Modules are named as in the public scale-1 checkpoints of GMFlow and UniMatch, so
that their weights load unchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fluxformer_core.declared import check

CHANNELS = 128
STRIDE = 8  # px of the image per cell of the feature map
SPLITS = 2  # windows of self- and cross-attention along each side of the map
_FORBIDDEN = -100.0  # added to the score of two cells that are neighbours only by the cyclic shift

MULTIPLE = STRIDE * SPLITS
"""Height and width of an image must be multiples of this."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as in the training of the public weights


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.downsample = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), nn.InstanceNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(F.instance_norm(self.conv1(x)))
        y = F.relu(F.instance_norm(self.conv2(y)))
        return F.relu(self.downsample(x) + y)


class Backbone(nn.Module):
    """Images (B, 3, H, W) to features (B, CHANNELS, H/8, W/8), each image independently."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.layer1 = nn.Sequential(ResidualBlock(64, 64, 1), ResidualBlock(64, 64, 1))
        self.layer2 = nn.Sequential(ResidualBlock(64, 96, 2), ResidualBlock(96, 96, 1))
        self.layer3 = nn.Sequential(ResidualBlock(96, 128, 2), ResidualBlock(128, 128, 1))
        self.conv2 = nn.Conv2d(128, CHANNELS, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.instance_norm(self.conv1(x)))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))  # type: ignore[no-any-return]


def sine_positions(height: int, width: int) -> Tensor:
    """Sines and cosines of a cell's place in its window, (CHANNELS, height, width): the row's, then the column's."""
    each = CHANNELS // 2
    wavelengths = 10_000.0 ** (2 * (torch.arange(each) // 2) / each)

    def axis(length: int) -> Tensor:
        place = torch.arange(1, length + 1, dtype=torch.float32) / (length + 1e-6) * 2 * math.pi
        angles = place[:, None] / wavelengths
        return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=2).flatten(1)  # (length, each)

    rows = axis(height)[:, None].expand(height, width, each)
    columns = axis(width)[None].expand(height, width, each)
    return torch.cat([rows, columns], dim=2).permute(2, 0, 1).contiguous()


class WindowAttention(nn.Module):
    """One layer: a message from the target's windows to the source's, then a residual.

    With `feedforward` the message, concatenated with the source, passes through two linear layers.
    """

    def __init__(self, *, feedforward: bool) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.merge = (nn.Linear(CHANNELS, CHANNELS, bias=False) for _ in "qkvm")
        self.norm1 = nn.LayerNorm(CHANNELS)
        self.feedforward = feedforward
        if feedforward:
            wide = 8 * CHANNELS
            widen, narrow = nn.Linear(2 * CHANNELS, wide, bias=False), nn.Linear(wide, CHANNELS, bias=False)
            self.mlp = nn.Sequential(widen, nn.GELU(), narrow)
            self.norm2 = nn.LayerNorm(CHANNELS)

    def forward(self, source: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        """Attend within windows (B, windows, cells, CHANNELS); the mask (windows, cells, cells) is added to scores."""
        q, k, v = self.q_proj(source), self.k_proj(target), self.v_proj(target)
        message: Tensor = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        message = self.norm1(self.merge(message))
        if self.feedforward:
            message = self.norm2(self.mlp(torch.cat([source, message], dim=-1)))
        return source + message


class TransformerBlock(nn.Module):
    """Attention within the image, then to the other image."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = WindowAttention(feedforward=False)
        self.cross_attn_ffn = WindowAttention(feedforward=True)

    def forward(self, source: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        source = self.self_attn(source, source, mask)
        return self.cross_attn_ffn(source, target, mask)  # type: ignore[no-any-return]


class FeatureTransformer(nn.Module):
    """Features of both images, each enhanced by the other image.

    Height and width of the feature maps are even. Every second layer sees windows that are shifted by half of their
    size.
    """

    positions: Tensor
    mask: Tensor

    def __init__(self, height: int, width: int, layers: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.layers = nn.ModuleList(TransformerBlock() for _ in range(layers))
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        window = (height // SPLITS, width // SPLITS)
        self.shift = (window[0] // 2, window[1] // 2)
        positions = sine_positions(*window).repeat(1, SPLITS, SPLITS)
        self.register_buffer("positions", positions, persistent=False)  # (CHANNELS, height, width)
        self.register_buffer("mask", self._shifted_mask(), persistent=False)  # (windows, cells, cells)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Enhance both maps (B, CHANNELS, height, width)."""
        batch = first.shape[0]
        source = torch.cat([first + self.positions, second + self.positions]).permute(0, 2, 3, 1)
        for number, block in enumerate(self.layers):
            # Both images go through the same weights, each as the source with the other as the target.
            target = torch.cat([source[batch:], source[:batch]])
            shifted = number % 2 == 1
            windows = block(self._split(source, shifted), self._split(target, shifted), self.mask if shifted else None)
            source = self._join(windows, shifted)
        maps = source.permute(0, 3, 1, 2)
        return maps[:batch], maps[batch:]

    def _split(self, x: Tensor, shifted: bool) -> Tensor:
        """Map (B, height, width, C) to windows (B, SPLITS^2, cells, C)."""
        if shifted:
            x = torch.roll(x, (-self.shift[0], -self.shift[1]), dims=(1, 2))
        x = x.unflatten(2, (SPLITS, -1)).unflatten(1, (SPLITS, -1))  # (B, SPLITS, rows, SPLITS, columns, C)
        return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def _join(self, windows: Tensor, shifted: bool) -> Tensor:
        rows, columns = self.height // SPLITS, self.width // SPLITS
        x = windows.unflatten(2, (rows, columns)).unflatten(1, (SPLITS, SPLITS)).transpose(2, 3)
        x = x.flatten(3, 4).flatten(1, 2)
        return torch.roll(x, self.shift, dims=(1, 2)) if shifted else x

    def _shifted_mask(self) -> Tensor:
        """Scores to add in shifted windows: after the cyclic shift, a window may hold cells from opposite borders."""

        def region(length: int, shift: int) -> Tensor:
            place = torch.arange(length)
            return (place >= length - length // SPLITS).long() + (place >= length - shift).long()

        rows, columns = region(self.height, self.shift[0]), region(self.width, self.shift[1])
        windows = self._split((3 * rows[:, None] + columns)[None, ..., None], shifted=False)[0, ..., 0]
        together = windows[:, :, None] == windows[:, None, :]
        return torch.zeros(together.shape).masked_fill(~together, _FORBIDDEN)


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
        # Keys are projected from the queries, not from the features, as in the training of the public weights.
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
        """How many pixels each pixel of the first image moves to the right and down, (B, 2, H, W).

        Both images are (B, 3, H, W) RGB, float in 0..255, of the configured size; the second is of a later moment.
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

    Features are (B, N, C), places of the cells (N, 2).
    """
    return _similarity(first, second) @ cells - cells


def upsample_convex(flow: Tensor, weights: Tensor, factor: int) -> Tensor:
    """Each fine pixel's flow as a weighted mean over the 3x3 cells around its own, (B, 2, factor * h, factor * w).

    A cell of `flow` (B, 2, h, w) is `factor` fine pixels wide and high; the result is in fine pixels. The weights
    (B, 9 * factor^2, h, w) are those before the softmax over the 9.
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
