"""One topic of a bag, pushed through the recogniser as fast as it goes: on stamps alone, message by message."""

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
from fluxformer_core.evaluation.bags.finding import Fault, Job, without_name
from fluxformer_core.evaluation.bags.outcome import Outcome, Track, TrackBuilder
from fluxformer_core.evaluation.metrics.stream_output import predicted_events
from fluxformer_core.io.sources import bag as bag_source
from fluxformer_core.io.sources.bag import BagSource
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.counters import ResetCause
from fluxformer_core.stream.motion import MotionSegment
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import OTHER, SECOND, ActionEvent

_BEAT = 64  # frames between two signs of life


@dataclass(frozen=True)
class Watcher:
    """How streams are watched; the same in every process."""

    model: Path
    flow: str = ""  # as `create_flow` names it; empty: the model's own
    config: RecognizerConfig = RecognizerConfig()
    threads: int = 1  # of one process; the figures are those of this number

    def watch(self, job: Job, beat: Callable[[int], object]) -> Outcome:
        """Watch one topic from its first image to its last.

        Args:
            job: what to watch.
            beat: called now and then with the number of images seen since.

        Returns:
            What was seen, or why nothing was: whatever is wrong with a bag is told in the outcome.
        """
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(self.threads)
        watch = _Watch(job, Bundle.load(self.model), self.config, self.flow)
        try:
            with _quiet(), BagSource(job.path, job.topic) as source:
                watch.follow(source, beat)
            return watch.outcome(source)
        except FluxformerError as error:
            reason = without_name(str(error), job.path, job.bag)
        # A damaged bag sends its decoders anywhere, and no bag may end the evaluation of the others.
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        where = f" after {watch.frames} images" if watch.frames else ""
        return Outcome(job, faults=(Fault(job.bag, f"{job.topic}: {reason}{where}", fatal=True),), frames=watch.frames)


class _Watch:
    def __init__(self, job: Job, bundle: Bundle, config: RecognizerConfig, flow: str) -> None:
        config = replace(config, top_k=len(bundle.labels) + len(bundle.enrolled))  # every score counts for the figures
        self._job = job
        self._recognizer = Recognizer(bundle, config, flow=flow)
        self._labels = tuple(label for label in self._recognizer.model.labels if label != OTHER)
        self._builder = TrackBuilder(self._labels)
        self._events: list[ActionEvent] = []
        self._tracks: list[Track] = []
        self._faults: list[str] = []
        self._spells: list[MotionSegment] = []
        self._push: list[float] = []  # ms
        self._refused = 0
        self._origin: int | None = None
        self._newest = 0
        self._began = time.monotonic()
        self.frames = 0

    def follow(self, source: BagSource, beat: Callable[[int], object]) -> None:
        self._recognizer.model.warm_up()
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
            spell = self._recognizer.scene.segment
            if spell is not None and not (self._spells and self._spells[-1] is spell):
                self._spells.append(spell)
            self._newest = frame.stamp
        self._events += self._recognizer.close()
        self._end_track()
        beat(self.frames % _BEAT)

    @property
    def _jumps(self) -> int:
        return self._recognizer.counters.resets[ResetCause.TIME_JUMP]

    def _note_jump(self, stamp: int) -> None:
        back, at = (self._newest - stamp) / SECOND, (self._newest - (self._origin or 0)) / SECOND
        self._faults.append(
            f"{self._job.topic}: stamps jump back by {back:.1f} s after {at:.1f} s; what follows counts as another pass"
        )

    def _end_track(self) -> None:
        if len(self._builder) > 1:
            spells = [(spell.start, spell.last_motion) for spell in self._spells]
            self._tracks.append(self._builder.build(predicted_events(self._events), spells))
        self._builder, self._events, self._spells = TrackBuilder(self._labels), [], []

    def outcome(self, source: BagSource) -> Outcome:
        counters = self._recognizer.counters
        topic = self._job.topic
        for cause, count in source.causes.most_common():
            self._faults.append(f"{topic}: {count} of {source.length} messages could not be read: {cause}")
        if source.missing:
            self._faults.append(f"{topic}: {source.missing} of the {source.length} messages announced are not there")
        faults = [Fault(self._job.bag, text, fatal=False) for text in self._faults]
        if not self._tracks:
            text = f"{topic}: {self.frames} images, too few to recognise anything"
            faults.append(Fault(self._job.bag, text, fatal=True))
        return Outcome(
            self._job,
            self._labels,
            self._origin or 0,
            tuple(self._tracks),
            tuple(faults),
            {
                "unreadable": source.skipped + self._refused,
                "missing": source.missing,
                "duplicate": counters.duplicates,
                "late": counters.late,
            },
            {cause.value: count for cause, count in counters.resets.items()},
            self.frames,
            {"recognition": np.array(self._push, np.float32)},
            time.monotonic() - self._began,
            peak_memory(),
        )


def peak_memory() -> float:
    """The most memory that this process has had in RAM, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


@contextmanager
def _quiet() -> Iterator[None]:
    """Messages that cannot be read are counted and told once, not logged one by one."""
    log = logging.getLogger(bag_source.__name__)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
