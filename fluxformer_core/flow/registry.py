"""Flow estimators by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from fluxformer_core.errors import ConfigError
from fluxformer_core.flow.classical import DisFlow, FarnebackFlow, FlowEstimator
from fluxformer_core.types import FlowName

if TYPE_CHECKING:
    from fluxformer_core.flow.gmflow import Runner


def list_flows() -> list[str]:
    """Names that `create_flow` knows."""
    return sorted(get_args(FlowName))


def create_flow(name: str, *, run: Runner | None = None) -> FlowEstimator | None:
    """A flow estimator; None for `none`, with which the model gets no flow.

    The name is one of `list_flows()`, for gmflow together with the file of its weights, as in `gmflow:FILE`. `run`
    loads the net of an estimator on a backend; without `run`, PyTorch runs the net on the CPU.

    Raises:
        ConfigError: if there is no such estimator, or the name lacks a file or has one that is not needed.
        BundleError: if the weights cannot be read, or do not fit.
    """
    kind, _, file = name.partition(":")
    if kind not in list_flows():
        raise ConfigError(f"there is no flow estimator {kind!r}; known are {', '.join(list_flows())}")
    if bool(file) != (kind == "gmflow"):
        wrong = f"{kind} takes no file, but {name!r} names one" if file else "gmflow needs its weights: use gmflow:FILE"
        raise ConfigError(wrong)
    if kind == "gmflow":
        from fluxformer_core.flow.gmflow import GMFlowEstimator, run_in_pytorch

        return GMFlowEstimator.load(Path(file), run=run or run_in_pytorch)
    if kind == "none":
        return None
    return DisFlow() if kind == "dis" else FarnebackFlow()
