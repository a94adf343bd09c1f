"""The models on a CUDA GPU, three ways: eager, as the `cuda` backend runs them (a graph), and by torch.compile.

A forward is timed as a stream asks for it: float32 tensors in the processor's memory go in, logits in the processor's
memory come out, one clip at a time. Every way and precision is held against the eager model in float32 on the
processor: whether all values are finite, how far they are away (as the parity check counts it) and how often the
highest logit is the same. The default model has its weights, and clips of the actor; the others have random weights.
GMFlow has random weights and is timed on images of noise.

Example:
    python benchmarks/gpu.py --json gpu.json
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from fluxformer_core import actor
from fluxformer_core.backends.base import DTYPES, BuildRequest, InferencePrecision, LoadedNet, tensors_of
from fluxformer_core.backends.opening import open_net
from fluxformer_core.backends.parity import measure_parity
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.errors import BackendError
from fluxformer_core.evaluation.speed.forwards import multiply_adds, random_bundle
from fluxformer_core.models.gmflow.gmflow import GMFlow, GMFlowConfig
from fluxformer_core.models.registry import list_models
from fluxformer_core.stream.trial_clips import performed

WAYS = ("eager", "graph", "compile")
ACTIONS = ("wave", "clap", "squat", "walk", "throw", "push", "lunge", "jog")
"""What the actor performs for the comparison unless something else is asked for."""

Inputs = tuple[Tensor, ...]


class Direct(LoadedNet):
    """A net on the GPU without a graph, perhaps compiled, called as an engine is."""

    def __init__(self, request: BuildRequest, *, compiled: bool) -> None:
        super().__init__("compile" if compiled else "eager", request, torch.cuda.get_device_name(), request.batch)
        net: nn.Module = request.net().eval().to("cuda", DTYPES[request.precision])
        self._net: Callable[..., object] = torch.compile(net, mode="reduce-overhead") if compiled else net
        self._dtype = DTYPES[request.precision]

    def _run(self, inputs: Inputs) -> Inputs:
        outputs = tensors_of(self._net(*(x.to("cuda", self._dtype) for x in inputs)))
        return tuple(x.float().cpu() for x in outputs)


class Recall(nn.Module):
    """Gives what a net gave for these very inputs, without computing it again."""

    def __init__(self, net: nn.Module, inputs: Sequence[Inputs]) -> None:
        super().__init__()
        with torch.inference_mode():
            self._outputs = {id(given[0]): tensors_of(net(*given)) for given in inputs}

    def forward(self, *given: Tensor) -> Inputs:
        return self._outputs[id(given[0])]


@dataclass(frozen=True)
class Row:
    """One way of running one net."""

    model: str
    precision: InferencePrecision
    way: str
    ready: float  # seconds from the net to the end of the first forward
    best: float  # seconds of a forward
    median: float
    rate: float  # multiply-adds per second at best
    finite: bool  # every output of every clip
    away: float
    agreement: float


def nets(
    names: Sequence[str], actions: Sequence[str]
) -> Iterator[tuple[str, Callable[[], nn.Module], list[Inputs], float]]:
    """Name, maker, inputs and multiply-adds of every net."""
    for name in names:
        if name == "gmflow":
            torch.manual_seed(0)
            flow = GMFlow(GMFlowConfig(224, 304)).eval()
            pairs = [tuple(255 * torch.rand(2, 1, 3, 224, 304)) for _ in range(2)]
            yield name, partial(copy.deepcopy, flow), pairs, 0.0
            continue
        shipped = name == "fluxformer_nano"
        bundle = Bundle.load(default_bundle_path()) if shipped else random_bundle(name)
        clips = [performed(label, bundle.spec, flow=bundle.metadata.config.takes_flow) for label in actions]
        yield name, bundle.build_model, clips, multiply_adds(bundle)


def measure(request: BuildRequest, way: str, exact: nn.Module, inputs: list[Inputs], needed: float, rounds: int) -> Row:
    """Build, compare and time.

    Raises:
        BackendError: if the backend refuses.
    """
    begin = time.perf_counter()
    graph = way == "graph"
    engine = open_net(request, "cuda", tolerance=1.0) if graph else Direct(request, compiled=way == "compile")
    engine(*inputs[0])
    ready = time.perf_counter() - begin
    for _ in range(5):
        engine(*inputs[0])
    taken = []
    for i in range(rounds):
        clip = inputs[i % len(inputs)]
        torch.cuda.synchronize()
        begin = time.perf_counter()
        engine(*clip)
        taken.append(time.perf_counter() - begin)
    found = measure_parity(engine, exact, inputs)
    best = min(taken)
    return Row(
        request.name,
        request.precision,
        way,
        ready,
        best,
        median(taken),
        needed / best,
        math.isfinite(found.max_relative_difference),
        found.max_relative_difference,
        found.same_label,
    )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*list_models(), "gmflow"]
    default = ["fluxformer_nano", "fluxformer_s", "fluxformer_b", "gmflow"]
    parser.add_argument("--models", nargs="+", choices=known, default=default)
    parser.add_argument("--precisions", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--actions", nargs="+", choices=actor.ACTIONS, default=ACTIONS, help="of the clips")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    arguments = parse()
    torch.backends.cudnn.allow_tf32 = False  # as the backend does
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA GPU here")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}, "
          f"{torch.get_num_threads()} processor threads")  # fmt: skip
    print(f"{'model':18}{'':6}{'way':9}{'ready s':>8}{'best ms':>9}{'median':>8}{'G/s':>9}  finite"
          f"{'away':>10}{'same top':>9}")  # fmt: skip
    rows: list[Row] = []
    for name, make, inputs, needed in nets(arguments.models, arguments.actions):
        exact = make().eval()
        with torch.inference_mode():
            exact(*inputs[0])
            begin = time.perf_counter()
            exact(*inputs[0])
        on_processor = time.perf_counter() - begin
        known = Recall(exact, inputs)
        print(f"{name:18}{'fp32':6}{'processor':9}{'':8}{1e3 * on_processor:>9.1f}", flush=True)
        for way in arguments.ways:
            for precision in arguments.precisions:
                shapes = tuple(tuple(x.shape) for x in inputs[0])
                request = BuildRequest(  # type: ignore[misc]
                    name, "", make, shapes, lambda inputs=inputs: inputs, precision
                )
                try:
                    row = measure(request, way, known, inputs, needed, arguments.rounds)
                except (BackendError, RuntimeError) as error:
                    print(f"{name:18}{precision:6}{way:9}  {str(error).splitlines()[0]}", flush=True)
                    continue
                rows.append(row)
                print(f"{row.model:18}{row.precision:6}{row.way:9}{row.ready:>8.1f}{1e3 * row.best:>9.2f}"
                      f"{1e3 * row.median:>8.2f}{row.rate / 1e9:>9.0f}{'yes' if row.finite else 'NO':>8}"
                      f"{row.away:>10.1e}{row.agreement:>9.0%}", flush=True)  # fmt: skip
                torch.cuda.empty_cache()
    if arguments.json is not None:
        document = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": list(map(asdict, rows))}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
