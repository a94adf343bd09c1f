"""Clips that got the wrong label, as the model saw them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.training_clip import whole_clip
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.evaluation.metrics.clips import ClipReport
from fluxformer_core.flow.colours import flow_colours
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import ClipSpec

FRAME = 64
"""Pixels of a frame's side in a strip."""

_GAP = 2  # px between frames


@dataclass(frozen=True)
class Mistake:
    """One clip that was taken for something else."""

    truth: str
    predicted: str
    clips: int  # how many were taken so
    origin: str  # of this one, which the model was surest of
    truth_score: float  # 0..1
    predicted_score: float
    jpeg: bytes  # the selected frames from left to right, and their flow below


def worst_mistakes(
    report: ClipReport,
    probabilities: NDArray[np.float32],
    truth: NDArray[np.intp],
    store: ClipStore,
    spec: ClipSpec,
    *,
    confusions: int,
) -> list[Mistake]:
    """Of each of the most frequent confusions the clip that the model was surest of.

    Args:
        report: of these probabilities.
        probabilities: (clips, labels).
        truth: (clips,) classes.
        store: the clips.
        spec: clip that the model takes.
        confusions: how many to show.
    """
    predicted = probabilities.argmax(axis=1)
    found = []
    for name, wrong, clips in report.mistakes(confusions):
        t, p = report.labels.index(name), report.labels.index(wrong)
        members = np.flatnonzero((truth == t) & (predicted == p))
        i = int(members[probabilities[members, p].argmax()])
        seen, flow, _ = whole_clip(store[i], spec.frames, SELECTORS[spec.selection])
        jpeg = _strip(np.rint(seen * 255).astype(np.uint8), flow, spec.flow_scale)
        found.append(
            Mistake(name, wrong, clips, store.origins[i], float(probabilities[i, t]), float(probabilities[i, p]), jpeg)
        )
    return found


def _strip(frames: NDArray[np.uint8], flow: NDArray[np.float32], fastest: float) -> bytes:
    pitch = FRAME + _GAP
    page = np.full((2 * pitch - _GAP, len(frames) * pitch - _GAP, 3), 255, np.uint8)
    for i, (frame, field) in enumerate(zip(frames, flow, strict=True)):
        left = slice(i * pitch, i * pitch + FRAME)
        page[:FRAME, left] = cv2.resize(frame, (FRAME, FRAME), interpolation=cv2.INTER_AREA)
        page[pitch:, left] = cv2.resize(flow_colours(field, fastest), (FRAME, FRAME), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(page, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    return data.tobytes()
