"""A page of thumbnails for whoever corrects proposed segments: the whole bag at a glance, then every segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from fluxformer_core.evaluation.bags.outcome import Outcome
from fluxformer_core.evaluation.bags.proposals import Proposal, propose
from fluxformer_core.evaluation.report import bag_charts as charts
from fluxformer_core.evaluation.report.bag_page import environment, jpeg_url
from fluxformer_core.evaluation.report.thumbnails import Stretch, strips
from fluxformer_core.types import SECOND, ClipSpec

_COLUMNS = 12  # thumbnails of a row
_ROWS = 10  # of the overview, at most
_MARGIN = round(0.5 * SECOND)  # shown before and after a segment


@dataclass(frozen=True)
class Row:
    """A row of thumbnails."""

    picture: str  # data URL
    times: tuple[str, ...]  # of its thumbnails


@dataclass(frozen=True)
class Segment:
    """A proposal as the page shows it."""

    line: int  # of the CSV
    proposal: Proposal
    start: str
    end: str
    row: Row


@dataclass(frozen=True)
class StreamPage:
    """One stream of the page."""

    outcome: Outcome
    timelines: tuple[Markup, ...]
    overview: tuple[Row, ...]
    segments: tuple[Segment, ...]


def label_page(outcomes: Sequence[Outcome], file: str, spec: ClipSpec, written: datetime) -> str:
    """The page's HTML; each bag is read once more, for its thumbnails.

    Args:
        outcomes: the watched streams.
        file: name of the CSV.
        spec: says how depth is shown.
        written: the date to put on it.
    """
    line, streams = 2, []
    for outcome in outcomes:
        found = [one for track in outcome.tracks for one in propose(track, outcome.labels)]
        streams.append(_stream(outcome, found, line, spec))
        line += max(1, len(found))
    return (
        environment()
        .get_template("label_page.html.jinja")
        .render(
            title=f"Proposed segments: {file}",
            file=file,
            streams=streams,
            written=f"{written:%Y-%m-%d %H:%M %Z}".rstrip(),
        )
    )


def _stream(outcome: Outcome, found: Sequence[Proposal], line: int, spec: ClipSpec) -> StreamPage:
    overview = _overview(outcome)
    segments = [Stretch(one.start - _MARGIN, one.end + _MARGIN, _COLUMNS) for one in found]
    pictures = strips(outcome.job.path, outcome.job.topic, [*overview, *segments], spec)
    rows = [
        Row(jpeg_url(jpeg), tuple(_seconds(moment - outcome.origin) for moment in stretch.moments()))
        for jpeg, stretch in zip(pictures, [*overview, *segments], strict=True)
    ]
    return StreamPage(
        outcome,
        tuple(charts.proposals(track, outcome.origin, outcome.labels) for track in outcome.tracks),
        tuple(rows[: len(overview)]),
        tuple(
            Segment(line + i, one, _seconds(one.start - outcome.origin, 2), _seconds(one.end - outcome.origin, 2), row)
            for i, (one, row) in enumerate(zip(found, rows[len(overview) :], strict=True))
        ),
    )


def _overview(outcome: Outcome) -> list[Stretch]:
    """Rows that show all of the first pass, a second or more between two thumbnails."""
    track = outcome.tracks[0]
    first, last = int(track.stamps[0]), int(track.stamps[-1])
    step = max(1, math.ceil((last - first) / SECOND / (_COLUMNS * _ROWS))) * SECOND
    return [Stretch(start, start + step * _COLUMNS, _COLUMNS) for start in range(first, last, step * _COLUMNS)]


def _seconds(passed: int, digits: int = 1) -> str:
    return f"{passed / SECOND:.{digits}f}"
