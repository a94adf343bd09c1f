"""Draws recognitions and events onto the images that were played."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.io.sources import SourceFrame, open_source
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.render.overlay import draw_overlay, visible
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import ActionEvent, Recognition
from fluxformer_ros.tools.actor_source import actor_frames
from fluxformer_ros.tools.graph import Run

_EVERY = 2  # frames: every second frame is drawn, because drawing is slow and 15 Hz show everything
Stamped = TypeVar("Stamped", Recognition, ActionEvent)


def newest(heard: Sequence[Stamped], stamp: int) -> Stamped | None:
    """The last item of `heard`, which is in the order of stamps, up to a stamp (ns)."""
    index = bisect_right(heard, stamp, key=attrgetter("stamp"))
    return heard[index - 1] if index else None


def write_overlay(source: str, run: Run, path: Path, model: Path | None = None) -> None:
    """Play a recorded source once more, without ROS, and write a video with the answers of the live recogniser.

    States, scores and events are those that were heard. The selected frames were not sent over ROS: a second recogniser
    finds the same frames again, because the recogniser is deterministic.

    Args:
        source: what the player played.
        run: with the stamp of every published frame.
        path: the video, .mp4.
        model: file of the model; the shipped one if None.

    Raises:
        SourceError: if the source cannot be read again.
        ConfigError: if the video cannot be written.
    """
    bundle = Bundle.load(model or default_bundle_path())
    recognizer = Recognizer(bundle)
    with VideoRecorder(path) as video, _open(source) as images:
        for number, (frame, image) in enumerate(zip(run.frames, images, strict=False)):
            recognizer.push(image.image, frame.stamp, image.pixels)
            if number % _EVERY:
                continue
            picture = draw_overlay(
                visible(image.image, image.pixels, bundle.spec.depth_range),
                recognition=newest(run.transcript.recognitions, frame.stamp),
                event=newest(run.transcript.events, frame.stamp),
                selection=recognizer.scene.last_clip,
            )
            video.write(picture, frame.stamp)


def _open(source: str) -> AbstractContextManager[Iterable[SourceFrame]]:
    return nullcontext(actor_frames()) if source == "actor" else open_source(source)
