"""Window and selection to the tensors that a model takes; streams, evaluation and training all come through here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fluxformer_core.stream.selection import Choice
from fluxformer_core.types import ClipSpec


@dataclass(frozen=True)
class FrameSelection:
    """The frames and flow of one clip, and what they were selected from."""

    stamps: NDArray[np.int64]  # (T,) ns
    frames: NDArray[np.uint8]  # (T, S, S, 3) RGB
    flow: NDArray[np.float32]  # (T, S, S, 2) frame heights per second
    window_stamps: NDArray[np.int64]  # (n,) ns
    motion: NDArray[np.float32]  # (n,) frame heights per second, of the whole window
    choice: Choice  # indices count in the window
    segment_start: int  # ns: first moving frame of the motion segment
    thresholds: tuple[float, float]  # frame heights per second: motion begins, and is over


def normalise_rgb(frames: Tensor, spec: ClipSpec) -> Tensor:
    """Frames (T, S, S, 3) float32 in 0..1 -> (3, T, S, S), normalised."""
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (spec.mean, spec.std))
    return (frames.permute(3, 0, 1, 2) - mean) / std


def encode_flow(flow: Tensor, spec: ClipSpec) -> Tensor:
    """Flow (T, S, S, 2) in frame heights per second -> (3, T, S, S): u, v and magnitude, scaled and clamped to [-1, 1].

    A velocity and not a displacement: it does not depend on the camera's rate.
    """
    uv = flow.permute(3, 0, 1, 2) / spec.flow_scale
    return torch.cat([uv, _magnitude(uv).unsqueeze(0)]).clamp_(-1.0, 1.0)


class ClipBuffers:
    """Memory of one clip's tensors, to be filled again and again: at 224 px, 19 MB that are not asked for each time.

    Args:
        frames: T.
        size: S, px.
    """

    def __init__(self, frames: int, size: int) -> None:
        self.rgb, self.flow = torch.empty(2, 1, 3, frames, size, size)


def build_clip(
    frames: NDArray[np.uint8],
    flow: NDArray[np.float32] | None,
    spec: ClipSpec,
    buffers: ClipBuffers | None = None,
) -> tuple[Tensor, Tensor | None]:
    """A batch of one from selected frames (T, S, S, 3) and flow (T, S, S, 2): rgb and flow, each (1, 3, T, S, S).

    Without flow, None takes its place. Both are contiguous; with buffers they lie there, and last until the next call.
    """
    room = ClipBuffers(*frames.shape[:2]) if buffers is None else buffers
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (spec.mean, spec.std))
    room.rgb[0].copy_(torch.from_numpy(frames).permute(3, 0, 1, 2)).div_(255.0).sub_(mean).div_(std)
    if flow is None:
        return room.rgb, None
    uv = room.flow[0, :2].copy_(torch.from_numpy(flow).permute(3, 0, 1, 2)).div_(spec.flow_scale)
    _magnitude(uv, room.flow[0, 2])
    room.flow.clamp_(-1.0, 1.0)
    return room.rgb, room.flow


def _magnitude(uv: Tensor, out: Tensor | None = None) -> Tensor:
    """Length of (2, ...) vectors. torch's own norm is eighty times slower along a first axis of two."""
    return torch.mul(uv[0], uv[0], out=out).addcmul_(uv[1], uv[1]).sqrt_()
