"""The machine that speed is measured on, and the fastest it can be: the bound for every measured time."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from fluxformer_core.backends.base import DTYPES, InferencePrecision

SIDE = 2048
"""Size of the square matrices whose product measures the processor: 8.6 G multiply-adds."""

_COPIED = 64 << 20  # float32 values, far more than caches hold
_PATIENCE = 20.0  # s: where a product of a precision takes longer, a smaller product is measured


@dataclass(frozen=True)
class Machine:
    """A machine and the software that runs the model."""

    processor: str
    cores: int  # that this process may use
    threads: int  # of one forward pass
    system: str
    python: str
    torch: str


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def this_machine() -> Machine:
    """The machine that this process runs on."""
    system = f"{platform.system()} {platform.machine()}"
    software = system, platform.python_version(), torch.__version__
    return Machine(_processor(), usable_cores(), torch.get_num_threads(), *software)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # only Linux has this file
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated measurements."""

    best: float
    middle: float  # median
    runs: int

    @staticmethod
    def of(seconds: list[float]) -> Timing:
        return Timing(min(seconds), median(seconds), len(seconds))

    @staticmethod
    def measure(work: Callable[[], object], rounds: int) -> Timing:
        """Measure `rounds` calls, after a first call that is not measured."""
        work()
        return Timing.of([seconds_of(work) for _ in range(rounds)])


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@dataclass(frozen=True)
class MachineLimits:
    """Highest measured rates. The best of several runs counts: other work on the machine only slows a run down."""

    product: dict[InferencePrecision, float]  # multiply-adds per second of PyTorch's square matrix product
    fastest: dict[InferencePrecision, float]  # of the fastest product in at least this precision, by any library
    bandwidth: float  # bytes read and written per second by a copy of large memory
    threads: int


def product(precision: InferencePrecision = "fp32", side: int = SIDE, *, onednn: bool = False) -> Callable[[], object]:
    """A function that multiplies two square matrices on the CPU; `onednn` takes oneDNN, whatever PyTorch prefers."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, side, side, generator=generator).to(DTYPES[precision])
    if onednn:
        a, b = a.to_mkldnn(), b.to_mkldnn()
        return lambda: torch.nn.functional.linear(a, b)
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def measure_limits(rounds: int = 5) -> MachineLimits:
    """Measure products in every precision and a copy of memory, each as the best of several rounds.

    PyTorch's own float32 product is MKL's, which does not use AVX-512 on processors of other makers than Intel; oneDNN
    does, and OpenVINO uses oneDNN. Where a narrower type is emulated, a float32 product is faster.
    """
    products = {precision: _product_rate(precision, rounds) for precision in DTYPES}
    wide = products["fp32"]
    if torch.backends.mkldnn.is_available():
        wide = max(wide, _product_rate("fp32", rounds, onednn=True))
    fastest = {precision: max(rate, wide) for precision, rate in products.items()}
    source = torch.ones(_COPIED)
    target = torch.empty_like(source)
    copy = Timing.measure(lambda: target.copy_(source), rounds)
    return MachineLimits(products, fastest, 2 * 4 * _COPIED / copy.best, torch.get_num_threads())


def _product_rate(precision: InferencePrecision, rounds: int, *, onednn: bool = False) -> float:
    """Multiply-adds per second; of smaller matrices where the precision is emulated."""
    trial = Timing.measure(product(precision, SIDE // 4, onednn=onednn), 1)
    side = SIDE if trial.best * 64 * rounds < _PATIENCE else SIDE // 4
    return float(side**3 / Timing.measure(product(precision, side, onednn=onednn), rounds).best)
