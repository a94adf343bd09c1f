"""Random weights under the names and in the shapes of the published GMFlow."""

from __future__ import annotations

import torch
from torch import Tensor


def published_layout(layers: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of GMFlow's and UniMatch's scale-1 checkpoints, written out."""
    shapes: dict[str, tuple[int, ...]] = {"backbone.conv1.weight": (64, 3, 7, 7)}
    before = 64
    for stage, channels in ((1, 64), (2, 96), (3, 128)):
        for block in (0, 1):
            at = f"backbone.layer{stage}.{block}"
            shapes[f"{at}.conv1.weight"] = (channels, before, 3, 3)
            shapes[f"{at}.conv2.weight"] = (channels, channels, 3, 3)
            if before != channels:
                shapes[f"{at}.downsample.0.weight"] = (channels, before, 1, 1)
                shapes[f"{at}.downsample.0.bias"] = (channels,)
            before = channels
    shapes |= {"backbone.conv2.weight": (128, 128, 1, 1), "backbone.conv2.bias": (128,)}
    for layer in range(layers):
        for part in ("self_attn", "cross_attn_ffn"):
            at = f"transformer.layers.{layer}.{part}"
            for name in ("q_proj", "k_proj", "v_proj", "merge"):
                shapes[f"{at}.{name}.weight"] = (128, 128)
            shapes |= {f"{at}.norm1.weight": (128,), f"{at}.norm1.bias": (128,)}
        shapes |= {f"{at}.mlp.0.weight": (1024, 256), f"{at}.mlp.2.weight": (128, 1024)}
        shapes |= {f"{at}.norm2.weight": (128,), f"{at}.norm2.bias": (128,)}
    for name in ("q_proj", "k_proj"):
        shapes[f"feature_flow_attn.{name}.weight"] = (128, 128)
        shapes[f"feature_flow_attn.{name}.bias"] = (128,)
    shapes |= {"upsampler.0.weight": (256, 130, 3, 3), "upsampler.0.bias": (256,)}
    shapes |= {"upsampler.2.weight": (576, 256, 1, 1), "upsampler.2.bias": (576,)}
    return shapes


def random_weights(layers: int = 6) -> dict[str, Tensor]:
    """Every tensor drawn, biases too.

    Norms have a small gain: at a gain of 1 the softmax over untrained features is so steep that rounding is amplified
    a thousandfold, in any implementation.
    """
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in published_layout(layers).items():
        drawn = torch.randn(shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            weights[name] = 0.1 * (1 + 0.3 * drawn)
        else:
            weights[name] = drawn / (drawn[0].numel() if drawn.dim() > 1 else 100) ** 0.5
    return weights
