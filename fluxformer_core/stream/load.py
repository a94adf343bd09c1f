"""Models of bundles, and flow networks, made ready to run on a backend."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from fluxformer_core.backends.base import BuildRequest, InferencePrecision, LoadedNet
from fluxformer_core.backends.opening import Progress, open_net
from fluxformer_core.bundle import Bundle
from fluxformer_core.flow.classical import FlowEstimator
from fluxformer_core.flow.registry import create_flow
from fluxformer_core.models.layers import Prediction
from fluxformer_core.stream.trial_clips import Trials, trial_clips, two_images
from fluxformer_core.types import ClipSpec


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
    """The model of a bundle, ready to run.

    Args:
        bundle: the model.
        backend: one of `list_backends()`.
        precision: of the arithmetic.
        flow: whether the model is given optical flow; it must be given what it was opened for.
        batch: clips at once, at most; more are worked through in parts.
        trials: makes the clips on which an engine is compared with the model; None: the actor performs.
        cache: folder of engines; None: the user's.
        tolerance: of that comparison; None: that of the precision.
        rebuild: build even if the cache has the engine.
        progress: told what is being done; None: the log is told.

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
    """An estimator of optical flow; one that is a neural net runs on a backend, an engine for each size of images.

    Args:
        name: as `create_flow` takes it.
        backend: one of `list_backends()`.
        precision: of the net's arithmetic.
        cache: folder of engines; None: the user's.
        progress: told what is being done; None: the log is told.

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
