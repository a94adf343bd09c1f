"""Measures what a colour camera at 30 Hz gets here: rate, delay, cost by stage, and what became of every frame."""

from __future__ import annotations

import json
import statistics
from argparse import Namespace
from collections.abc import Mapping

from fluxformer_ros.tools.graph import Run, run_graph

EXAMPLE = "--seconds 60 --size 1280x720 -p backend:=openvino"
ARGUMENTS = {
    "--seconds": dict(type=float, default=30.0, help="how long to play (default: %(default)s)"),
    "--size": dict(default="640x480", metavar="WxH", help="of the images (default: %(default)s)"),
    "--parameter -p": dict(action="append", default=[], metavar="NAME:=VALUE", help="of the recogniser; repeatable"),
    "--json": dict(action="store_true", help="print one JSON object instead of a table"),
}
_OUTCOMES = ("pushed", "replaced", "refused", "discarded")


def account(run: Run) -> dict[str, float]:
    """Counts of frames by outcome (`unaccounted` should be 0), rates, and what the node costs.

    Delays are from the image's stamp to the publication of its recognition; 100 % of CPU is one core.
    """
    values = run.transcript.last_values
    count = {outcome: int(values[f"images {outcome}"]) for outcome in _OUTCOMES}
    received = int(values["images received"])
    return {
        "seconds": run.seconds,
        "frames published": len(run.frames),
        "frames received": received,
        "frames lost in transport": len(run.frames) - received,
        **{f"frames {outcome}": number for outcome, number in count.items()},
        "frames unaccounted": received - sum(count.values()) - int(values["failures"]),
        "recognitions": len(run.transcript.recognitions),
        "recognitions per second": len(run.transcript.recognitions) / run.seconds,
        **{f"delay p{q} [ms]": float(values[f"stamp to publish p{q} [ms]"]) for q in (50, 90, 99)},
        "cpu [%]": statistics.median(float(entry["cpu [%]"]) for entry in _busy(run)),
        "memory [MiB]": float(values["memory [MiB]"]),
    }


def _busy(run: Run) -> list[dict[str, str]]:
    """The diagnostics of the times at which images arrived."""
    return [status.values for status in run.transcript.statuses if float(status.values.get("input rate [Hz]") or 0) > 0]


def cpu_table(run: Run) -> dict[str, float]:
    """Processor time of the node while images arrived, ms per image received, by purpose.

    `receive` is messages, timers and services; then come the worker's stages, the forward pass with its backend's
    threads; `other` is the middleware's threads, pictures, waiting and passing on; `all` is the sum.
    """
    busy = _busy(run)
    if len(busy) < 2:
        return {}
    first, last = busy[0], busy[-1]
    images = int(last["images received"]) - int(first["images received"])
    names = [name for name in last if name.startswith("cpu: ")]
    grown = {name: float(last[name] or "nan") - float(first[name] or "nan") for name in names}
    return {name.removeprefix("cpu: ").removesuffix(" [s]"): 1e3 * grown[name] / images for name in names}


def run(options: Namespace) -> bool:
    """Play the rendered actor to a recogniser; the check fails (True) if a received frame is unaccounted for."""
    player = ["actor", "--loop", "--duration", str(options.seconds), "--size", options.size]
    played = run_graph(player, model=options.model, parameters=options.parameter, quiet=True)
    numbers, cpu, backend = account(played), cpu_table(played), played.transcript.last_values["backend"]
    if options.json:
        print(json.dumps({**numbers, "backend": backend, "cpu by stage [ms per image]": cpu}))
    else:
        print_numbers(numbers)
        print(f"\nprocessor time of the node by stage, {backend}, ms per image")
        for part, milliseconds in cpu.items():
            print(f"{part:<28}{milliseconds:>10.2f}{milliseconds / cpu['all']:>8.1%}")
    return numbers["frames unaccounted"] != 0


def print_numbers(numbers: Mapping[str, float]) -> None:
    """Print one number a line."""
    for name, number in numbers.items():
        print(f"{name:<28}{number:>10.{0 if isinstance(number, int) else 1}f}")
