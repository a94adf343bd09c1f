"""Mixup and CutMix: a batch mixed with itself, RGB, flow and labels alike."""

from __future__ import annotations

import torch
from torch import Tensor


def mix(rgb: Tensor, flow: Tensor, target: Tensor, mixup: float, cutmix: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mix every clip with another clip of the batch, in one way and with one share for the whole batch.

    Args:
        rgb: (B, 3, T, S, S).
        flow: (B, 3, T, S, S).
        target: (B, classes) probabilities.
        mixup: parameter of the Beta distribution of Mixup's share; 0: no Mixup.
        cutmix: the same for CutMix, which replaces a rectangle in all frames. If both are set, each is equally likely.
    """
    if not mixup and not cutmix:
        return rgb, flow, target
    cut = bool(cutmix) and (not mixup or bool(torch.rand(()) < 0.5))
    alpha = torch.tensor(cutmix if cut else mixup)
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(rgb)).to(rgb.device)
    if not cut:
        return rgb.lerp(rgb[other], 1 - share), flow.lerp(flow[other], 1 - share), target.lerp(target[other], 1 - share)
    height, width = rgb.shape[-2:]
    side = (1 - share) ** 0.5
    row, column = int(torch.randint(height, ())), int(torch.randint(width, ()))
    top, bottom = (min(max(round(row + part * side * height / 2), 0), height) for part in (-1, 1))
    left, right = (min(max(round(column + part * side * width / 2), 0), width) for part in (-1, 1))
    rgb, flow = rgb.clone(), flow.clone()
    for clip in (rgb, flow):
        clip[..., top:bottom, left:right] = clip[other][..., top:bottom, left:right]
    replaced = (bottom - top) * (right - left) / (height * width)
    return rgb, flow, target.lerp(target[other], replaced)
