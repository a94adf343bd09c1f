"""The worst mistakes of an evaluation, with pictures of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.training_clip import whole_clip
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.evaluation.bags.figures import NOTHING, JudgedStream, mean_scores, pair_up
from fluxformer_core.evaluation.bags.finding import BagStream
from fluxformer_core.evaluation.metrics.clips import ClipReport
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent
from fluxformer_core.evaluation.report.thumbnails import Stretch, jpeg, strips
from fluxformer_core.flow.colours import flow_colours
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import SECOND, ClipSpec

MOST = 10
"""Mistakes of bags that are shown."""

_SIDE, _GAP = 64, 2  # px: of a frame in the strip of a clip, and between frames
_MARGIN = round(0.3 * SECOND)  # shown before and after a mistake in a bag


@dataclass(frozen=True)
class ClipMistake:
    """One clip that got the wrong label."""

    truth: str
    predicted: str
    clips: int  # number of clips with this truth and this answer
    origin: str  # of the clip with the highest score, which is shown
    truth_score: float  # 0..1
    predicted_score: float
    jpeg: bytes  # the selected frames from left to right, and their flow below


def worst_clip_mistakes(
    report: ClipReport,
    probabilities: NDArray[np.float32],
    truth: NDArray[np.intp],
    store: ClipStore,
    spec: ClipSpec,
    *,
    confusions: int,
) -> list[ClipMistake]:
    """For each of the most frequent confusions, the clip with the highest score.

    Probabilities are (clips, labels), the true classes (clips,); `spec` is the clip that the model takes.
    """
    predicted = probabilities.argmax(axis=1)
    found = []
    for name, wrong, clips in report.mistakes(confusions):
        t, p = report.labels.index(name), report.labels.index(wrong)
        members = np.flatnonzero((truth == t) & (predicted == p))
        i = int(members[probabilities[members, p].argmax()])
        seen, flow, _ = whole_clip(store[i], spec.frames, SELECTORS[spec.selection])
        picture = _clip_strip(np.rint(seen * 255).astype(np.uint8), flow, spec.flow_scale)
        scores = float(probabilities[i, t]), float(probabilities[i, p])
        found.append(ClipMistake(name, wrong, clips, store.origins[i], *scores, picture))
    return found


def _clip_strip(frames: NDArray[np.uint8], flow: NDArray[np.float32], fastest: float) -> bytes:
    pitch = _SIDE + _GAP
    page = np.full((2 * pitch - _GAP, len(frames) * pitch - _GAP, 3), 255, np.uint8)
    for i, (frame, field) in enumerate(zip(frames, flow, strict=True)):
        left = slice(i * pitch, i * pitch + _SIDE)
        page[:_SIDE, left] = cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        page[pitch:, left] = cv2.resize(flow_colours(field, fastest), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return jpeg(page)


@dataclass(frozen=True)
class BagMistake:
    """An action without its event, an event without its action, or an action with another action's event."""

    stream: BagStream
    origin: int  # ns: stamp of the stream's first image
    truth: Interval | None
    said: PredictedEvent | None
    instead: str  # NOTHING or UNKNOWN: what an event without an action lies on
    severity: float  # 0..1

    @property
    def start(self) -> int:
        return min(one.start for one in (self.truth, self.said) if one is not None)

    @property
    def end(self) -> int:
        return max(one.end for one in (self.truth, self.said) if one is not None)

    def __str__(self) -> str:
        if self.said is None:
            return f"{self.truth.label if self.truth else ''} missed"
        if self.truth is not None:
            return f"{self.truth.label} taken for {self.said.label} ({self.said.score:.0%})"
        there = "nothing" if self.instead == NOTHING else "something that the model does not know"
        return f"{self.said.label} said ({self.said.score:.0%}) where there was {there}"


def worst_bag_mistakes(streams: Sequence[JudgedStream], most: int = MOST) -> list[BagMistake]:
    """The most severe mistakes, most severe first.

    The severity of a false event is its score. The severity of an action without any event is 1 less the mean score of
    its label. An action that was taken for another one is one mistake.
    """
    found = []
    for stream in streams:
        result = stream.result
        for one in stream.judged:
            for truth, said, instead in pair_up(one):
                if truth is not None and said is not None and truth.label == said.label:
                    continue
                if said is not None:
                    severity = said.score
                elif truth is not None:
                    severity = 1.0 - float(mean_scores(truth, one.track)[result.labels.index(truth.label)])
                place = instead if truth is None else NOTHING
                found.append(BagMistake(result.stream, result.origin, truth, said, place, severity))
    found.sort(key=lambda m: (-m.severity, m.stream, m.start))
    return found[:most]


def picture_mistakes(mistakes: Sequence[BagMistake], spec: ClipSpec) -> list[bytes]:
    """A strip of thumbnails of each mistake as JPEG, empty where the bag has no images; each bag is read once more."""
    by_stream: dict[BagStream, list[int]] = defaultdict(list)
    for i, mistake in enumerate(mistakes):
        if not mistake.stream.recorded:
            by_stream[mistake.stream].append(i)
    found = [b""] * len(mistakes)
    for stream, members in by_stream.items():
        wanted = [Stretch(mistakes[i].start - _MARGIN, mistakes[i].end + _MARGIN) for i in members]
        for i, picture in zip(members, strips(stream.path, stream.topic, wanted, spec), strict=True):
            found[i] = picture
    return found
