"""Evaluations, and proposals for labels, as HTML pages that contain all pictures and charts and need no script."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fluxformer_core.evaluation.bags.evaluation import BagEvaluation
from fluxformer_core.evaluation.bags.figures import confusion
from fluxformer_core.evaluation.bags.proposals import Proposal, propose
from fluxformer_core.evaluation.bags.stream_result import StreamResult, percentiles
from fluxformer_core.evaluation.clips import FIGURES, ClipEvaluation
from fluxformer_core.evaluation.metrics.clips import ClipReport
from fluxformer_core.evaluation.report import charts
from fluxformer_core.evaluation.report.json_document import speed
from fluxformer_core.evaluation.report.mistakes import BagMistake
from fluxformer_core.evaluation.report.text import counts_text
from fluxformer_core.evaluation.report.thumbnails import Stretch, strips
from fluxformer_core.evaluation.report.timeline import motion_timeline, truth_timeline
from fluxformer_core.evaluation.speed.latency import STAGES
from fluxformer_core.types import SECOND, ClipSpec

UNDEFINED = "–"  # noqa: RUF001
"""Shown where a figure is not defined."""

SIDE_BY_SIDE = 30
"""The most labels for which the table of labels fits beside the confusion matrix."""

_COLUMNS = 12  # thumbnails of a row
_ROWS = 10  # of the overview, at most
_MARGIN = round(0.5 * SECOND)  # shown before and after a proposed segment


def clip_page(evaluation: ClipEvaluation, written: datetime) -> str:
    """The page of an evaluation on clips, with the date on which the page was written."""
    return _render(
        "clips",
        f"Evaluation on {', '.join(evaluation.data.sources)}",
        written,
        data=evaluation.data,
        machine=evaluation.machine,
        models=evaluation.models,
        groups=evaluation.recipes(),
        figures=FIGURES,
        stages=STAGES,
        most_labels=charts.MOST_LABELS,
        side_by_side=SIDE_BY_SIDE,
        worst_first=_worst_first,
        confusion_matrix=charts.confusion_matrix,
        reliability=charts.reliability,
        histogram=charts.forward_times,
    )


def bag_page(
    evaluation: BagEvaluation, mistakes: Sequence[BagMistake], pictures: Sequence[bytes], written: datetime
) -> str:
    """The page of an evaluation on bags, with the worst mistakes and a JPEG (perhaps empty) of each mistake."""
    bags = list(dict.fromkeys(stream.result.stream.bag for stream in evaluation.streams))
    some = ", ".join(bags[:3]) + (f" and {len(bags) - 3} more" if len(bags) > 3 else "")
    delays = evaluation.figures.report.events.delays if evaluation.figures else ()
    judged = evaluation.judged
    return _render(
        "bags",
        f"Evaluation of {some or 'no bag'}",
        written,
        evaluation=evaluation,
        figures=evaluation.figures,
        speed=speed(evaluation),
        timeline=truth_timeline,
        earliness=charts.earliness,
        delays=charts.onset_delays(delays) if delays else "",
        matrix=charts.confusion_matrix(confusion(judged, evaluation.labels)) if judged else "",
        mistakes=list(zip(mistakes, pictures, strict=True)),
        latency=_latency,
    )


def label_page(results: Sequence[StreamResult], file: str, spec: ClipSpec, written: datetime) -> str:
    """The page for a person who corrects the proposals in a CSV file: every bag at a glance, then every proposal.

    Each bag is read once more for its thumbnails; `spec` tells how depth is shown.
    """
    line, streams = 2, []
    for result in results:
        found = [one for track in result.tracks for one in propose(track, result.labels)]
        streams.append(_proposed(result, found, line, spec))
        line += max(1, len(found))
    return _render("labels", f"Proposed segments: {file}", written, file=file, streams=streams)


def _proposed(result: StreamResult, found: Sequence[Proposal], line: int, spec: ClipSpec) -> dict[str, Any]:
    """One stream as the page shows it; `line` is the line of the first proposal in the CSV file."""

    def seconds(stamp: int, digits: int) -> str:
        return f"{(stamp - result.origin) / SECOND:.{digits}f}"

    overview = _overview(result)
    stretches = [*overview, *(Stretch(one.start - _MARGIN, one.end + _MARGIN, _COLUMNS) for one in found)]
    pictures = strips(result.stream.path, result.stream.topic, stretches, spec)
    rows = [
        {"picture": picture, "times": [seconds(moment, 1) for moment in stretch.moments()]}
        for picture, stretch in zip(pictures, stretches, strict=True)
    ]
    segments = [
        {"line": n, "proposal": one, "start": seconds(one.start, 2), "end": seconds(one.end, 2), "row": row}
        for n, (one, row) in enumerate(zip(found, rows[len(overview) :], strict=True), start=line)
    ]
    timelines = [motion_timeline(track, result.origin, result.labels) for track in result.tracks]
    return {"result": result, "timelines": timelines, "overview": rows[: len(overview)], "segments": segments}


def _overview(result: StreamResult) -> list[Stretch]:
    """Rows that show all of the first pass, with a second or more between two thumbnails."""
    track = result.tracks[0]
    first, last = int(track.stamps[0]), int(track.stamps[-1])
    step = max(1, math.ceil((last - first) / SECOND / (_COLUMNS * _ROWS))) * SECOND
    return [Stretch(start, start + step * _COLUMNS, _COLUMNS) for start in range(first, last, step * _COLUMNS)]


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(percent=_percent, seconds=_seconds, jpeg=_jpeg_url, occurring=_occurring, counts=counts_text)
    return made


def _render(name: str, title: str, written: datetime, **values: Any) -> str:
    template = _environment().get_template(f"{name}.html.jinja")
    return template.render(kind=name, title=title, written=f"{written:%Y-%m-%d %H:%M %Z}".rstrip(), **values)


def _worst_first(report: ClipReport) -> list[int]:
    """Indices of the labels that have clips, lowest recall first."""
    with_clips = np.flatnonzero(report.confusion.sum(axis=1)).tolist()
    return sorted(with_clips, key=lambda i: (report.recall[i], report.f1[i]))


def _occurring(report: ClipReport) -> int:
    """How many labels are the truth or the answer of a clip."""
    return int(np.count_nonzero(report.confusion.sum(axis=0) + report.confusion.sum(axis=1)))


def _latency(result: StreamResult) -> str:
    return "; ".join(
        f"{name} {', '.join(f'{q} {value:.0f}' for q, value in percentiles(values))} ms"
        for name, values in result.latency.items()
        if len(values)
    )


def _percent(share: float, digits: int = 1) -> str:
    return UNDEFINED if math.isnan(share) else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _seconds(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.2f}\N{NO-BREAK SPACE}s"


def _jpeg_url(data: bytes) -> str:
    """A picture as part of the page; empty if there is no picture."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" if data else ""
