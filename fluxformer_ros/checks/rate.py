"""Checks what a colour camera at 30 Hz gets here: rate, delay, cost by stage, and the fate of every frame."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

from fluxformer_core.errors import FluxformerError
from fluxformer_core.types import SECOND
from fluxformer_ros.tools.graph import Run, run_graph

_FATES = ("pushed", "replaced", "refused", "discarded")


def account(run: Run) -> dict[str, float]:
    """The numbers of a run.

    Returns:
        Counts of frames by fate (`unaccounted` should be 0), rates in Hz, delays in ms, CPU in per cent of one core and
        resident memory in MiB. Delays are from the image's stamp to the publication of its recognition.
    """
    values = run.transcript.last_values
    count = {fate: int(values[f"images {fate}"]) for fate in _FATES}
    received = int(values["images received"])
    duration = (run.frames[-1].stamp - run.frames[0].stamp) / SECOND
    busy = [status.values for status in run.transcript.statuses if float(status.values.get("input rate [Hz]") or 0) > 0]
    return {
        "seconds": duration,
        "frames published": len(run.frames),
        "frames received": received,
        "frames lost in transport": len(run.frames) - received,
        **{f"frames {fate}": number for fate, number in count.items()},
        "frames unaccounted": received - sum(count.values()) - int(values["failures"]),
        "recognitions": len(run.transcript.recognitions),
        "recognitions per second": len(run.transcript.recognitions) / duration,
        **{f"delay p{q} [ms]": float(values[f"stamp to publish p{q} [ms]"]) for q in (50, 90, 99)},
        "cpu [%]": statistics.median(float(entry["cpu [%]"]) for entry in busy),
        "memory [MiB]": float(values["memory [MiB]"]),
    }


def cpu_table(run: Run) -> dict[str, float]:
    """Processor time of the node while images arrived, ms per image received, by what it was for.

    Returns:
        `receive`: taking messages, timers and services; the worker's stages, the forward's with its backend's threads;
        `other`: the middleware's threads, pictures, waiting, handing on; `all`: the whole process, the sum of these.
    """
    busy = [status.values for status in run.transcript.statuses if float(status.values.get("input rate [Hz]") or 0) > 0]
    if len(busy) < 2:
        return {}
    first, last = busy[0], busy[-1]
    images = int(last["images received"]) - int(first["images received"])
    names = [name for name in last if name.startswith("cpu: ")]
    grown = {name: float(last[name] or "nan") - float(first[name] or "nan") for name in names}
    return {name.removeprefix("cpu: ").removesuffix(" [s]"): 1e3 * grown[name] / images for name in names}


def main(args: Sequence[str] | None = None) -> int:
    """Run the check.

    Returns:
        The exit code: 1 if a received frame is unaccounted for, 2 if the graph failed.
    """
    example = "example: python -m fluxformer_ros.checks.rate --seconds 60 --size 1280x720 -p backend:=openvino"
    parser = argparse.ArgumentParser(description=__doc__, epilog=example)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to play (default: %(default)s)")
    parser.add_argument("--model", metavar="FILE", help="another model than the one that is shipped")
    parser.add_argument("--size", default="640x480", metavar="WxH", help="of the images (default: %(default)s)")
    parser.add_argument(
        "--parameter",
        "-p",
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="of the recogniser; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(args)
    try:
        player = ["actor", "--loop", "--duration", str(options.seconds), "--size", options.size]
        run = run_graph(player, model=options.model, parameters=options.parameter, quiet=True)
    except FluxformerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    numbers, cpu = account(run), cpu_table(run)
    if options.json:
        print(
            json.dumps(
                {**numbers, "backend": run.transcript.last_values["backend"], "cpu by stage [ms per image]": cpu}
            )
        )
    else:
        for name, number in numbers.items():
            print(f"{name:<26}{number:>10.{0 if isinstance(number, int) else 1}f}")
        print(f"\nprocessor time of the node by stage, {run.transcript.last_values['backend']}, ms per image")
        for part, milliseconds in cpu.items():
            print(f"{part:<26}{milliseconds:>10.2f}{milliseconds / cpu['all']:>8.1%}")
    return int(numbers["frames unaccounted"] != 0)


if __name__ == "__main__":
    sys.exit(main())
