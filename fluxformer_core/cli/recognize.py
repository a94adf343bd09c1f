"""fluxformer recognize: what people do in a video, a bag, a folder of images or before a camera."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from fluxformer_core.cli.backend_arguments import add_backend_arguments
from fluxformer_core.cli.settings_arguments import add_settings_argument, apply_settings

if TYPE_CHECKING:
    from fluxformer_core.io.sources import Source, SourceFrame
    from fluxformer_core.io.video_writer import VideoRecorder
    from fluxformer_core.render.explainer import Explainer
    from fluxformer_core.stream.recognizer import Recognizer
    from fluxformer_core.types import ActionEvent, Recognition, Update

SUMMARY = "Recognise actions in a video, a bag, a folder of images or before a camera."
EXAMPLES = """\
  fluxformer recognize clip.mp4
  fluxformer recognize 0 --overlay out.mp4                      the first camera, until Ctrl-C
  fluxformer recognize clip.mp4 --explain pictures/             why it said so: a picture of each decision
  fluxformer recognize clip.mp4 --set start_score=0.65          other thresholds, named as the node's parameters
  fluxformer recognize my_bag --topic /camera/image_raw --json out.jsonl
  fluxformer recognize images/ --rate 25 --json - | jq .label"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="video file, bag, folder of images, or camera (0)")
    parser.add_argument("--model", metavar="BUNDLE", help="model file (default: the shipped one)")
    parser.add_argument(
        "--flow", metavar="NAME", default="", help="dis, farneback, none or gmflow:FILE (default: the model's own)"
    )
    add_backend_arguments(parser)
    parser.add_argument("--topic", help="the bag's images; needed where it has several image topics")
    parser.add_argument("--rate", type=float, metavar="HZ", help="frames per second of a folder (default: 30)")
    parser.add_argument("--json", metavar="FILE", help="one line for each recognition and event; - prints")
    parser.add_argument(
        "--selection",
        metavar="NAME",
        default="",
        help="how frames are selected: flow_guided or uniform (default: as in the model's training)",
    )
    add_settings_argument(parser)
    parser.add_argument("--overlay", type=Path, metavar="FILE.mp4", help="video of what is seen and recognised")
    parser.add_argument("--explain", type=Path, metavar="DIR", help="a picture of what led to each start and end")
    parser.add_argument("--quiet", action="store_true", help="print neither events nor progress")


def run(arguments: Namespace) -> None:
    """Read the source to its end, or until Ctrl-C.

    Raises:
        FluxformerError: if the source, the model or an output cannot be used.
    """
    from fluxformer_core.bundle import Bundle, default_bundle_path
    from fluxformer_core.io.sources import open_source
    from fluxformer_core.io.video_writer import VideoRecorder
    from fluxformer_core.render.explainer import Explainer
    from fluxformer_core.stream.config import RecognizerConfig
    from fluxformer_core.stream.recognizer import Recognizer

    with ExitStack() as stack:
        source = stack.enter_context(open_source(arguments.source, topic=arguments.topic, rate=arguments.rate))
        config = RecognizerConfig(
            selection=arguments.selection, backend=arguments.backend, precision=arguments.precision
        )
        config = apply_settings(config, arguments.settings)
        recognizer = Recognizer(Bundle.load(arguments.model or default_bundle_path()), config, flow=arguments.flow)
        _refuse_to_overwrite(arguments.source, arguments.json, arguments.overlay)
        json_file = stack.enter_context(_open_json(arguments.json)) if arguments.json else None
        video = stack.enter_context(VideoRecorder(arguments.overlay)) if arguments.overlay else None
        explainer = Explainer(arguments.explain) if arguments.explain else None
        quiet = arguments.quiet or arguments.json == "-"  # whoever reads JSON wants nothing in between
        _follow(source, recognizer, _Report(json_file, video, explainer, quiet=quiet))


def _follow(source: Source, recognizer: Recognizer, report: _Report) -> None:
    from tqdm import tqdm

    hidden = True if report.quiet else None  # None: hidden where standard error is no terminal
    with tqdm(source, total=source.length, unit=" frames", disable=hidden, leave=False) as frames:
        try:
            for frame in frames:
                report.update(recognizer.push(frame.image, frame.stamp, frame.pixels), frame, recognizer)
        except KeyboardInterrupt:
            pass  # the usual end of a camera; of a recording, too, what was found so far is worth having
        finally:
            frames.close()
            report.close(recognizer.close())
            report.summary(recognizer)


class _Report:
    """Tells the user, the JSON file, the overlay video and the explaining pictures what was recognised.

    Args:
        json_file: where the lines of JSON go, if anywhere.
        video: where the overlay goes, if anywhere.
        explainer: what draws the pictures, if anything.
        quiet: whether nothing is to be printed.
    """

    def __init__(
        self, json_file: TextIO | None, video: VideoRecorder | None, explainer: Explainer | None, *, quiet: bool
    ) -> None:
        self.quiet = quiet
        self._json, self._video, self._explainer = json_file, video, explainer
        self._start: int | None = None
        self._recognition: Recognition | None = None
        self._event: ActionEvent | None = None

    def update(self, update: Update, frame: SourceFrame, recognizer: Recognizer) -> None:
        self._start = frame.stamp if self._start is None else self._start
        if update.recognition is not None:
            self._recognition = update.recognition
            self._write("recognition", update.recognition, state=update.recognition.state.name)
        self.events(update.events)
        if self._explainer is not None:
            self._explainer.update(update, frame.stamp, recognizer)
        if self._video is not None:
            from fluxformer_core.render.overlay import draw_overlay, visible

            picture = draw_overlay(
                visible(frame.image, frame.pixels, recognizer.spec.depth_range),
                recognition=self._recognition,
                event=self._event,
                selection=recognizer.last_selection,
            )
            self._video.write(picture, frame.stamp)

    def close(self, events: tuple[ActionEvent, ...]) -> None:
        self.events(events)
        if self._explainer is not None:
            self._explainer.close(events)

    def events(self, events: tuple[ActionEvent, ...]) -> None:
        for event in events:
            self._event = event
            self._write("event", event, kind=event.kind.name)
            if not self.quiet:
                self._print(event)

    def summary(self, recognizer: Recognizer) -> None:
        if self.quiet:
            return
        counters = recognizer.counters
        numbers = {
            "frame": counters.frames,
            "recognition": counters.recognitions,
            "action": self._event.instance if self._event else 0,
        }
        if resets := sum(counters.resets.values()):
            numbers["reset"] = resets
        if self._explainer is not None:
            numbers["picture"] = self._explainer.written
        counted = (f"{number} {name}{'' if number == 1 else 's'}" for name, number in numbers.items())
        sys.stderr.write(", ".join(counted) + "\n")

    def _write(self, type: str, thing: Recognition | ActionEvent, **names: str) -> None:
        if self._json is not None:
            self._json.write(json.dumps({"type": type, **asdict(thing), **names}) + "\n")
            self._json.flush()  # others may follow while a camera runs

    def _print(self, event: ActionEvent) -> None:
        from tqdm import tqdm

        from fluxformer_core.types import SECOND

        since = self._start or 0
        began = (event.start - since) / SECOND
        times = f"{began:8.1f} s"
        if event.end:
            times += f" .. {(event.end - since) / SECOND:.1f} s"
        # tqdm clears its bar for the line, and prints as usual where there is none.
        tqdm.write(f"{times:22}{event.kind.name.lower():10}{event.label:20}{100 * event.score:3.0f} %")
        sys.stdout.flush()  # an event is told when it happens, down a pipe, too


def _refuse_to_overwrite(source: str, *outputs: str | Path | None) -> None:
    from fluxformer_core.errors import ConfigError

    for output in outputs:
        if output is not None and Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
            raise ConfigError(f"{output} is the source itself; write to another file")


def _open_json(name: str) -> AbstractContextManager[TextIO]:
    from fluxformer_core.errors import ConfigError

    try:
        return nullcontext(sys.stdout) if name == "-" else open(name, "w")
    except OSError as error:
        raise ConfigError(f"{name} cannot be written: {error.strerror}") from error
