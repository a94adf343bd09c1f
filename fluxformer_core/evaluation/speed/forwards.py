"""How long one forward pass takes on each backend, in turns with matrix products that meet the same machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from fluxformer_core.backends.base import InferencePrecision, LoadedNet
from fluxformer_core.backends.parity import measure_parity
from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.errors import BackendError, ConfigError
from fluxformer_core.evaluation.speed.limits import Limits, Spread, product_seconds
from fluxformer_core.models.cost import count_multiply_adds
from fluxformer_core.models.registry import clip_spec, create_model, model_config
from fluxformer_core.stream.load import open_model
from fluxformer_core.stream.trial_clips import trial_clips

LABELS = 400
"""Of models with random weights, as many as Kinetics has."""


@dataclass(frozen=True)
class Forward:
    """One model on one backend; times are of batch 1, its tensors ready in memory."""

    model: str
    backend: str
    precision: InferencePrecision
    device: str = ""
    reason: str = ""  # why there are no figures
    multiply_adds: int = 0
    seconds: Spread | None = None
    products: float = 0.0  # best forward over PyTorch's best product of SIDE² in float32, measured in turns
    share: float | None = None  # of the rate of the processor's fastest product in its precision; None: on a GPU
    away: float = 0.0  # of the eager float32 model: see `measure_parity`
    agreement: float = 0.0


def random_bundle(name: str, **changes: object) -> Bundle:
    """A model with 400 labels and random weights, always the same; every gate on flow stands open.

    Args:
        name: one of `list_models()`.
        changes: fields of its configuration to replace.

    Raises:
        ConfigError: if there is no such model or field.
    """
    torch.manual_seed(0)
    try:
        config = replace(model_config(name), **changes)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(f"{name}: {error}") from None
    net = create_model(name, LABELS, config=config).eval()
    with torch.no_grad():
        for parameter_name, parameter in net.named_parameters():
            if parameter_name.endswith(("gamma", "value_gate")):
                parameter.normal_()  # closed gates would hide the flow stream from the comparison
    labels = tuple(map(str, range(LABELS)))
    return Bundle(Metadata(name, config, clip_spec(name), labels), net.state_dict())


def multiply_adds(bundle: Bundle) -> int:
    """Of one forward pass of a bundle's model on one clip."""
    spec = bundle.spec
    return count_multiply_adds(bundle.weightless_model(), (3, spec.frames, spec.size, spec.size))


def time_forwards(
    bundle: Bundle,
    backends: Sequence[str],
    precisions: Sequence[InferencePrecision],
    limits: Limits,
    *,
    rounds: int,
    tolerance: float = 1.0,
) -> Iterator[Forward]:
    """Every backend in every precision, each measured as soon as it is built.

    Args:
        bundle: the model; one without a digest is built anew each time.
        backends: names.
        precisions: of the arithmetic.
        limits: of the processor, to hold forwards on it against.
        rounds: forward passes, each after a product.
        tolerance: of the parity check; the difference is reported in any case.
    """
    spec, takes_flow = bundle.spec, bundle.metadata.config.takes_flow
    needed = multiply_adds(bundle)
    clips = trial_clips(spec, flow=takes_flow)
    exact = bundle.build_model()
    for backend in backends:
        for precision in precisions:
            try:
                engine = open_model(bundle, backend, precision, tolerance=tolerance).engine
            except BackendError as error:
                yield Forward(bundle.name, backend, precision, reason=str(error))
                continue
            seconds, product = _in_turns(engine, clips[0], rounds)
            share = needed / seconds.best / limits.fastest[precision] if engine.device == "cpu" else None
            found = measure_parity(engine, exact, clips)
            yield Forward(
                bundle.name,
                engine.backend,
                engine.precision,
                engine.device,
                "",
                needed,
                seconds,
                seconds.best / product.best,
                share,
                found.max_relative_difference,
                found.same_label,
            )


def _in_turns(engine: LoadedNet, clip: tuple[torch.Tensor, ...], rounds: int) -> tuple[Spread, Spread]:
    """Seconds of a forward and of a product."""
    measure = product_seconds()
    measure()
    engine(*clip)
    engine(*clip)
    forwards, products = [], []
    for _ in range(rounds):
        products.append(min(measure() for _ in range(3)))
        begin = time.perf_counter()
        engine(*clip)
        forwards.append(time.perf_counter() - begin)
    products.append(min(measure() for _ in range(3)))
    return Spread.of(forwards), Spread.of(products)
