"""fluxformer recognize: recognise actions in a video, a bag, a folder of images or before a camera."""

from __future__ import annotations

import json
import math
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from fluxformer_core.cli.shared_arguments import (
    add_backend_arguments,
    add_settings_argument,
    add_view_argument,
    apply_settings,
)
from fluxformer_core.errors import writing

if TYPE_CHECKING:
    from fluxformer_core.io.sources import Source, SourceFrame
    from fluxformer_core.recognition import RecognitionResult
    from fluxformer_core.types import ActionEvent, Recognition, Update

SUMMARY = "Recognise actions in a video, a bag, a folder of images or before a camera."
EXAMPLES = """\
  fluxformer recognize clip.mp4
  fluxformer recognize 0 --overlay out.mp4                      the first camera, until Ctrl-C
  fluxformer recognize clip.mp4 --explain pictures/             a picture that explains each decision
  fluxformer recognize clip.mp4 --set start_score=0.65          thresholds have the names of the node's parameters
  fluxformer recognize my_bag --topic /camera/image_raw --json out.jsonl
  fluxformer recognize images/ --rate 25 --json - | jq .label"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    flow = "optical flow: dis, farneback, none or gmflow:FILE (default: as in the model's training)"
    selection = "frame selection: flow_guided or uniform (default: as in the model's training)"
    add("source", metavar="SOURCE", help="video file, bag, folder of images, or camera (0)")
    add("--model", metavar="BUNDLE", help="model file (default: the shipped one)")
    add("--flow", metavar="NAME", default="", help=flow)
    add_backend_arguments(parser)
    add("--topic", help="image topic of the bag; needed where it has several")
    add("--rate", type=float, metavar="HZ", help="frame rate of a folder (default: 30)")
    add("--json", metavar="FILE", help="write a line for each recognition and event; -: print the lines")
    add("--selection", metavar="NAME", default="", help=selection)
    add_view_argument(parser)
    add_settings_argument(parser)
    add("--overlay", type=Path, metavar="FILE.mp4", help="write a video of the frames and what is recognised")
    add("--explain", type=Path, metavar="DIR", help="write a picture of what led to each start and end")
    add("--quiet", action="store_true", help="print neither events nor progress")


def run(arguments: Namespace) -> None:
    """Read the source to its end, or until Ctrl-C."""
    from fluxformer_core.recognition import recognize, refuse_to_overwrite
    from fluxformer_core.stream.config import RecognizerConfig

    same = {name: getattr(arguments, name) for name in ("selection", "backend", "precision", "view")}
    config = RecognizerConfig(**same)
    if arguments.json:
        refuse_to_overwrite(arguments.source, arguments.json)
    quiet = arguments.quiet or arguments.json == "-"  # standard output then holds nothing but JSON
    printer = _Printer(arguments.json, quiet=quiet, pictures=arguments.explain is not None)
    try:
        recognize(
            arguments.source,
            arguments.model,
            config=apply_settings(config, arguments.settings),
            flow=arguments.flow,
            topic=arguments.topic,
            rate=arguments.rate,
            overlay=arguments.overlay,
            explanations=arguments.explain,
            on_update=printer.update,
            progress=printer.bar,
        )
    finally:
        printer.close()


class _Printer:
    """Prints events, progress and a summary, which may count pictures, and writes the lines of JSON.

    `json_name` is the file for the lines of JSON; "-": standard output; None: no JSON.
    """

    def __init__(self, json_name: str | None, *, quiet: bool, pictures: bool) -> None:
        self._json_name, self._quiet, self._pictures = json_name, quiet, pictures
        self._json: TextIO | None = None
        self._result: RecognitionResult | None = None

    def bar(self, source: Source) -> Iterable[SourceFrame]:
        """The frames of a source, with a progress bar if standard error is a terminal."""
        from tqdm import tqdm

        hidden = True if self._quiet else None  # None: tqdm decides
        self._frames = tqdm(source, total=source.length, unit=" frames", disable=hidden, leave=False)
        return self._frames

    def update(self, update: Update, result: RecognitionResult) -> None:
        """Write and print what is new."""
        if self._json_name == "-":
            self._json = sys.stdout
        elif self._json_name and self._json is None:
            with writing(self._json_name):
                self._json = open(self._json_name, "w")  # noqa: SIM115  # `close` closes the file
        self._result = result
        for recognition in update.recognitions:
            self._write("recognition", recognition, state=recognition.state.name)
        for event in update.events:
            self._write("event", event, kind=event.kind.name)
            if not self._quiet:
                self._print(event, result.start)

    def close(self) -> None:
        """Close the file and print the summary."""
        if self._json not in (None, sys.stdout):
            self._json.close()
        if self._result is None or self._quiet:
            return
        self._frames.close()
        counters = self._result.counters
        numbers = {
            "frame": counters.frames,
            "recognition": counters.recognitions,
            "action": max((event.instance for event in self._result.events), default=0),
        }
        if resets := sum(counters.resets.values()):
            numbers["reset"] = resets
        if self._pictures:
            numbers["picture"] = self._result.pictures
        counted = (f"{number} {name}{'' if number == 1 else 's'}" for name, number in numbers.items())
        sys.stderr.write(", ".join(counted) + "\n")

    def _write(self, type: str, content: Recognition | ActionEvent, **names: str) -> None:
        if self._json is not None:
            distance = None if math.isnan(content.distance) else content.distance  # JSON has no NaN
            self._json.write(json.dumps({"type": type, **asdict(content), "distance": distance, **names}) + "\n")
            self._json.flush()  # another program may read along

    def _print(self, event: ActionEvent, origin: int) -> None:
        from tqdm import tqdm

        from fluxformer_core.types import SECOND

        times = f"{(event.start - origin) / SECOND:8.1f} s"
        if event.end:
            times += f" .. {(event.end - origin) / SECOND:.1f} s"
        # tqdm removes its bar for the line and draws the bar again.
        who = f"  person {event.person_id}" if event.person_id else ""
        tqdm.write(f"{times:22}{event.kind.name.lower():10}{event.label:20}{100 * event.score:3.0f} %{who}")
        sys.stdout.flush()  # the line shall leave a pipe when the event happens
