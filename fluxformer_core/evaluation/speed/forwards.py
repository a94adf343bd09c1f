"""How long one forward pass takes on each backend, measured alternately with matrix products on the same machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from fluxformer_core.backends.base import InferencePrecision, LoadedNet
from fluxformer_core.backends.parity import measure_parity
from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.errors import BackendError, ConfigError
from fluxformer_core.evaluation.speed.machine import MachineLimits, Timing, product, seconds_of
from fluxformer_core.models.cost import count_multiply_adds
from fluxformer_core.models.registry import clip_spec, create_model, model_config
from fluxformer_core.stream.load import open_model, trial_clips

LABELS = 400
"""Labels of models with random weights, as many as Kinetics-400 has."""


@dataclass(frozen=True)
class ForwardTime:
    """One model on one backend; times are of batch 1 with its tensors ready in memory."""

    model: str
    backend: str
    precision: InferencePrecision
    device: str = ""
    reason: str = ""  # why there are no figures
    multiply_adds: int = 0
    seconds: Timing | None = None
    products: float = 0.0  # best forward over PyTorch's best float32 product of SIDE x SIDE matrices
    share: float | None = None  # of the rate of the processor's fastest product in this precision; None: on a GPU
    away: float = 0.0  # see `measure_parity`: difference to the eager float32 model
    agreement: float = 0.0  # share of the clips with the same best label


def random_bundle(name: str, **changes: object) -> Bundle:
    """A model with 400 labels and fixed random weights; `changes` replace fields of its configuration.

    The gates on flow are open.

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
    """Multiply-adds of one forward pass on one clip."""
    spec = bundle.spec
    return count_multiply_adds(bundle.weightless_model(), (3, spec.frames, spec.size, spec.size))


def time_forwards(
    bundle: Bundle,
    backends: Sequence[str],
    precisions: Sequence[InferencePrecision],
    limits: MachineLimits,
    *,
    rounds: int,
) -> Iterator[ForwardTime]:
    """Measure every backend in every precision; each result comes as soon as it is known.

    Each of the `rounds` forward passes follows a product. Any difference to the eager model is allowed and reported.
    """
    needed = multiply_adds(bundle)
    clips = trial_clips(bundle.spec, flow=bundle.metadata.config.takes_flow)
    exact = bundle.build_model()
    for backend in backends:
        for precision in precisions:
            try:
                engine = open_model(bundle, backend, precision, tolerance=1.0).net
            except BackendError as error:
                yield ForwardTime(bundle.name, backend, precision, reason=str(error))
                continue
            seconds, best_product = _alternate(engine, clips[0], rounds)
            share = needed / seconds.best / limits.fastest[precision] if engine.device == "cpu" else None
            found = measure_parity(engine, exact, clips)
            names = bundle.name, engine.backend, engine.precision, engine.device, ""
            figures = seconds.best / best_product, share, found.max_relative_difference, found.same_label
            yield ForwardTime(*names, needed, seconds, *figures)


def _alternate(engine: LoadedNet, clip: tuple[torch.Tensor, ...], rounds: int) -> tuple[Timing, float]:
    """Times of the forward pass, and seconds of the best product."""
    multiply = product()
    for work in (multiply, lambda: engine(*clip), lambda: engine(*clip)):
        work()
    forwards, products = [], []
    for _ in range(rounds):
        products.append(min(seconds_of(multiply) for _ in range(3)))
        forwards.append(seconds_of(lambda: engine(*clip)))
    products.append(min(seconds_of(multiply) for _ in range(3)))
    return Timing.of(forwards), min(products)
