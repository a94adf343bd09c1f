"""Runs a camera, the recogniser and a listener as ROS processes, and writes a video of what was recognised."""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import nullcontext
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from fluxformer_core.actor import DEMO_SCRIPT
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.errors import FluxformerError
from fluxformer_core.io.sources import open_source
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.render.overlay import draw_overlay, visible
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, ActionEvent, Recognition
from fluxformer_ros.node.process import set_threads
from fluxformer_ros.tools.actor_report import compare, table
from fluxformer_ros.tools.graph import Run, run_graph
from fluxformer_ros.tools.playback import actor_frames

_EVERY = 2  # frames: every second frame is drawn, because drawing is slow and 15 Hz show everything
_EXAMPLE = """examples:
  python -m fluxformer_ros.tools.demo                  the rendered actor performs ten actions
  python -m fluxformer_ros.tools.demo clip.mp4
  python -m fluxformer_ros.tools.demo 0 --duration 30  the first camera"""
Stamped = TypeVar("Stamped", Recognition, ActionEvent)


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


def newest(heard: Sequence[Stamped], stamp: int) -> Stamped | None:
    """The last item of `heard`, which is in the order of stamps, up to a stamp (ns)."""
    index = bisect_right(heard, stamp, key=attrgetter("stamp"))
    return heard[index - 1] if index else None


def write_overlay(source: str, run: Run, path: Path, model: Path | None = None) -> None:
    """Play a recorded source once more, without ROS, and write a video with the answers of the live recogniser.

    States, scores and events are those that were heard. The selected frames were not sent over ROS: a second recogniser
    finds the same frames again, because the recogniser is deterministic.

    Raises:
        SourceError: if the source cannot be read again.
        ConfigError: if the video cannot be written.
    """
    bundle = Bundle.load(model or default_bundle_path())
    recognizer = Recognizer(bundle)
    played = nullcontext(actor_frames()) if source == "actor" else open_source(source)
    with VideoRecorder(path) as video, played as images:
        for number, (frame, image) in enumerate(zip(run.frames, images, strict=False)):
            recognizer.push(image.image, frame.stamp, image.pixels)
            if number % _EVERY == 0:
                recognition = newest(run.transcript.recognitions, frame.stamp)
                stream = recognizer.stream_of(recognition.person_id if recognition else "")
                picture = draw_overlay(
                    visible(image.image, image.pixels, bundle.spec.depth_range),
                    recognition=recognition,
                    event=newest(run.transcript.events, frame.stamp),
                    selection=None if stream is None else stream.last_clip,
                    people=recognizer.views,
                )
                video.write(picture, frame.stamp)


def main(args: Sequence[str] | None = None) -> int:
    """Run the demonstration; the exit code is 2 if the source cannot be played or nothing was recognised."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=_EXAMPLE, formatter_class=shape)
    add = parser.add_argument
    add("source", nargs="?", default="actor", help="video, folder, bag, camera index, or `actor`")
    add("--model", type=Path, metavar="FILE", help="another model than the shipped one")
    add("--duration", type=float, metavar="S", help="stop after this time")
    add("--overlay", type=Path, default="demo.mp4", metavar="FILE", help="video to write (default: %(default)s)")
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
