"""Window and selection to the tensors that a model takes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fluxformer_core.clip import ClipSpec


def rgb_tensor(frames: NDArray[np.uint8], spec: ClipSpec) -> Tensor:
    """Frames (T, S, S, 3) uint8 -> (3, T, S, S) float32, normalised."""
    x = torch.from_numpy(frames).permute(3, 0, 1, 2).float().div_(255.0)
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (spec.mean, spec.std))
    return x.sub_(mean).div_(std)


def flow_tensor(flow: NDArray[np.float32], spec: ClipSpec) -> Tensor:
    """Flow (T, S, S, 2) in frame heights per second -> (3, T, S, S): u, v and magnitude, scaled and clamped to [-1, 1].

    A velocity and not a displacement: it does not depend on the camera's rate (SPEC 1.2 [R]).
    """
    uv = torch.from_numpy(flow).permute(3, 0, 1, 2) / spec.flow_scale
    return torch.cat([uv, uv.norm(dim=0, keepdim=True)]).clamp_(-1.0, 1.0)


def build_clip(frames: NDArray[np.uint8], flow: NDArray[np.float32], spec: ClipSpec) -> tuple[Tensor, Tensor]:
    """A batch of one: rgb and flow, each (1, 3, T, S, S)."""
    return rgb_tensor(frames, spec)[None], flow_tensor(flow, spec)[None]
