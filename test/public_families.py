"""Random weights under the names and in the shapes of published UniFormers and Video-FocalNets.

Written out from the papers and the published files; nothing here uses our models.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

UNIFORMERS = {"S": (3, 4, 8, 3), "B": (5, 8, 20, 7)}
FOCALNETS = {"T": ((2, 2, 6, 2), 96), "S": ((2, 2, 18, 2), 96), "B": ((2, 2, 18, 2), 128)}


class Weights:
    """Collects random tensors of a scale that keeps signals alive."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.state: dict[str, Tensor] = {}
        self._dtype, self._random = dtype, torch.Generator().manual_seed(0)

    def put(self, name: str, *shape: int) -> None:
        scale = math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1
        self.state[name] = (scale * torch.randn(shape, generator=self._random)).to(self._dtype)

    def layer(self, name: str, *shape: int) -> None:
        self.put(f"{name}.weight", *shape)
        self.put(f"{name}.bias", shape[0])

    def norm(self, name: str, dim: int, *, batch: bool = False) -> None:
        self.state[f"{name}.weight"] = (1 + 0.1 * torch.randn(dim, generator=self._random)).to(self._dtype)
        self.put(f"{name}.bias", dim)
        if batch:
            self.put(f"{name}.running_mean", dim)
            self.state[f"{name}.running_var"] = (0.5 + torch.rand(dim, generator=self._random)).to(self._dtype)
            self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def uniformer_state(
    variant: str, *, classes: int = 400, images: bool = False, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Of a UniFormer for clips, or of the one for pictures that it starts from."""
    weights, dims = Weights(dtype), (64, 128, 320, 512)

    def kernel(t: int, size: int) -> tuple[int, ...]:
        return (size, size) if images else (t, size, size)

    for stage, depth in enumerate(UNIFORMERS[variant]):
        dim, place = dims[stage], f"patch_embed{stage + 1}"
        weights.norm(f"{place}.norm", dim)
        patch = kernel(1, 2) if stage else kernel(3, 4)
        weights.layer(f"{place}.proj", dim, dims[stage - 1] if stage else 3, *patch)
        for block in range(depth):
            at = f"blocks{stage + 1}.{block}"
            weights.layer(f"{at}.pos_embed", dim, 1, *kernel(3, 3))
            local = stage < 2
            one = kernel(1, 1) if local else ()
            weights.norm(f"{at}.norm1", dim, batch=local)
            if local:
                weights.layer(f"{at}.conv1", dim, dim, *one)
                weights.layer(f"{at}.conv2", dim, dim, *one)
                weights.layer(f"{at}.attn", dim, 1, *kernel(5, 5))
            else:
                weights.layer(f"{at}.attn.qkv", 3 * dim, dim)
                weights.layer(f"{at}.attn.proj", dim, dim)
            weights.norm(f"{at}.norm2", dim, batch=local)
            weights.layer(f"{at}.mlp.fc1", 4 * dim, dim, *one)
            weights.layer(f"{at}.mlp.fc2", dim, 4 * dim, *one)
    weights.norm("norm", dims[-1], batch=True)
    weights.layer("head", classes, dims[-1])
    return weights.state


def focalnet_state(
    variant: str, *, classes: int = 400, images: bool = False, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Of a Video-FocalNet, or of the FocalNet for pictures that it starts from."""
    weights = Weights(dtype)
    depths, dim = FOCALNETS[variant]
    weights.layer("patch_embed.proj", dim, 3, 4, 4)
    weights.norm("patch_embed.norm", dim)
    for stage, depth in enumerate(depths):
        for block in range(depth):
            at = f"layers.{stage}.blocks.{block}"
            weights.norm(f"{at}.norm1", dim)
            weights.norm(f"{at}.norm2", dim)
            weights.layer(f"{at}.modulation.f", 2 * dim + 3, dim)
            weights.layer(f"{at}.modulation.h", dim, dim, 1, 1)
            weights.layer(f"{at}.modulation.proj", dim, dim)
            for level, kernel in enumerate((3, 5)):
                weights.put(f"{at}.modulation.focal_layers.{level}.0.weight", dim, 1, kernel, kernel)
            if not images:
                weights.layer(f"{at}.modulation.f_temporal", dim + 3, dim)
                weights.layer(f"{at}.modulation.h_temporal", dim, dim, 1)
                for level, kernel in enumerate((3, 5)):
                    weights.put(f"{at}.modulation.focal_layers_temporal.{level}.0.weight", dim, dim, kernel)
            weights.layer(f"{at}.mlp.fc1", 4 * dim, dim)
            weights.layer(f"{at}.mlp.fc2", dim, 4 * dim)
        if stage < len(depths) - 1:
            weights.layer(f"layers.{stage}.downsample.proj", 2 * dim, dim, 2, 2)
            weights.norm(f"layers.{stage}.downsample.norm", 2 * dim)
            dim *= 2
    weights.norm("norm", dim)
    weights.layer("head", classes, dim)
    return weights.state
