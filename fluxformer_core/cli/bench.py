"""fluxformer bench: how fast this machine runs models and the live path, beside the limits of the machine."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from fluxformer_core.cli.shared_arguments import BACKENDS, PRECISIONS

if TYPE_CHECKING:
    from fluxformer_core.bundle import Bundle
    from fluxformer_core.evaluation.speed.forwards import ForwardTime

SUMMARY = "Measure how fast this machine runs models, beside the limits of the machine."
EXAMPLES = """\
  fluxformer bench
  fluxformer bench --models fluxformer_nano fluxformer_s mine.safetensors --backends torch openvino --json speed.json
  fluxformer bench --models fluxformer_b --backends cuda tensorrt --precisions fp16 bf16
Through ROS, with a player: python -m fluxformer_ros.checks rate; figures: docs/measurements/backends.md."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    models = "bundle files, or names that `fluxformer models` lists, with random weights (default: the shipped model)"
    add("--models", nargs="+", default=[], metavar="MODEL", help=models)
    known = [name for name in BACKENDS if name != "auto"]
    add("--backends", nargs="+", choices=known, default=known, help="(default: all that work here)")
    add("--precisions", nargs="+", choices=PRECISIONS, default=["fp32"], help="(default: fp32)")
    add("--rounds", type=int, default=10, metavar="N", help="measurements of each (default: 10)")
    add("--threads", type=int, metavar="N", help="processor threads (default: PyTorch's choice)")
    add("--json", metavar="FILE", type=Path, help="write every figure here")


def run(arguments: Namespace) -> None:
    """Measure, and print each line as soon as it is known."""
    import cv2
    import torch

    from fluxformer_core.cli.output import check_writable, write_text
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.evaluation.speed.forwards import time_forwards
    from fluxformer_core.evaluation.speed.machine import measure_limits, this_machine
    from fluxformer_core.evaluation.speed.stages import time_stages

    if arguments.rounds < 1 or (arguments.threads is not None and arguments.threads < 1):
        raise ConfigError("--rounds and --threads must be at least 1")
    if arguments.json is not None:
        check_writable(arguments.json)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        cv2.setNumThreads(arguments.threads)
    bundles = [_bundle(model) for model in arguments.models or [""]]
    limits = measure_limits()
    for precision, rate in limits.product.items():
        print(f"matrix product in {precision}: {rate / 1e9:.1f} G multiply-adds/s, "
              f"{limits.fastest[precision] / 1e9:.1f} at the fastest, {limits.threads} threads")  # fmt: skip
    print(f"copy of memory: {limits.bandwidth / 1e9:.1f} GB/s read and written")
    stages = []
    for spec in dict.fromkeys(bundle.spec for bundle in bundles):
        print(f"\n{'stage, ms':14}{'':50}{'best':>9}{'median':>9}   for clips of {spec.frames} x {spec.size} px")
        for stage in time_stages(spec, rounds=5 * arguments.rounds):
            stages.append({"size": spec.size, **asdict(stage)})
            best, middle = 1e3 * stage.seconds.best, 1e3 * stage.seconds.middle
            print(f"{stage.stage:14}{stage.what:50}{best:>9.3f}{middle:>9.3f}")
    print(f"\n{'model':18}{'backend':10}{'':6}{'best ms':>9}{'median':>9}{'products':>10}{'of rate':>9}{'away':>9}")
    forwards = []
    for bundle in bundles:
        for forward in time_forwards(bundle, arguments.backends, arguments.precisions, limits, rounds=arguments.rounds):
            forwards.append(asdict(forward))
            _print_forward(forward)
    if arguments.json is not None:
        document = {"machine": asdict(this_machine()), "limits": asdict(limits), "stages": stages, "forwards": forwards}
        write_text(arguments.json, json.dumps(document, indent=1) + "\n")


def _bundle(model: str) -> Bundle:
    """The bundle of a file, or random weights for the name of a model; the shipped bundle for an empty text."""
    from fluxformer_core.bundle import Bundle, default_bundle_path
    from fluxformer_core.evaluation.speed.forwards import random_bundle
    from fluxformer_core.models.registry import list_models

    if model in list_models():
        return random_bundle(model)
    return Bundle.load(model or default_bundle_path())


def _print_forward(forward: ForwardTime) -> None:
    start = f"{forward.model:18}{forward.backend:10}{forward.precision:6}"
    if forward.seconds is None:
        print(f"{start}  {forward.reason}")
    else:
        best, middle = 1e3 * forward.seconds.best, 1e3 * forward.seconds.middle
        share = "" if forward.share is None else f"{forward.share:.1%}"
        print(f"{start}{best:>9.1f}{middle:>9.1f}{forward.products:>10.2f}{share:>9}{forward.away:>9.1e}")
    sys.stdout.flush()
