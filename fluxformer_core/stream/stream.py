"""One view's frames over time: window, motion and decision. All streams of a recogniser share one model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.stream.buffer import THUMBNAIL, Earlier, RollingBuffer, Window
from fluxformer_core.stream.clip import FrameSelection
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.decision import Decider
from fluxformer_core.stream.inference import ClipModel, ModelOutput
from fluxformer_core.stream.measurements import Counters, StageTimings
from fluxformer_core.stream.motion import MotionSegment
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import SECOND, ActionEvent, ActionScore, Recognition, State, Update

LEAD = 0.3
"""Seconds before a motion segment that the clip may show: the pose from which an action starts is part of it."""


@dataclass(frozen=True)
class ClipRequest:
    """A clip that waits for the model, with what is needed to decide from the model's output."""

    stamp: int  # ns: of the newest frame
    clip: FrameSelection
    motion: float  # frame heights per second
    frames_in_window: int


class Stream:
    """Takes in the admitted frames of one view: `observe` each frame, `decide` with each output of the model.

    Args:
        model: names the labels, the clip and the flow estimator.
        config: settings.
        counters: where this stream counts its flow fields and recognitions.
        timings: where this stream measures its stages.

    Attributes:
        last_clip: the clip of the newest decision; None before the first and after a reset.
        last_output: what the model computed from that clip.
    """

    def __init__(self, model: ClipModel, config: RecognizerConfig, counters: Counters, timings: StageTimings) -> None:
        self._model, self._config, self._counters, self._timings = model, config, counters, timings
        self._buffer = RollingBuffer(model.spec, model.flow)
        self._decider = Decider(model.labels, config.decision)
        self._newest = 0
        self.last_clip: FrameSelection | None = None
        self.last_output: ModelOutput | None = None

    @property
    def window(self) -> Window:
        """What the buffer holds: views of memory, valid until the next frame."""
        return self._buffer.window()

    @property
    def segment(self) -> MotionSegment | None:
        """The motion segment that is under way, or the last one."""
        return self._decider.motion.segment

    @property
    def open_event(self) -> ActionEvent | None:
        """The newest event of the action that is under way, if any; its instance is counted in this stream alone."""
        return self._decider.open_event

    def configure(self, config: RecognizerConfig) -> None:
        """Use other settings from the next frame on."""
        self._decider.configure(config.decision)
        self._config = config

    def observe(
        self, frame: NDArray[np.uint8], stamp: int, *, due: bool, earlier: Earlier | None = None
    ) -> tuple[Recognition | None, tuple[ActionEvent, ...], ClipRequest | None]:
        """Take in one admitted frame.

        Args:
            frame: the view, (S, S, 3) uint8 RGB.
            stamp: ns, later than the one before.
            due: whether a recognition is due.
            earlier: as for `RollingBuffer.push`.

        Returns:
            A recognition if one is due that needs no model, the events of this frame, and a request if one is due that
            needs it.
        """
        # Another recogniser that shares the model may have taught it an action since the last frame.
        taught = self.close() if self._decider.labels != self._model.labels else ()
        flows = self._buffer.flows
        with self._timings.measure("flow"):
            self._buffer.push(frame, stamp, earlier)
        self._counters.flows += self._buffer.flows - flows
        self._newest = stamp
        with self._timings.measure("decide"):
            window = self._buffer.window()
            appearance = window.descriptors[-1, : THUMBNAIL**2]
            events = taught + self._decider.observe(stamp, float(window.energy[-1]), appearance)
        if not due:
            return None, events, None
        self._counters.recognitions += 1
        segment = self._decider.due()
        motion = float(window.energy[-5:].max())
        if segment is None or len(window) < self._model.spec.frames:
            state = State.WARMING_UP if len(window) < self._model.spec.frames else State.IDLE
            start = int(window.stamps[0])
            return Recognition(stamp, start, stamp, state, motion=motion, frames_in_window=len(window)), events, None
        with self._timings.measure("select"):
            clip = self._select(window, segment)
        return None, events, ClipRequest(stamp, clip, motion, len(window))

    def decide(self, request: ClipRequest, output: ModelOutput) -> Update:
        """What follows from the model's output."""
        clip = self.last_clip = request.clip
        self.last_output = output
        with self._timings.measure("decide"):
            probabilities = self._model.probabilities(output)
            decision, events = self._decider.decide(request.stamp, probabilities, int(clip.window_stamps[0]))
        recognition = Recognition(
            stamp=request.stamp,
            window_start=int(clip.stamps[0]),
            window_end=int(clip.stamps[-1]),
            state=decision.state,
            label=decision.label,
            score=decision.score,
            scores=self._best(decision.probabilities),
            unknown_score=decision.unknown_score,
            motion=request.motion,
            frames_in_window=request.frames_in_window,
        )
        return Update((recognition,), events)

    def reset(self) -> tuple[ActionEvent, ...]:
        """Empty the window and end the open action."""
        self._buffer.clear()
        self.last_clip = None
        return self._decider.reset(self._newest)

    def close(self) -> tuple[ActionEvent, ...]:
        """End the open action; the window stays. The stream may be used on, with the labels that the model has now."""
        events = self._decider.reset(self._newest)
        self._decider.labels = self._model.labels
        return events

    def _select(self, window: Window, segment: MotionSegment) -> FrameSelection:
        spec = self._model.spec
        first = int(np.searchsorted(window.stamps, segment.start - round(LEAD * SECOND)))
        selector = SELECTORS[self._config.selection or spec.selection]
        choice = selector(window.since(first), spec.frames).after(first)
        return FrameSelection(
            window.stamps[choice.indices],
            window.frames[choice.indices],
            window.flow[choice.indices],
            window.stamps.copy(),
            window.energy.copy(),
            choice,
            segment.start,
            self._decider.motion.thresholds,
        )

    def _best(self, probabilities: NDArray[np.float32]) -> tuple[ActionScore, ...]:
        order = np.argsort(-probabilities, kind="stable")[: self._config.top_k]
        return tuple(ActionScore(self._decider.labels[i], float(probabilities[i])) for i in order)
