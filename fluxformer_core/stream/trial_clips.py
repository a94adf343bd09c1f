"""Clips of the rendered actor, on which a compiled engine is compared with the model that it was built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fluxformer_core.actor import rehearse
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import build_clip
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import ClipSpec, Pixels

TRIALS = ("wave", "squat", "walk")
"""Actions that the actor performs where no recordings are given to compare engines on."""

Trials = Callable[[ClipSpec, bool], list[tuple[Tensor, ...]]]
"""Makes trial clips of a shape, with flow or without."""


@lru_cache(maxsize=4)
def trial_clips(spec: ClipSpec, flow: bool) -> list[tuple[Tensor, ...]]:
    """Clips of the actor as a stream would give them to the model, each rgb and, with flow, flow, (1, 3, T, S, S).

    Args:
        spec: of the model.
        flow: whether the model is given optical flow.
    """
    return [performed(label, spec, flow=flow) for label in TRIALS]


def performed(label: str, spec: ClipSpec, *, flow: bool) -> tuple[Tensor, ...]:
    """One action of the actor, in colour, as a stream would give it to the model.

    Returns:
        rgb and, with flow, flow, (1, 3, T, S, S).

    Raises:
        ConfigError: if the actor does not know the action.
    """
    film = rehearse(label, seed=0, rate=spec.rate, size=(spec.size, spec.size), mode="colour")
    buffer = RollingBuffer(replace(spec, window=max(len(film), spec.frames)), DisFlow() if flow else None)
    for i, (_, image) in enumerate(film):
        buffer.push(prepare(image, Pixels.RGB, spec), i * spec.period)
    return clip_of(buffer.window(), spec, flow=flow)


def clip_of(window: Window, spec: ClipSpec, *, flow: bool) -> tuple[Tensor, ...]:
    """The tensors that a model takes of a whole window: rgb and, with flow, flow, (1, 3, T, S, S)."""
    chosen = SELECTORS[spec.selection](window, spec.frames).indices
    rgb, field = build_clip(window.frames[chosen], window.flow[chosen] if flow else None, spec)
    return (rgb,) if field is None else (rgb, field)


def two_images(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two neighbouring images (1, 3, H, W), 0..255, of the waving actor, to compare engines of flow networks on."""
    film = rehearse("wave", seed=0, size=size, mode="colour")
    first, second = (film.frame(len(film) // 2 + i) for i in range(2))
    one, two = (torch.from_numpy(np.ascontiguousarray(x)).permute(2, 0, 1)[None].float() for x in (first, second))
    return one, two
