"""What the machine itself can do, so that every figure of speed stands beside its bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

from fluxformer_core.backends.base import DTYPES, Precision

SIDE = 2048
"""Of the square matrices whose product is the measure of speed: 8.6 G multiply-adds."""

_COPIED = 64 << 20  # float32 values: far more than caches hold
_PATIENCE = 20.0  # s: where a precision is emulated, one small product has to do


@dataclass(frozen=True)
class Limits:
    """Best of several runs: whatever else the machine does only ever makes it slower."""

    product: dict[Precision, float]  # multiply-adds per second of a square matrix product, as PyTorch computes it
    fastest: dict[Precision, float]  # the same by the fastest library seen: see fastest_product
    bandwidth: float  # bytes read and written per second by a copy of large memory
    threads: int


def product_seconds(precision: Precision = "fp32", side: int = SIDE, *, onednn: bool = False) -> Callable[[], float]:
    """A clock for one product of two square matrices, in PyTorch on the CPU: called again, it measures again.

    Args:
        precision: of the matrices.
        side: of the matrices.
        onednn: by oneDNN, whatever PyTorch takes by itself; for float32.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, side, side, generator=generator).to(DTYPES[precision])
    if onednn:
        a, b = a.to_mkldnn(), b.to_mkldnn()
    else:
        out = torch.empty_like(a)

    def measure() -> float:
        begin = time.perf_counter()
        if onednn:
            torch.nn.functional.linear(a, b)
        else:
            torch.mm(a, b, out=out)
        return time.perf_counter() - begin

    return measure


def product_rate(precision: Precision, rounds: int = 5, *, onednn: bool = False) -> float:
    """Multiply-adds per second of a product, best of several runs; of smaller matrices where it is emulated."""
    trial = product_seconds(precision, SIDE // 4, onednn=onednn)
    side = SIDE if min(trial(), trial()) * 64 * rounds < _PATIENCE else SIDE // 4
    measure = product_seconds(precision, side, onednn=onednn)
    return float(side**3 / min(measure() for _ in range(rounds + 1)))


def fastest_product(precision: Precision, rounds: int = 5) -> float:
    """Multiply-adds per second of the fastest product that this processor is seen to make.

    PyTorch's own in float32 is MKL's, which does not use AVX-512 on processors that are not Intel's. oneDNN does, as
    does OpenVINO; PyTorch takes it for the narrower types already.
    """
    rate = product_rate(precision, rounds)
    if precision == "fp32" and torch.backends.mkldnn.is_available():
        return max(rate, product_rate(precision, rounds, onednn=True))
    return rate


def measure_limits(rounds: int = 5) -> Limits:
    """Measure products in float32 and bfloat16, and a copy.

    Args:
        rounds: of which the best counts.
    """
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    products = {precision: product_rate(precision, rounds) for precision in precisions}
    source = torch.ones(_COPIED)
    target = torch.empty_like(source)
    taken = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        target.copy_(source)
        taken.append(time.perf_counter() - begin)
    fastest = {**products, "fp32": max(products["fp32"], fastest_product("fp32", rounds))}
    return Limits(products, fastest, 2 * 4 * _COPIED / min(taken), torch.get_num_threads())


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
