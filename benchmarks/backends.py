"""The largest Fluxformer on each backend, as multiples of a matrix product that is timed in turns with it.

`fluxformer_b` with duplex attention in all stages, one clip of 16 x 224², random weights with open gates. The authors'
released implementation took as long as 47 of PyTorch's products of 2048² matrices in float32 for its forward, and as
329 for a whole prediction, since it computes 15 fields of optical flow for each; a third and a twentieth of these are
the marks. A whole streamed prediction here is the flow of one new frame and all that the window holds of it, the
selection, the tensors and the forward. Where another library multiplies faster than PyTorch, the forward is told as a
multiple of that library's product, too. "Of the rate" is of the fastest product in the forward's own precision.

Example:
    python benchmarks/backends.py --threads 2 --json backends.json
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

import cv2
import torch

from fluxformer_core.backends.base import list_backends
from fluxformer_core.evaluation.speed.forwards import Forward, random_bundle, time_forwards
from fluxformer_core.evaluation.speed.limits import SIDE, measure_limits
from fluxformer_core.evaluation.speed.machine import this_machine
from fluxformer_core.evaluation.speed.stages import time_stages

FORWARD, PREDICTION = 47.0, 329.0
"""Products that the released implementation took, measured where they ran at 215.6 GFLOP/s on two threads."""

FORWARD_MARK, PREDICTION_MARK = FORWARD / 3, PREDICTION / 20
MOST_AWAY = 0.01


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fluxformer_b")
    parser.add_argument("--duplex-stages", type=int, default=4, metavar="N", help="default: %(default)s")
    parser.add_argument("--backends", nargs="+", choices=list_backends()[1:], default=list_backends()[1:])
    parser.add_argument("--precisions", nargs="+", choices=["fp32", "fp16", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    changes = {"duplex_stages": tuple(range(1, arguments.duplex_stages + 1))} if arguments.duplex_stages else {}
    bundle = random_bundle(arguments.model, **changes)
    machine, limits = this_machine(), measure_limits()
    product = SIDE**3 / limits.product["fp32"]
    kept = "MALLOC_MMAP_MAX_" in os.environ
    print(f"{machine.processor}, {machine.cores} cores, {arguments.threads} threads, torch {machine.torch}, "
          f"large buffers {'kept' if kept else 'as glibc has it'}")  # fmt: skip
    fastest = SIDE**3 / limits.fastest["fp32"]
    for precision, rate in limits.product.items():
        print(f"product of {SIDE}² in {precision}: {2 * rate / 1e9:.1f} GFLOP/s, "
              f"{2 * limits.fastest[precision] / 1e9:.1f} at the fastest")  # fmt: skip
    print(f"copy: {limits.bandwidth / 1e9:.1f} GB/s read and written")
    spec = bundle.spec
    stages = [stage for stage in time_stages(spec, rounds=arguments.rounds) if stage.stage != "conversion"]
    per_frame = [s for s in stages if s.stage in ("buffer", "clip") or s.what.startswith("flow_guided")]
    streamed = sum(stage.seconds.best for stage in per_frame)
    print(f"flow and measurements of one frame, selection, tensors: {1e3 * streamed:.1f} ms, "
          f"{streamed / product:.2f} products\n")  # fmt: skip
    print(f"{'backend':10}{'':6}{'best s':>8}{'products':>10}{'fastest':>10}{'of the':>8}{'prediction':>12}{'times':>8}"
          f"{'logits':>9}")  # fmt: skip
    print(f"{'':24}{'':10}{'products':>10}{'rate':>8}{'products':>12}{'faster':>8}{'away':>9}")
    forwards: list[Forward] = []
    for found in time_forwards(bundle, arguments.backends, arguments.precisions, limits, rounds=arguments.rounds):
        forwards.append(found)
        start = f"{found.backend:10}{found.precision:6}"
        if found.seconds is None:
            print(f"{start}  {found.reason}")
            continue
        whole = found.products * (1 + streamed / found.seconds.best)
        share = "" if found.share is None else f"{found.share:.0%}"
        print(f"{start}{found.seconds.best:>8.2f}{found.products:>10.1f}{found.seconds.best / fastest:>10.1f}{share:>8}"
              f"{whole:>12.1f}{FORWARD / found.products:>8.2f}{found.away:>9.1e}", flush=True)  # fmt: skip
    near = [found for found in forwards if found.seconds is not None and found.away <= MOST_AWAY]
    if near:
        best = min(near, key=lambda found: found.products)
        assert best.seconds is not None
        whole = best.products * (1 + streamed / best.seconds.best)
        print(f"\nbest within {MOST_AWAY:.0%} of the logits: {best.backend} {best.precision}")
        print(f"forward {best.products:.1f} products, mark {FORWARD_MARK:.1f}: "
              f"{'reached' if best.products <= FORWARD_MARK else 'missed'}")  # fmt: skip
        print(f"prediction {whole:.1f} products, mark {PREDICTION_MARK:.1f}: "
              f"{'reached' if whole <= PREDICTION_MARK else 'missed'}")  # fmt: skip
    if arguments.json is not None:
        document = {
            "machine": asdict(machine),
            "limits": asdict(limits),
            "streamed": streamed,
            "forwards": [asdict(found) for found in forwards],
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
