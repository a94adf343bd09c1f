"""Runs a camera, the recogniser and a listener as ROS processes, and writes a video of what was recognised."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fluxformer_core.actor import DEMO_SCRIPT
from fluxformer_core.errors import FluxformerError
from fluxformer_core.types import SECOND
from fluxformer_ros.node.process import set_threads
from fluxformer_ros.tools.actor_report import compare, table
from fluxformer_ros.tools.graph import Run, run_graph
from fluxformer_ros.tools.overlay_video import write_overlay

_EXAMPLE = """examples:
  python -m fluxformer_ros.tools.demo                  the rendered actor performs ten actions
  python -m fluxformer_ros.tools.demo clip.mp4
  python -m fluxformer_ros.tools.demo 0 --duration 30  the first camera"""


def report(run: Run) -> str:
    """Frames, rate and delay, in two lines."""
    values = run.transcript.last_values
    count = len(run.transcript.recognitions)
    return (
        f"{len(run.frames)} images published, {values['images received']} received, {values['images replaced']} "
        f"replaced by newer ones\n"
        f"{count} recognitions in {run.seconds:.1f} s ({count / max(run.seconds, 1e-9):.1f} per second); "
        f"from the image's stamp to publication p50 {float(values['stamp to publish p50 [ms]']):.0f} ms, "
        f"p99 {float(values['stamp to publish p99 [ms]']):.0f} ms"
    )


def main(args: Sequence[str] | None = None) -> int:
    """Run the demonstration.

    Returns:
        The exit code: 2 if the source cannot be played, a process failed or nothing was recognised.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", nargs="?", default="actor", help="video, folder, bag, camera index, or `actor`")
    parser.add_argument("--model", type=Path, metavar="FILE", help="another model than the shipped one")
    parser.add_argument("--duration", type=float, metavar="S", help="stop after this time")
    parser.add_argument(
        "--overlay", type=Path, default=Path("demo.mp4"), metavar="FILE", help="video to write (default: %(default)s)"
    )
    options = parser.parse_args(args)
    live = options.source.isdecimal() or options.source.startswith("/dev/video")
    limit = ["--duration", str(options.duration)] if options.duration else []
    first = "drawing the actor's performance, then " if options.source == "actor" else ""
    print(f"{first}playing {options.source} to the recogniser ...", flush=True)
    try:
        run = run_graph([options.source, *limit], model=options.model)
        print(f"\n{report(run)}")
        if options.source == "actor":
            played = [action for action in DEMO_SCRIPT if action.end * SECOND <= run.frames[-1].due]
            print(f"\n{table(*compare(played, run))}")
        if live:
            print("no overlay video: a camera's images cannot be played again")
        else:
            print("\ndrawing the overlay video ...", flush=True)
            set_threads(0)
            write_overlay(options.source, run, options.overlay, options.model)
            print(f"written to {options.overlay.resolve()}")
    except FluxformerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
