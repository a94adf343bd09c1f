"""What the machine itself can do, so that every figure of speed stands beside its bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

from fluxformer_core.backends.base import DTYPES, InferencePrecision

SIDE = 2048
"""Of the square matrices whose product is the measure of speed: 8.6 G multiply-adds."""

_COPIED = 64 << 20  # float32 values: far more than caches hold
_PATIENCE = 20.0  # s: where a precision is emulated, one small product has to do


@dataclass(frozen=True)
class Limits:
    """Best of several runs: whatever else the machine does only ever makes it slower."""

    product: dict[InferencePrecision, float]  # multiply-adds per second of PyTorch's square matrix product
    fastest: dict[InferencePrecision, float]  # the same of the fastest library there is
    bandwidth: float  # bytes read and written per second by a copy of large memory
    threads: int


def product_seconds(
    precision: InferencePrecision = "fp32", side: int = SIDE, *, onednn: bool = False
) -> Callable[[], float]:
    """A clock for one product of two square matrices, in PyTorch on the CPU: called again, it measures again.

    Args:
        precision: of the matrices.
        side: of the matrices.
        onednn: by oneDNN, whatever PyTorch takes by itself; for float32.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, side, side, generator=generator).to(DTYPES[precision])
    out = torch.empty_like(a)
    if onednn:
        a, b = a.to_mkldnn(), b.to_mkldnn()

    def measure() -> float:
        begin = time.perf_counter()
        if onednn:
            torch.nn.functional.linear(a, b)
        else:
            torch.mm(a, b, out=out)
        return time.perf_counter() - begin

    return measure


def measure_limits(rounds: int = 5) -> Limits:
    """Measure products in every precision, and a copy.

    PyTorch's own product in float32 is MKL's, which does not use AVX-512 on processors that are not Intel's; oneDNN's
    does, as does OpenVINO's. Where a narrower type is emulated, a product in float32 is the faster way to the same.

    Args:
        rounds: of which the best counts.
    """
    products = {precision: _product_rate(precision, rounds) for precision in DTYPES}
    wide = products["fp32"]
    if torch.backends.mkldnn.is_available():
        wide = max(wide, _product_rate("fp32", rounds, onednn=True))
    fastest = {precision: max(rate, wide) for precision, rate in products.items()}
    source = torch.ones(_COPIED)
    target = torch.empty_like(source)
    taken = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        target.copy_(source)
        taken.append(time.perf_counter() - begin)
    return Limits(products, fastest, 2 * 4 * _COPIED / min(taken), torch.get_num_threads())


def _product_rate(precision: InferencePrecision, rounds: int, *, onednn: bool = False) -> float:
    """Multiply-adds per second of a product, best of several runs; of smaller matrices where it is emulated."""
    trial = product_seconds(precision, SIDE // 4, onednn=onednn)
    side = SIDE if min(trial(), trial()) * 64 * rounds < _PATIENCE else SIDE // 4
    measure = product_seconds(precision, side, onednn=onednn)
    return float(side**3 / min(measure() for _ in range(rounds + 1)))


@dataclass(frozen=True)
class Spread:
    """Seconds of something that was measured several times."""

    best: float
    middle: float  # median
    runs: int

    @staticmethod
    def of(seconds: list[float]) -> Spread:
        """What several measurements come to."""
        return Spread(min(seconds), median(seconds), len(seconds))
