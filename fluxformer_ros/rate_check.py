"""Checks what a colour camera of 640x480 at 30 Hz gets here: rate, delay, cost, and the fate of every frame."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

from fluxformer_core.clip import SECOND
from fluxformer_core.errors import FluxformerError
from fluxformer_ros.graph import Run, run_graph

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


def main(args: Sequence[str] | None = None) -> int:
    """Run the check.

    Returns:
        The exit code: 1 if a received frame is unaccounted for, 2 if the graph failed.
    """
    example = "example: python -m fluxformer_ros.rate_check --seconds 60"
    parser = argparse.ArgumentParser(description=__doc__, epilog=example)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to play (default: %(default)s)")
    parser.add_argument("--model", metavar="FILE", help="another model than the one that is shipped")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(args)
    try:
        run = run_graph(["actor", "--loop", "--duration", str(options.seconds)], model=options.model, quiet=True)
    except FluxformerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    numbers = account(run)
    if options.json:
        print(json.dumps(numbers))
    else:
        for name, number in numbers.items():
            print(f"{name:<26}{number:>10.{0 if isinstance(number, int) else 1}f}")
    return int(numbers["frames unaccounted"] != 0)


if __name__ == "__main__":
    sys.exit(main())
