r"""Speed of the models, beyond what `fluxformer bench` measures.

released   The largest Fluxformer on each backend, as multiples of a matrix product that is timed in turns with it. The
           authors' released implementation took 47 of PyTorch's products of 2048² float32 matrices for a forward pass
           and 329 for a prediction, since it computes 15 flow fields for each. The targets are a third and a twentieth.
           A prediction on a stream is the flow of one new frame, the selection, the tensors and the forward pass.
gpu        Eager, as a CUDA graph (backend `cuda`) and by torch.compile, compared with float32 on the processor. A
           forward pass takes and returns tensors in the processor's memory. Only the shipped model has trained weights;
           its clips, as those of the other models, show the rendered actor. GMFlow gets noise.

Examples:
    python -m benchmarks.speed released --threads 2 --json released.json
    python -m benchmarks.speed gpu --json gpu.json
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import cv2
import torch
from torch import Tensor, nn

from benchmarks.options import parser
from fluxformer_core.backends.base import DTYPES, BuildRequest, LoadedNet, list_backends, tensors_of
from fluxformer_core.backends.opening import open_net
from fluxformer_core.backends.parity import measure_parity
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.errors import BackendError
from fluxformer_core.evaluation.speed.forwards import multiply_adds, random_bundle, time_forwards
from fluxformer_core.evaluation.speed.machine import SIDE, Timing, measure_limits, seconds_of, this_machine
from fluxformer_core.evaluation.speed.stages import time_stages
from fluxformer_core.models.gmflow import GMFlow, GMFlowConfig
from fluxformer_core.stream.load import performed

RELEASED_FORWARD, RELEASED_PREDICTION = 47.0, 329.0
"""Products that the released implementation took, measured on a machine with 215.6 GFLOP/s on two threads."""

ACTIONS = ("wave", "clap", "squat", "walk", "throw", "push", "lunge", "jog")
"""What the actor performs in the clips for the GPU."""

Inputs = tuple[Tensor, ...]


def released(options: argparse.Namespace) -> dict[str, Any]:
    """Compare the largest model on every backend with the released implementation."""
    largest = options.models[0] == "fluxformer_b"
    changes = {"duplex_stages": tuple(range(1, options.duplex_stages + 1))} if largest else {}
    bundle = random_bundle(options.models[0], **changes)
    limits = measure_limits()
    for precision, rate in limits.product.items():
        print(f"product of {SIDE}² in {precision}: {2 * rate / 1e9:.1f} GFLOP/s, "
              f"{2 * limits.fastest[precision] / 1e9:.1f} at the fastest")  # fmt: skip
    print(f"copy: {limits.bandwidth / 1e9:.1f} GB/s read and written")
    stages = time_stages(bundle.spec, rounds=options.rounds)
    per_frame = [s for s in stages if s.stage in ("buffer", "clip") or s.what.startswith("flow_guided")]
    frame = sum(stage.seconds.best for stage in per_frame)
    print(f"flow and measurements of one frame, selection, tensors: {1e3 * frame:.1f} ms\n")
    print(f"{'backend':10}{'':6}{'best s':>8}{'products':>10}{'of rate':>9}{'prediction':>12}{'times faster':>14}"
          f"{'difference':>12}")  # fmt: skip
    found, near = [], []
    for one in time_forwards(bundle, options.backends, options.precisions, limits, rounds=options.rounds):
        found.append(one)
        if one.seconds is None:
            print(f"{one.backend:10}{one.precision:6}  {one.reason}")
            continue
        prediction = one.products * (1 + frame / one.seconds.best)
        share = "" if one.share is None else f"{one.share:.0%}"
        print(f"{one.backend:10}{one.precision:6}{one.seconds.best:>8.2f}{one.products:>10.1f}{share:>9}"
              f"{prediction:>12.1f}{RELEASED_FORWARD / one.products:>14.2f}{one.away:>12.1e}", flush=True)  # fmt: skip
        near += [(one.products, prediction, f"{one.backend} {one.precision}")] if one.away <= 0.01 else []
    if near:
        forward, prediction, name = min(near)
        print(f"\nbest within 1% of the logits: {name}")
        targets = (("forward", forward, RELEASED_FORWARD / 3), ("prediction", prediction, RELEASED_PREDICTION / 20))
        for what, products, target in targets:
            reached = "reached" if products <= target else "missed"
            print(f"{what} {products:.1f} products, target {target:.1f}: {reached}")
    return {"limits": asdict(limits), "frame": frame, "forwards": [asdict(one) for one in found]}


class Direct(LoadedNet):
    """A net on the GPU without a graph, perhaps compiled, called as an engine."""

    def __init__(self, request: BuildRequest, *, compiled: bool) -> None:
        super().__init__("compile" if compiled else "eager", request, torch.cuda.get_device_name())
        net: nn.Module = request.net().eval().to("cuda", DTYPES[request.precision])
        self._net: Callable[..., object] = torch.compile(net, mode="reduce-overhead") if compiled else net
        self._dtype = DTYPES[request.precision]

    def _run(self, inputs: Inputs) -> Inputs:
        outputs = tensors_of(self._net(*(x.to("cuda", self._dtype) for x in inputs)))
        return tuple(x.float().cpu() for x in outputs)


def _nets(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], nn.Module], list[Inputs], float]]:
    """Name, factory, inputs and multiply-adds of every net."""
    for name in options.models:
        if name == "gmflow":
            torch.manual_seed(0)
            flow = GMFlow(GMFlowConfig(224, 304)).eval()
            pairs = [tuple(255 * torch.rand(2, 1, 3, 224, 304)) for _ in range(2)]
            yield name, partial(copy.deepcopy, flow), pairs, 0.0
            continue
        bundle = Bundle.load(default_bundle_path()) if name == "fluxformer_nano" else random_bundle(name)
        clips = [performed(label, bundle.spec, flow=bundle.metadata.config.takes_flow) for label in ACTIONS]
        yield name, bundle.build_model, clips, multiply_adds(bundle)


def gpu(options: argparse.Namespace) -> dict[str, Any]:
    """Three ways to run each net on the GPU, each in every precision."""
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA GPU here")
    torch.backends.cudnn.allow_tf32 = False  # as the backend sets it
    print(f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}\n{'model':18}{'':6}{'way':9}{'ready s':>8}"
          f"{'best ms':>9}{'median':>8}{'G/s':>9}{'difference':>12}{'same label':>12}")  # fmt: skip
    rows = []
    for name, make, inputs, needed in _nets(options):
        exact = make().eval()
        with torch.inference_mode():
            outputs = {id(given[0]): exact(*given) for given in inputs}
            on_processor = seconds_of(lambda exact=exact, given=inputs[0]: exact(*given))
        print(f"{name:18}{'fp32':6}{'processor':9}{'':8}{1e3 * on_processor:>9.1f}", flush=True)
        shapes = tuple(tuple(x.shape) for x in inputs[0])
        for way in ("eager", "graph", "compile"):
            for precision in options.precisions:
                request = BuildRequest(name, "", make, shapes, lambda inputs=inputs: inputs, precision)
                opening = partial(_open, request, way, inputs[0])
                try:
                    engines: list[LoadedNet] = []
                    ready = seconds_of(lambda opening=opening, engines=engines: engines.append(opening()))
                    times = Timing.measure(lambda run=engines[0], given=inputs[0]: run(*given), options.rounds)
                    found = measure_parity(engines[0], lambda *given, known=outputs: known[id(given[0])], inputs)
                except (BackendError, RuntimeError) as error:
                    print(f"{name:18}{precision:6}{way:9}  {str(error).splitlines()[0]}", flush=True)
                    continue
                rows.append({"model": name, "precision": precision, "way": way, "ready": ready, **asdict(times)}
                            | {"rate": needed / times.best, **asdict(found)})  # fmt: skip
                print(f"{name:18}{precision:6}{way:9}{ready:>8.1f}{1e3 * times.best:>9.2f}{1e3 * times.middle:>8.2f}"
                      f"{needed / times.best / 1e9:>9.0f}{found.max_relative_difference:>12.1e}"
                      f"{found.same_label:>12.0%}", flush=True)  # fmt: skip
                torch.cuda.empty_cache()
    return {"device": torch.cuda.get_device_name(), "rows": rows}


def _open(request: BuildRequest, way: str, clip: Inputs) -> LoadedNet:
    engine = open_net(request, "cuda", tolerance=1.0) if way == "graph" else Direct(request, compiled=way == "compile")
    engine(*clip)
    return engine


def main() -> None:
    """Measure, print and write."""
    made = parser(__doc__, "threads", "json")
    modes = {"released": released, "gpu": gpu}
    made.add_argument("mode", choices=modes)
    made.add_argument("--models", nargs="+", metavar="NAME", help="(default: fluxformer_b; gpu: all and gmflow)")
    made.add_argument("--duplex-stages", type=int, default=4, metavar="N", help="of fluxformer_b (%(default)s)")
    made.add_argument("--backends", nargs="+", choices=list_backends()[1:], default=list_backends()[1:])
    made.add_argument("--precisions", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    made.add_argument("--rounds", type=int, default=7, help="measurements of each (default: %(default)s)")
    made.set_defaults(threads=2)
    options = made.parse_args()
    all_models = ["fluxformer_nano", "fluxformer_s", "fluxformer_b", "gmflow"]
    options.models = options.models or (all_models if options.mode == "gpu" else ["fluxformer_b"])
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    machine = this_machine()
    print(f"{machine.processor}, {machine.cores} cores, {machine.threads} threads, torch {machine.torch}")
    found = modes[options.mode](options)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": asdict(machine), **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
