"""How much of the machine's own matrix product rate a forward pass sustains, stage by stage, and where the rest goes.

Multiply-adds are counted while the net runs without memory; the product of two square matrices is timed in the same
run, in turns with the forward, so that both meet the same machine.

Example:
    python benchmarks/forward.py --model fluxformer_b --duplex-stages 4 --threads 2
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fluxformer_core.models.fluxformer.attention import PoolingAttention
from fluxformer_core.models.fluxformer.fluxformer import Fluxformer, FluxformerConfig
from fluxformer_core.models.registry import config_of

KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "mkl_linear", "baddbmm"),
    "attention": ("attention",),
    "convolutions": ("conv",),
    "pooling of the skip path": ("max_pool",),
    "norms": ("norm",),
    "GELU": ("gelu",),
    "softmax": ("softmax",),
    "copies": ("copy", "cat", "clone", "pad", "fill", "repeat", "empty", "to"),
    "sums": ("add", "mul", "sum"),
}
"""By part of the operator's name, the first that fits."""


class Marks:
    """Reads a meter whenever one of a net's parts begins; the differences are what each part took."""

    def __init__(self, net: Fluxformer, read: Callable[[], float]) -> None:
        self.read = read
        self.spent: Counter[str] = Counter()
        self._part, self._since = "", 0.0
        first = 0
        self._at(net.patch_embed, "embedding")
        for stage, depth in enumerate(net.config.trunk.depths, start=1):
            # Duplex blocks are not called as modules, but each block begins with its norm.
            self._at(net.blocks[first].norm1, f"stage {stage}")  # type: ignore[union-attr, arg-type]
            first += depth
        if net.config.clusters:
            self._at(net.clustering, "clustering")
            self._at(net.final, "final block")
        self._at(net.norm, "head")

    def run(self, forward: Callable[[], object]) -> None:
        """Do one forward; `spent` is of the newest."""
        self.spent.clear()
        self._part, self._since = "", self.read()
        forward()
        self._begin("")

    def _at(self, module: nn.Module, part: str) -> None:
        module.register_forward_pre_hook(lambda *_: self._begin(part))

    def _begin(self, part: str) -> None:
        now = self.read()
        if self._part:
            self.spent[self._part] += now - self._since
        self._part, self._since = part, now


def count(config: FluxformerConfig, shape: tuple[int, ...]) -> Counter[str]:
    """Multiply-adds per part, as count_multiply_adds counts them."""
    with torch.device("meta"):
        net, rgb = Fluxformer(config, 400).eval(), torch.empty(shape)
    counter = FlopCounterMode(display=False)
    marks = Marks(net, lambda: counter.get_total_flops() / 2)
    with counter, torch.no_grad():
        marks.run(lambda: net(rgb, rgb))
    first = 0
    for stage, depth in enumerate(config.trunk.depths, start=1):
        for block in net.blocks[first : first + depth]:
            marks.spent[f"stage {stage}"] -= sum(
                part.extra_multiply_adds for part in block.modules() if isinstance(part, PoolingAttention)
            )
        first += depth
    return marks.spent


def kind(operator: str) -> str:
    """The group to which an operator belongs."""
    name = operator.removeprefix("aten::")
    return next((group for group, parts in KINDS.items() if any(part in name for part in parts)), "other")


def operators(forward: Callable[[], object]) -> Counter[str]:
    """Share of the time of one forward that each kind of operator takes itself."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        forward()
    spent: Counter[str] = Counter()
    events: Any = profile.key_averages()
    for event in events:
        spent[kind(event.key)] += event.self_cpu_time_total
    total = spent.total()
    return Counter({name: value / total for name, value in spent.items()})


def product_rate(side: int, repeats: int) -> float:
    """Multiply-adds per second of a square matrix product."""
    a, b = torch.randn(2, side, side)
    torch.mm(a, b)
    begin = time.perf_counter()
    for _ in range(repeats):
        torch.mm(a, b)
    return repeats * side**3 / (time.perf_counter() - begin)


def peak_memory() -> float:
    """Most memory that this process has held, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fluxformer_b", help="of the family of fluxformer_b (default: %(default)s)")
    parser.add_argument("--duplex-stages", type=int, default=4, help="stages with a flow stream (default: %(default)s)")
    parser.add_argument("--frames", type=int, help="of a clip (default: the model's)")
    parser.add_argument("--size", type=int, help="of a clip, px (default: the model's)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="forwards, each between two products")
    parser.add_argument("--side", type=int, default=2048, help="of the matrices (default: %(default)s)")
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    config = config_of(arguments.model, FluxformerConfig)
    trunk = config.trunk
    trunk = replace(trunk, frames=arguments.frames or trunk.frames, size=arguments.size or trunk.size)
    config = replace(config, trunk=trunk, duplex_stages=tuple(range(1, arguments.duplex_stages + 1)))
    shape = (1, 3, trunk.frames, trunk.size, trunk.size)
    needed = count(config, shape)
    net = Fluxformer(config, 400).eval()
    rgb, flow = torch.randn(2, *shape)
    empty = peak_memory()

    def forward() -> Tensor:
        return net(rgb, flow).logits  # type: ignore[no-any-return]

    forward()
    memory = peak_memory()
    marks = Marks(net, time.perf_counter)
    rates, times, best = [product_rate(arguments.side, 5)], [], Counter[str]()
    for _ in range(arguments.rounds):
        begin = time.perf_counter()
        marks.run(forward)
        times.append(time.perf_counter() - begin)
        best = marks.spent.copy() if times[-1] == min(times) else best
        rates.append(product_rate(arguments.side, 5))
    # What else runs on the machine only ever makes things slower: the best of each is the undisturbed one.
    rate, seconds = max(rates), min(times)
    print(f"{arguments.model}, duplex {config.duplex} in {arguments.duplex_stages} stages, "
          f"{trunk.frames} x {trunk.size}², {arguments.threads} threads, fp32, torch {torch.__version__}")  # fmt: skip
    print(f"product of {arguments.side}²: {rate / 1e9:.1f} G multiply-adds/s, median {median(rates) / 1e9:.1f}")
    print(f"forward of {needed.total() / 1e9:.1f} G multiply-adds: {seconds:.3f} s, median {median(times):.3f}: "
          f"{needed.total() / seconds / rate:.1%} of that rate, "
          f"medians {needed.total() / median(times) / median(rates):.1%}")  # fmt: skip
    print(f"memory: {memory:.2f} GB at most, {empty:.2f} GB of them before the first forward\n")
    print(f"{'part':14}{'G mult-adds':>12}{'time':>8}{'rate':>8}")
    for part, spent in best.items():
        share, own = spent / best.total(), needed[part] / spent / rate
        print(f"{part:14}{needed[part] / 1e9:>12.2f}{share:>8.1%}{own:>8.1%}")
    print(f"\n{'operators':26}{'time':>8}")
    for name, share in operators(forward).most_common():
        print(f"{name:26}{share:>8.1%}")


if __name__ == "__main__":
    main()
