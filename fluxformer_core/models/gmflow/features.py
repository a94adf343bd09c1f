"""Features of GMFlow (Xu et al. 2022): a small convolutional net, then a transformer that sees both images.

Modules are named as in the published checkpoints of GMFlow and UniMatch, so that their weights load unchanged.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = 128
STRIDE = 8  # px of the image per cell of the feature map
SPLITS = 2  # windows of self- and cross-attention along each side of the map

_FORBIDDEN = -100.0  # added to the score of two cells that are neighbours only by the cyclic shift


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), nn.InstanceNorm2d(outputs))
        else:
            self.downsample = nn.Sequential()

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

    Args:
        feedforward: whether the message, concatenated with the source, passes through two linear layers.
    """

    def __init__(self, *, feedforward: bool) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.merge = (nn.Linear(CHANNELS, CHANNELS, bias=False) for _ in "qkvm")
        self.norm1 = nn.LayerNorm(CHANNELS)
        self.feedforward = feedforward
        if feedforward:
            wide = 2 * CHANNELS
            self.mlp = nn.Sequential(
                nn.Linear(wide, 4 * wide, bias=False), nn.GELU(), nn.Linear(4 * wide, CHANNELS, bias=False)
            )
            self.norm2 = nn.LayerNorm(CHANNELS)

    def forward(self, source: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        """Attend within windows (B, windows, cells, CHANNELS); the mask (windows, cells, cells) is added to scores."""
        message: Tensor = F.scaled_dot_product_attention(
            self.q_proj(source), self.k_proj(target), self.v_proj(target), attn_mask=mask
        )
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

    Args:
        height: rows of the feature map; an even number.
        width: columns of the feature map; an even number.
        layers: blocks; every second one sees windows that are shifted by half of their size.
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
