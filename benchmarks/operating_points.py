"""How many actions are detected at how many false events, when `sure_score` is free: a table for benchmarks/streams.py.

The threshold is read off the stream that it is then reported for, as on any curve of detection against false alarms:
the table tells what the scores are able to, not what a threshold that was chosen elsewhere will give here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.synthetic.watching import Moment, as_stream, decide
from fluxformer_core.bundle import Bundle
from fluxformer_core.evaluation.metrics.events import EventReport, score_events
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.stream.config import DecisionConfig
from fluxformer_core.types import SECOND

STEPS = tuple(i / 100 for i in range(50, 99))
"""Of `sure_score`: what starts has been believed by 0.5 already, so that the first asks for nothing."""
LIMITS = (2.0, 1.5, 1.0, 0.5)
"""False events per minute, at most."""


@dataclass(frozen=True)
class Point:
    """What one `sure_score` gives."""

    sure: float
    events: EventReport
    started: EventReport  # with the delay of STARTED, under whatever name


def table(moments: Sequence[Moment], truth: Sequence[Interval], bundle: Bundle) -> str:
    """For each limit the `sure_score` that detects most within it; all else as by default."""
    points = [_point(moments, truth, bundle, sure) for sure in STEPS]
    lines = [
        "| false/min at most | detected | false/min | withdrawn/min | delay of STARTED p50, p90 | sure_score |",
        "| --- " * 6 + "|",
    ]
    for limit in LIMITS:
        within = [point for point in points if point.events.false_per_minute <= limit]
        if not within:
            lines.append(f"| {limit:g} | never |  |  |  |  |")
            continue
        best = max(within, key=lambda point: (point.events.detected, -point.events.false))
        lines.append(
            f"| {limit:g} | {best.events.detection_rate:.1%} | {best.events.false_per_minute:.2f} "
            f"| {best.events.withdrawn_per_minute:.2f} | {best.started.delay(50):.2f}, {best.started.delay(90):.2f} s "
            f"| {best.sure:.2f} |"
        )
    return "\n".join(lines)


def _point(moments: Sequence[Moment], truth: Sequence[Interval], bundle: Bundle, sure: float) -> Point:
    config = replace(DecisionConfig(), sure_score=sure)
    decided = decide(moments, bundle.labels, config, bundle.metadata.temperature)
    reports = []
    for started in (False, True):
        stream = as_stream(moments, decided, truth, bundle.labels, started=started)
        seconds = float(stream.stamps[-1] - stream.stamps[0]) / SECOND
        reports.append(score_events(stream.truth, stream.events, seconds))
    return Point(sure, *reports)
