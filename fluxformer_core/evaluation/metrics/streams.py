"""All figures of one or more streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.metrics.events import EventReport, score_events
from fluxformer_core.evaluation.metrics.frames import frame_stages, mean_average_precision, precision_by_stage
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent
from fluxformer_core.evaluation.metrics.segments import THRESHOLDS, SegmentCounts, count_segments, edit_score
from fluxformer_core.evaluation.metrics.stream_output import frame_names, frame_truth
from fluxformer_core.types import SECOND


@dataclass(frozen=True)
class StreamRecord:
    """Performed actions, events and scores of one stream."""

    stamps: NDArray[np.int64]  # (n,) ns, ascending, of its frames
    truth: tuple[Interval, ...]
    events: tuple[PredictedEvent, ...]
    scores: NDArray[np.float64]  # (n, labels) at each frame


@dataclass(frozen=True)
class StreamReport:
    """The figures of all streams together; docs/usage/evaluation.md defines each."""

    events: EventReport
    mean_ap: float
    mean_calibrated_ap: float
    ap_by_stage: tuple[float, ...]  # calibrated, tenth by tenth of the actions
    edit: float  # mean over the streams
    f1: dict[float, float]  # by the smallest Jaccard index


def score_streams(streams: Sequence[StreamRecord], labels: Sequence[str]) -> StreamReport:
    """Compute the figures of streams of one recogniser; its labels are the columns of the scores.

    Raises:
        ValueError: without streams, or if a stream has fewer than two frames or an action that is not in the labels.
    """
    if not streams or any(len(stream.stamps) < 2 for stream in streams):
        raise ValueError("at least one stream is needed, and every stream needs at least two frames")
    unknown = {action.label for stream in streams for action in stream.truth} - set(labels)
    if unknown:
        raise ValueError(f"actions that are not in the labels: {', '.join(sorted(unknown))}")
    events, counts, edits = EventReport(), dict.fromkeys(THRESHOLDS, SegmentCounts()), []
    for stream in streams:
        events += score_events(stream.truth, stream.events, float(stream.stamps[-1] - stream.stamps[0]) / SECOND)
        said, done = (frame_names(intervals, stream.stamps) for intervals in (stream.events, stream.truth))
        edits.append(edit_score(said, done))
        counts = {least: count + count_segments(said, done, least) for least, count in counts.items()}
    scores = np.concatenate([stream.scores for stream in streams])
    truth = np.concatenate([frame_truth(stream.truth, labels, stream.stamps) for stream in streams])
    stages = np.concatenate([frame_stages(stream.truth, labels, stream.stamps) for stream in streams])
    return StreamReport(
        events,
        mean_average_precision(scores, truth),
        mean_average_precision(scores, truth, calibrated=True),
        tuple(precision_by_stage(scores, stages, calibrated=True).tolist()),
        float(np.mean(edits)),
        {least: count.f1 for least, count in counts.items()},
    )
