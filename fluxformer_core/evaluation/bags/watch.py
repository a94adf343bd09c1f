"""Push one topic of a bag through the recogniser as fast as possible; time comes from the stamps alone."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from fluxformer_core.bundle import Bundle
from fluxformer_core.errors import FluxformerError, ImageError
from fluxformer_core.evaluation.bags.finding import BagFault, BagStream, without_name
from fluxformer_core.evaluation.bags.stream_result import StreamResult, Track, TrackBuilder
from fluxformer_core.evaluation.metrics.stream_output import predicted_events
from fluxformer_core.io.sources import bag as bag_source
from fluxformer_core.io.sources.bag import BagSource
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.measurements import ResetCause
from fluxformer_core.stream.motion import MotionSegment
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import OTHER, SECOND, ActionEvent

_BEAT = 64  # frames between two progress reports
_RECENT = 64  # motion segments among which those of all people now are


@dataclass(frozen=True)
class Watcher:
    """The recogniser's settings for watching streams, the same in every process."""

    model: Path
    flow: str = ""  # name of the estimator, see `create_flow`; empty: the one of the model's training
    config: RecognizerConfig = RecognizerConfig()
    threads: int = 1  # processor threads of one process

    def watch(self, stream: BagStream, beat: Callable[[int], object]) -> StreamResult:
        """Watch one topic from its first image to its last; the result also names all that is wrong with the bag.

        `beat` is called now and then with the number of images seen since the last call.
        """
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(self.threads)
        watch = _Watch(stream, Bundle.load(self.model), self.config, self.flow)
        try:
            with _quiet(), BagSource(stream.path, stream.topic) as source:
                watch.follow(source, beat)
            return watch.result(source)
        except FluxformerError as error:
            reason = without_name(str(error), stream.path, stream.bag)
        # A damaged bag may raise any error in a decoder; the evaluation of other bags goes on.
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        where = f" after {watch.frames} images" if watch.frames else ""
        return StreamResult(stream, frames=watch.frames).with_fault(f"{stream.topic}: {reason}{where}", fatal=True)


class _Watch:
    def __init__(self, stream: BagStream, bundle: Bundle, config: RecognizerConfig, flow: str) -> None:
        config = replace(config, top_k=len(bundle.labels) + len(bundle.enrolled))  # figures of frames need every score
        self._stream = stream
        self._recognizer = Recognizer(bundle, config, flow=flow)
        self._labels = tuple(label for label in self._recognizer.model.labels if label != OTHER)
        self._builder = TrackBuilder(self._labels)
        self._events: list[ActionEvent] = []
        self._tracks: list[Track] = []
        self._faults: list[str] = []
        self._segments: list[MotionSegment] = []
        self._push: list[float] = []  # ms
        self._refused = 0
        self._origin: int | None = None
        self._newest = 0
        self._began = time.monotonic()
        self.frames = 0

    def follow(self, source: BagSource, beat: Callable[[int], object]) -> None:
        self._recognizer.warm_up()
        for frame in source:
            self.frames += 1
            if self.frames % _BEAT == 0:
                beat(_BEAT)
            self._origin = frame.stamp if self._origin is None else self._origin
            jumps, forwards = self._jumps, self._recognizer.counters.forwards
            begun = time.perf_counter()
            try:
                update = self._recognizer.push(frame.image, frame.stamp, frame.pixels)
            except ImageError:
                self._refused += 1
                continue
            taken = time.perf_counter() - begun
            self._events += update.events
            said = update.recognition
            if self._jumps > jumps or (said and len(self._builder) and said.stamp <= self._builder.newest):
                self._note_jump(frame.stamp)
                self._end_track()
            if self._recognizer.counters.forwards > forwards:
                self._push.append(taken * 1e3)
            if said is not None:
                self._builder.add(said)
            for view in self._recognizer.views:
                stream = self._recognizer.stream_of(view.person_id)
                segment = None if stream is None else stream.segment
                if segment is not None and all(segment is not known for known in self._segments[-_RECENT:]):
                    self._segments.append(segment)
            self._newest = frame.stamp
        self._events += self._recognizer.close()
        self._end_track()
        beat(self.frames % _BEAT)

    @property
    def _jumps(self) -> int:
        return self._recognizer.counters.resets[ResetCause.TIME_JUMP]

    def _note_jump(self, stamp: int) -> None:
        back, at = (self._newest - stamp) / SECOND, (self._newest - (self._origin or 0)) / SECOND
        text = f"stamps jump back by {back:.1f} s after {at:.1f} s; what follows counts as another pass"
        self._faults.append(f"{self._stream.topic}: {text}")

    def _end_track(self) -> None:
        if len(self._builder) > 1:
            motion_segments = [(segment.start, segment.last_motion) for segment in self._segments]
            self._tracks.append(self._builder.build(predicted_events(self._events), motion_segments))
        self._builder, self._events, self._segments = TrackBuilder(self._labels), [], []

    def result(self, source: BagSource) -> StreamResult:
        counters = self._recognizer.counters
        topic = self._stream.topic
        for cause, count in source.causes.most_common():
            self._faults.append(f"{topic}: {count} of {source.length} messages could not be read: {cause}")
        if source.missing:
            self._faults.append(f"{topic}: {source.missing} of the {source.length} messages announced are not there")
        faults = [BagFault(self._stream.bag, text, fatal=False) for text in self._faults]
        if not self._tracks:
            text = f"{topic}: {self.frames} images, too few to recognise anything"
            faults.append(BagFault(self._stream.bag, text, fatal=True))
        return StreamResult(
            self._stream,
            self._labels,
            self._origin or 0,
            tuple(self._tracks),
            tuple(faults),
            {"unreadable": source.skipped + self._refused, "missing": source.missing}
            | {"duplicate": counters.duplicates, "late": counters.late},
            {cause.value: count for cause, count in counters.resets.items()},
            self.frames,
            {"recognition": np.array(self._push, np.float32)},
            time.monotonic() - self._began,
            peak_memory(),
        )


def peak_memory() -> float:
    """Peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log of single unreadable messages; the result reports their number."""
    log = logging.getLogger(bag_source.__name__)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
