"""Flow estimators by name."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from fluxformer_core.clip import FlowName
from fluxformer_core.errors import ConfigError
from fluxformer_core.flow.base import FlowEstimator
from fluxformer_core.flow.dis import DisFlow
from fluxformer_core.flow.farneback import FarnebackFlow


def list_flows() -> list[str]:
    """Names that `create_flow` knows."""
    return sorted(get_args(FlowName))


def create_flow(name: str, *, device: str = "cpu") -> FlowEstimator | None:
    """A flow estimator.

    Args:
        name: one of `list_flows()`; for gmflow with the file of its weights, as in `gmflow:FILE`.
        device: where an estimator that is a neural net runs.

    Returns:
        None for `none`: the model then gets no flow.

    Raises:
        ConfigError: if there is no such estimator, or a file is missing or of no use in the name.
        BundleError: if the weights cannot be read, or do not fit.
    """
    kind, _, file = name.partition(":")
    if kind not in list_flows():
        raise ConfigError(f"there is no flow estimator {kind!r}; known are {', '.join(list_flows())}")
    if bool(file) != (kind == "gmflow"):
        raise ConfigError(
            f"{kind} takes no file, but {name!r} names one" if file else "gmflow needs its weights: say gmflow:FILE"
        )
    if kind == "gmflow":
        from fluxformer_core.flow.gmflow import GMFlowEstimator

        return GMFlowEstimator.load(Path(file), device=device)
    if kind == "none":
        return None
    return DisFlow() if kind == "dis" else FarnebackFlow()
