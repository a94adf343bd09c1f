"""fluxformer compile: build a model's engine in advance, so that the first start needs no time for that."""

from __future__ import annotations

import json
import re
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fluxformer_core.cli.shared_arguments import add_backend_arguments

SUMMARY = "Build a model's engine for a backend, check it against the model, and keep it."
EXAMPLES = """\
  fluxformer compile mine.safetensors --backend openvino
  fluxformer compile mine.safetensors --backend tensorrt --precision fp16 --batch 1..4
  fluxformer compile mine.safetensors --backend openvino --clips wave.mp4 push.mp4     clips for the parity check
The recogniser takes engines of batch 1 from the same cache: FLUXFORMER_CACHE, or ~/.cache/fluxformer."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("model", metavar="BUNDLE", nargs="?", help="model file (default: the shipped one)")
    add_backend_arguments(parser)
    parser.set_defaults(backend="auto")
    add("--batch", default="1", metavar="1..N", help="clips per pass: 1, or any number up to N (default: %(default)s)")
    add("--flow", metavar="NAME", default="", help="gmflow:FILE: also build its net; none: no flow")
    add("--clips", nargs="+", default=[], metavar="SOURCE", help="recordings for the parity check (default: rendered)")
    add("--tolerance", type=float, metavar="SHARE", help="largest relative difference to the model")
    add("--cache", type=Path, metavar="DIR", help="folder of the engines")
    add("--rebuild", action="store_true", help="build even if the cache has an engine")
    add("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> None:
    """Build an engine, check and keep it, and print what was built."""
    from fluxformer_core.backends.cache import default_cache
    from fluxformer_core.bundle import load_bundle
    from fluxformer_core.enrollment.examples import recorded_trials
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.stream.load import build_flow, open_model

    if arguments.tolerance is not None and not arguments.tolerance > 0:
        raise ConfigError(f"--tolerance must be positive, not {arguments.tolerance}")
    batch = re.fullmatch(r"(?:1\.\.)?(\d+)", arguments.batch)
    if batch is None:
        raise ConfigError(f"--batch must be a number, or 1..N, not {arguments.batch!r}")
    bundle = load_bundle(arguments.model)
    begin = time.monotonic()

    def progress(text: str) -> None:
        print(f"[{time.monotonic() - begin:5.0f} s] {text}", file=sys.stderr, flush=True)

    flow = arguments.flow or bundle.spec.flow
    model = open_model(
        bundle,
        arguments.backend,
        arguments.precision,
        flow=flow != "none",
        batch=int(batch[1]),
        trials=recorded_trials(arguments.clips) if arguments.clips else None,
        cache=arguments.cache,
        tolerance=arguments.tolerance,
        rebuild=arguments.rebuild,
        progress=progress,
    )
    if flow.startswith("gmflow:"):
        build_flow(flow, bundle.spec, arguments.backend, arguments.precision, cache=arguments.cache, progress=progress)
    report = {
        "model": bundle.name,
        "digest": bundle.digest,
        **{name: getattr(model.net, name) for name in ("backend", "precision", "device")},
        "batch": model.net.max_batch,
        "cache": str(arguments.cache or default_cache()),
    }
    line = "{model} {digest}: {backend} {precision} on {device} is ready".format(**report)
    print(json.dumps(report, indent=2) if arguments.json else line)
