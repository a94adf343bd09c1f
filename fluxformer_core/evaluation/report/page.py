"""An evaluation as one HTML page that opens from disk: charts are SVG, pictures are inside, nothing is loaded."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fluxformer_core.evaluation.metrics.clips import ClipReport
from fluxformer_core.evaluation.report import charts
from fluxformer_core.evaluation.report.result import FIGURES, Evaluation
from fluxformer_core.evaluation.report.strips import Mistake
from fluxformer_core.evaluation.speed.latency import STAGES, Latency

SIDE_BY_SIDE = 30
"""Labels of which the table fits beside the matrix."""


@dataclass(frozen=True)
class Row:
    """A label in the table."""

    label: str
    recall: float
    precision: str
    f1: float
    right: int
    clips: int


def page(evaluation: Evaluation, written: datetime) -> str:
    """The page's HTML.

    Args:
        evaluation: what it shows.
        written: the date to put on it.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, picture=_picture, occurring=_occurring)
    return environment.get_template("page.html.jinja").render(
        title=f"Evaluation on {', '.join(evaluation.data.sources)}",
        written=f"{written:%Y-%m-%d %H:%M %Z}".rstrip(),
        data=evaluation.data,
        machine=evaluation.machine,
        models=evaluation.models,
        groups=evaluation.recipes(),
        figures=FIGURES,
        stages=STAGES,
        most_labels=charts.MOST_LABELS,
        side_by_side=SIDE_BY_SIDE,
        rows=_rows,
        marks=_marks,
        confusion_matrix=charts.confusion_matrix,
        reliability=charts.reliability,
        histogram=charts.histogram,
    )


def _rows(report: ClipReport) -> list[Row]:
    """Labels that have clips, worst first."""
    clips, right = report.confusion.sum(axis=1), np.diagonal(report.confusion)
    order = sorted(np.flatnonzero(clips), key=lambda i: (report.recall[i], report.f1[i]))
    return [
        Row(
            report.labels[i],
            float(report.recall[i]),
            "–" if math.isnan(report.precision[i]) else f"{100 * report.precision[i]:.0f} %",  # noqa: RUF001
            float(report.f1[i]),
            int(right[i]),
            int(clips[i]),
        )
        for i in order
    ]


def _occurring(report: ClipReport) -> int:
    """How many labels are the truth or the answer of a clip."""
    return int(np.count_nonzero(report.confusion.sum(axis=0) + report.confusion.sum(axis=1)))


def _marks(latency: Latency) -> Iterator[tuple[str, float]]:
    for q in (50, 90, 99):
        yield f"p{q}", latency.percentile("forward", q)


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", "\N{NO-BREAK SPACE}%")


def _picture(mistake: Mistake) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(mistake.jpeg).decode()}"
