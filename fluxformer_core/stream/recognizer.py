"""The recogniser: frames with stamps in, recognitions and events out. Everything live goes through `push`."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import EnrolledAction
from fluxformer_core.errors import BackendError
from fluxformer_core.flow.classical import FlowEstimator
from fluxformer_core.stream.admission import Admission, AdmissionResult, next_turn
from fluxformer_core.stream.belief import softmax
from fluxformer_core.stream.buffer import THUMBNAIL, RollingBuffer, Window
from fluxformer_core.stream.clip import ClipBuffers, build_clip
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.decision import Decider
from fluxformer_core.stream.inference import EngineModel, open_flow, open_model
from fluxformer_core.stream.motion import MotionSegment
from fluxformer_core.stream.prepare import check_image, prepare
from fluxformer_core.stream.selection import SELECTORS, Choice
from fluxformer_core.stream.taught import KnownActions, TaughtActions
from fluxformer_core.stream.timings import StageTimings
from fluxformer_core.types import SECOND, ActionEvent, ActionScore, Pixels, Recognition, State, Update

LEAD = 0.3
"""Seconds before a segment of motion that the clip may show: the pose from which an action starts belongs to it."""


class ResetCause(str, Enum):
    """Why the window was emptied."""

    GAP = "gap"
    TIME_JUMP = "time_jump"
    SIZE_CHANGE = "size_change"
    REQUESTED = "requested"


@dataclass
class Counters:
    """What has happened since construction."""

    frames: int = 0  # pushed
    admitted: int = 0  # entered the window
    skipped: int = 0  # not needed: the camera is faster than the model's rate
    duplicates: int = 0
    late: int = 0  # out of order
    flows: int = 0
    recognitions: int = 0
    forwards: int = 0  # recognitions for which the model ran
    resets: dict[ResetCause, int] = field(default_factory=lambda: dict.fromkeys(ResetCause, 0))


@dataclass(frozen=True)
class Selection:
    """The clip that the newest recognition looked at, for pictures."""

    stamps: NDArray[np.int64]  # (T,) ns
    frames: NDArray[np.uint8]  # (T, S, S, 3) RGB
    flow: NDArray[np.float32]  # (T, S, S, 2) frame heights per second
    window_stamps: NDArray[np.int64]  # (n,) ns
    motion: NDArray[np.float32]  # (n,) frame heights per second, of the whole window
    choice: Choice  # counted in the window
    segment_start: int  # ns: first moving frame of the segment that was looked at
    thresholds: tuple[float, float]  # frame heights per second: motion begins, and is over


@dataclass(frozen=True)
class Question:
    """A clip that waits for the model, and what is to be said of it then."""

    stamp: int  # ns: of the newest frame
    selection: Selection
    motion: float  # frame heights per second
    frames_in_window: int


@dataclass(frozen=True)
class Evidence:
    """What the model said of the newest clip."""

    logits: NDArray[np.float32]  # (labels,), not yet calibrated
    embedding: NDArray[np.float32]  # (D,)


class Recognizer:
    """Recognises actions in a stream of frames. Not thread-safe: one thread pushes.

    Args:
        bundle: the model.
        config: settings; the property of the same name replaces them at any time.
        flow: estimator of optical flow, as `create_flow` names it; empty: the one that the model was trained with.

    Raises:
        ConfigError: if there is no such estimator, or it is a neural net and its file is not named.
        BundleError: if its file cannot be used.
        BackendError: if the backend that was asked for cannot be used here.
    """

    def __init__(self, bundle: Bundle, config: RecognizerConfig | None = None, *, flow: str = "") -> None:
        self.bundle, self.spec = bundle, bundle.spec
        self._config = RecognizerConfig() if config is None else config
        backend, precision = self._config.backend, self._config.precision
        self._flow = open_flow(flow or bundle.spec.flow, backend, precision)
        self._model = open_model(bundle, backend, precision, flow=self._flow is not None)
        self._clip = ClipBuffers(self.spec.frames, self.spec.size)
        self._taught = TaughtActions(bundle.enrolled, KnownActions(bundle)) if bundle.enrolled else None
        self.timings = StageTimings()
        self._start_stream()

    def _start_stream(self) -> None:
        """Everything that belongs to one stream of frames, as opposed to the model."""
        self._buffer = RollingBuffer(self.spec, self._flow)
        self._admission = Admission(self.spec, self._config.max_gap)
        self._decider = Decider(self.labels, self._config.decision)
        self._format: tuple[tuple[int, ...], Pixels] | None = None
        self._newest = 0
        self._next_recognition: int | None = None
        self.counters = Counters()
        self.last_selection: Selection | None = None
        self.last_evidence: Evidence | None = None

    def fork(self) -> Recognizer:
        """A recogniser of another stream that shares the model, the flow estimator, taught actions and timings."""
        other = copy(self)
        other._start_stream()
        return other

    @property
    def config(self) -> RecognizerConfig:
        """Current settings; assigning others takes effect at the next push, a backend's only in a new recogniser."""
        return self._config

    @config.setter
    def config(self, config: RecognizerConfig) -> None:
        self._admission.set_max_gap(config.max_gap)
        self._decider.configure(config.decision)
        if config.recognition_rate != self._config.recognition_rate:
            self._next_recognition = None
        self._config = config

    @property
    def model(self) -> EngineModel:
        """The loaded model, shared by every stream."""
        return self._model

    @property
    def temperature(self) -> float:
        """Divides the model's logits before they become probabilities."""
        return self.bundle.metadata.temperature

    @property
    def device(self) -> str:
        """Where the model runs, in words."""
        return self._model.engine.device

    @property
    def backend(self) -> str:
        """What runs the model, and in which precision; `auto` has chosen by now."""
        return f"{self._model.engine.backend} {self._model.engine.precision}"

    @property
    def flow(self) -> FlowEstimator | None:
        """What estimates the flow; None: nothing does."""
        return self._flow

    @property
    def enrolled(self) -> tuple[EnrolledAction, ...]:
        """The taught actions that are recognised besides the model's own."""
        return self._taught.actions if self._taught is not None else ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All that can be recognised: the model's own labels, then those of taught actions."""
        return (*self.bundle.labels, *(action.label for action in self.enrolled))

    @property
    def segment(self) -> MotionSegment | None:
        """The stretch of motion that is under way, or the last one."""
        return self._decider.motion.segment

    @property
    def open_event(self) -> ActionEvent | None:
        """The newest event of the action that is under way, if any."""
        return self._decider.open_event

    @property
    def window(self) -> Window:
        """What is held at present: views, valid until the next push."""
        return self._buffer.window()

    def warm_up(self, forwards: int = 2) -> None:
        """Run the model on zeros, so that the first recognition is as fast as the rest."""
        size = (self.spec.frames, self.spec.size, self.spec.size)
        for _ in range(forwards):
            self._ask([(np.zeros((*size, 3), np.uint8), np.zeros((*size, 2), np.float32))])

    def push(self, image: NDArray[np.generic], stamp: int, pixels: Pixels = Pixels.RGB) -> Update:
        """Take in one camera frame.

        Args:
            image: as `pixels` says; not kept.
            stamp: ns, the camera's.
            pixels: how to read the image.

        Returns:
            A recognition if one was due, and the events that the frame led to.

        Raises:
            ImageError: if the image's shape or type contradicts `pixels`; the frame then counts for nothing else.
        """
        update, question = self.begin(image, stamp, pixels)
        if question is None:
            return update
        (evidence,) = self.ask([question])
        return self.conclude(update, question, evidence)

    def begin(
        self, image: NDArray[np.generic], stamp: int, pixels: Pixels, camera: tuple[int, ...] | None = None
    ) -> tuple[Update, Question | None]:
        """The first half of `push`, for who asks the model about several streams at once.

        Args:
            image: as `pixels` says; not kept.
            stamp: ns, the camera's.
            pixels: how to read the image.
            camera: shape of the camera's whole image, of which a part is pushed; None: it is all of it.

        Returns:
            What can be said without the model, and the question to `ask` it and to `conclude` from, if there is one.

        Raises:
            ImageError: as `push` does.
        """
        check_image(image, pixels)
        self.counters.frames += 1
        events: tuple[ActionEvent, ...] = ()
        format = (camera or image.shape, pixels)
        if self._format is not None and self._format != format:
            events = self.reset(ResetCause.SIZE_CHANGE)
        self._format = format
        result = self._admission.judge(stamp)
        if result in (AdmissionResult.SKIP, AdmissionResult.DUPLICATE, AdmissionResult.LATE):
            self._count_drop(result)
            return Update(events=events), None
        if result in (AdmissionResult.GAP, AdmissionResult.TIME_JUMP):
            events += self._empty(ResetCause(result.value))
        self._admit(image, stamp, pixels)
        with self.timings.measure("decide"):
            events += self._observe(stamp)
        if self._next_recognition is not None and stamp < self._next_recognition:
            return Update(events=events), None
        recognition, question = self._recognise(stamp)
        return Update(recognition, events), question

    def ask(self, questions: Sequence[Question]) -> list[Evidence]:
        """What the model says to all questions, in one forward pass; they may come from several forks."""
        self.counters.forwards += 1
        with self.timings.measure("forward", pool=True):
            return self._ask([(question.selection.frames, question.selection.flow) for question in questions])

    def conclude(self, update: Update, question: Question, evidence: Evidence) -> Update:
        """The second half of `push`: add what follows from the model's answer to what `begin` said."""
        stamp, selection = question.stamp, question.selection
        self.last_selection, self.last_evidence = selection, evidence
        with self.timings.measure("decide"):
            window_start = int(selection.window_stamps[0])
            decided, events = self._decider.decide(stamp, self._calibrated(evidence), window_start)
        recognition = Recognition(
            stamp=stamp,
            window_start=int(selection.stamps[0]),
            window_end=int(selection.stamps[-1]),
            state=decided.state,
            label=decided.label,
            score=decided.score,
            scores=self._best(decided.probabilities),
            unknown_score=decided.unknown_score,
            motion=question.motion,
            frames_in_window=question.frames_in_window,
        )
        return Update(recognition, (*update.events, *events))

    def reset(self, cause: ResetCause = ResetCause.REQUESTED) -> tuple[ActionEvent, ...]:
        """Empty the window and end open events."""
        self._admission.reset()
        self._format = None
        return self._empty(cause)

    def enroll(self, actions: Sequence[EnrolledAction]) -> tuple[ActionEvent, ...]:
        """Recognise these taught actions from now on, and no others; ends open events.

        Raises:
            ConfigError: if the model does not say where its own actions lie.
        """
        taught = TaughtActions(actions, KnownActions(self.bundle)) if actions else None
        events = self._decider.reset(self._newest)
        self._taught = taught
        self._decider.labels = self.labels
        return events

    def close(self) -> tuple[ActionEvent, ...]:
        """End open events; the recogniser may be used on."""
        return self._decider.reset(self._newest)

    def _count_drop(self, result: AdmissionResult) -> None:
        if result is AdmissionResult.SKIP:
            self.counters.skipped += 1
        elif result is AdmissionResult.DUPLICATE:
            self.counters.duplicates += 1
        else:
            self.counters.late += 1

    def _empty(self, cause: ResetCause) -> tuple[ActionEvent, ...]:
        self.counters.resets[cause] += 1
        self._buffer.clear()
        if cause is not ResetCause.GAP:  # a gap is a loss of frames, through which the rhythm goes on
            self._next_recognition = None
        self.last_selection = None
        return self._decider.reset(self._newest)

    def _admit(self, image: NDArray[np.generic], stamp: int, pixels: Pixels) -> None:
        with self.timings.measure("prepare"):
            frame = prepare(image, pixels, self.spec)
        with self.timings.measure("flow"):
            self._buffer.push(frame, stamp)
        self._newest = stamp
        self.counters.admitted += 1
        self.counters.flows = self._buffer.flows

    def _observe(self, stamp: int) -> tuple[ActionEvent, ...]:
        window = self._buffer.window()
        return self._decider.observe(stamp, float(window.energy[-1]), window.descriptors[-1, : THUMBNAIL**2])

    def _recognise(self, stamp: int) -> tuple[Recognition | None, Question | None]:
        """A recognition if there is nothing to ask the model, else the question."""
        self.counters.recognitions += 1
        self._schedule(stamp)
        window = self._buffer.window()
        segment = self._decider.due()
        motion = float(window.energy[-5:].max())
        if segment is None or len(window) < self.spec.frames:
            state = State.WARMING_UP if len(window) < self.spec.frames else State.IDLE
            start = int(window.stamps[0])
            return Recognition(stamp, start, stamp, state, motion=motion, frames_in_window=len(window)), None
        first = int(np.searchsorted(window.stamps, segment.start - round(LEAD * SECOND)))
        with self.timings.measure("select"):
            choice = SELECTORS[self._config.selection or self.spec.selection](
                window.since(first), self.spec.frames
            ).after(first)
            chosen = choice.indices
            selection = Selection(
                window.stamps[chosen],
                window.frames[chosen],
                window.flow[chosen],
                window.stamps.copy(),
                window.energy.copy(),
                choice,
                segment.start,
                self._decider.motion.thresholds,
            )
        return None, Question(stamp, selection, motion, len(window))

    def _schedule(self, stamp: int) -> None:
        period = round(SECOND / self._config.recognition_rate)
        # Half a frame early is on time: the frame rate need not divide by the recognition rate.
        due = stamp - self.spec.period // 2 if self._next_recognition is None else self._next_recognition
        self._next_recognition = next_turn(due, stamp, period)

    @torch.inference_mode()
    def _ask(self, clips: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32]]]) -> list[Evidence]:
        known = self._flow is not None
        if len(clips) == 1:
            rgb, motion = build_clip(clips[0][0], clips[0][1] if known else None, self.spec, self._clip)
        else:
            built = [build_clip(frames, flow if known else None, self.spec) for frames, flow in clips]
            rgb = torch.cat([colour for colour, _ in built])
            motion = torch.cat([field for _, field in built if field is not None]) if known else None
        prediction = self._model(rgb, motion)
        logits, embeddings = prediction.logits.numpy(), prediction.embedding.numpy()
        if not np.isfinite(logits).all():
            raise BackendError(f"{self.backend} on {self.device} answers with values that are no numbers")
        return [Evidence(*pair) for pair in zip(logits, embeddings, strict=True)]

    def _calibrated(self, evidence: Evidence) -> NDArray[np.float32]:
        logits = evidence.logits / np.float32(self.bundle.metadata.temperature)
        return softmax(logits if self._taught is None else self._taught.extend(logits, evidence.embedding))

    def _best(self, probabilities: NDArray[np.float32]) -> tuple[ActionScore, ...]:
        order = np.argsort(-probabilities, kind="stable")[: self._config.top_k]
        return tuple(ActionScore(self.labels[i], float(probabilities[i])) for i in order)
