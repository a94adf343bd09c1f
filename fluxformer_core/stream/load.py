"""Models of bundles, and flow networks, made ready to run on a backend and compared with PyTorch on trial clips."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fluxformer_core.actor import rehearse
from fluxformer_core.backends.base import BuildRequest, InferencePrecision, LoadedNet
from fluxformer_core.backends.opening import Progress, open_net
from fluxformer_core.bundle import Bundle
from fluxformer_core.flow.classical import DisFlow, FlowEstimator
from fluxformer_core.flow.registry import create_flow
from fluxformer_core.models.layers import Prediction
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import build_clip
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import ClipSpec, Pixels

TRIALS = ("wave", "squat", "walk")
"""Actions that the actor performs where no recordings are given to compare engines on."""

Trials = Callable[[ClipSpec, bool], list[tuple[Tensor, ...]]]
"""Makes trial clips of a shape, with flow or without."""


class LoadedModel(nn.Module):
    """A loaded net with the inputs and outputs of the model.

    Args:
        net: the model on its backend.
        takes_flow: whether the net was built with flow as a second input.
    """

    def __init__(self, net: LoadedNet, *, takes_flow: bool) -> None:
        super().__init__()
        self.net, self.takes_flow = net, takes_flow

    def forward(self, rgb: Tensor, flow: Tensor | None = None) -> Prediction:
        """Run clips, (B, 3, T, S, S) each; inputs and outputs are float32 on the CPU."""
        logits, embedding = self.net(rgb, flow) if self.takes_flow and flow is not None else self.net(rgb)
        return Prediction(logits, embedding)


def open_model(
    bundle: Bundle,
    backend: str,
    precision: InferencePrecision = "fp32",
    *,
    flow: bool = True,
    batch: int = 1,
    trials: Trials | None = None,
    cache: Path | None = None,
    tolerance: float | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> LoadedModel:
    """The model of a bundle, ready to run on a backend.

    Args:
        bundle: the model.
        backend: one of `list_backends()`.
        precision: of the arithmetic.
        flow: whether the model will be given optical flow.
        batch: most clips at once; longer batches are split.
        trials: makes the clips on which an engine is compared with the model; None: the actor performs.
        cache: folder of engines; None: the user's.
        tolerance: of that comparison; None: that of the precision.
        rebuild: build even if the cache has the engine.
        progress: called with what is being done; None: the log is told.

    Raises:
        ConfigError: if there is no such backend or precision, or the batch is out of range.
        BackendError: if the backend does not work here, or computes something else.
    """
    spec = bundle.spec
    # A model that ignores flow must not be built with an input that nothing reads.
    takes_flow = flow and bundle.metadata.config.takes_flow
    request = BuildRequest(
        bundle.name,
        bundle.digest,
        bundle.build_model,
        ((1, 3, spec.frames, spec.size, spec.size),) * (2 if takes_flow else 1),
        lambda: (trials or trial_clips)(spec, takes_flow),
        precision,
        batch,
    )
    net = open_net(request, backend, cache=cache, tolerance=tolerance, rebuild=rebuild, progress=progress)
    return LoadedModel(net, takes_flow=takes_flow)


def open_flow(
    name: str,
    backend: str,
    precision: InferencePrecision = "fp32",
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> FlowEstimator | None:
    """A flow estimator, as `create_flow` names it; a flow network gets an engine for each size of images.

    Raises:
        ConfigError: if there is no such estimator or backend.
        BundleError: if its weights cannot be used.
        BackendError: if the backend cannot be used, at the first image of a size.
    """

    def run(net: nn.Module, digest: str, shape: tuple[int, ...]) -> Callable[..., tuple[Tensor, ...]]:
        size = (shape[2], shape[3])
        request = BuildRequest(
            "gmflow", digest, lambda: deepcopy(net), (shape, shape), lambda: [two_images(size)], precision
        )
        return open_net(request, backend, cache=cache, progress=progress)

    return create_flow(name, run=run)


def build_flow(
    name: str, spec: ClipSpec, backend: str, precision: InferencePrecision, *, cache: Path | None, progress: Progress
) -> None:
    """Build the engine that `open_flow` would build when the first images arrive.

    Raises:
        FluxformerError: as `open_flow`, and as its estimator at the first images.
    """
    estimator = open_flow(name, backend, precision, cache=cache, progress=progress)
    if estimator is not None:
        blank = np.zeros((spec.size, spec.size, 3) if estimator.colour else (spec.size, spec.size), np.uint8)
        estimator(blank, blank)


@lru_cache(maxsize=4)
def trial_clips(spec: ClipSpec, flow: bool) -> list[tuple[Tensor, ...]]:
    """Clips of the actor as a stream would give them to the model, each rgb and, with flow, flow, (1, 3, T, S, S)."""
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
