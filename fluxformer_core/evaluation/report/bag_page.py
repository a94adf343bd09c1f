"""An evaluation of bags as one HTML page that opens from disk: nothing is loaded, no script runs."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fluxformer_core.evaluation.bags.confusion import confusion
from fluxformer_core.evaluation.bags.evaluation import BagEvaluation
from fluxformer_core.evaluation.bags.outcome import Outcome, percentiles
from fluxformer_core.evaluation.report import bag_charts as charts
from fluxformer_core.evaluation.report.bag_document import speed
from fluxformer_core.evaluation.report.bag_mistakes import Mistake
from fluxformer_core.evaluation.report.charts import confusion_matrix
from fluxformer_core.types import SECOND

UNDEFINED = "–"  # noqa: RUF001
"""Shown where a figure is not defined."""


@dataclass(frozen=True)
class ShownMistake:
    """A mistake as the page shows it."""

    where: str
    when: str
    what: str
    severity: float
    picture: str  # data URL; empty if there are no images


def environment() -> Environment:
    """What renders the templates of this folder and the one above."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(percent=_percent, seconds=_seconds, jpeg=jpeg_url)
    return made


def page(evaluation: BagEvaluation, mistakes: Sequence[Mistake], pictures: Sequence[bytes], written: datetime) -> str:
    """The page's HTML.

    Args:
        evaluation: what it shows.
        mistakes: the worst ones.
        pictures: a JPEG of each, or nothing.
        written: the date to put on it.
    """
    delays = evaluation.figures.report.events.delays if evaluation.figures else ()
    return (
        environment()
        .get_template("bags_page.html.jinja")
        .render(
            title=_title(evaluation),
            written=f"{written:%Y-%m-%d %H:%M %Z}".rstrip(),
            evaluation=evaluation,
            figures=evaluation.figures,
            speed=speed(evaluation),
            timeline=charts.timeline,
            earliness=charts.earliness,
            delays=charts.delays(delays) if delays else "",
            matrix=confusion_matrix(confusion(evaluation.judged, evaluation.labels)) if evaluation.judged else "",
            mistakes=[_shown(mistake, data) for mistake, data in zip(mistakes, pictures, strict=True)],
            latency=_latency,
            counts=_counts,
        )
    )


def jpeg_url(data: bytes) -> str:
    """A picture as part of the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" if data else ""


def _title(evaluation: BagEvaluation) -> str:
    bags = list(dict.fromkeys(stream.outcome.job.bag for stream in evaluation.streams))
    some = ", ".join(bags[:3]) + (f" and {len(bags) - 3} more" if len(bags) > 3 else "")
    return f"Evaluation of {some or 'no bag'}"


def _shown(mistake: Mistake, data: bytes) -> ShownMistake:
    truth, said = mistake.truth, mistake.said
    if truth is not None and said is not None:
        what = f"{truth.label} taken for {said.label} ({said.score:.0%})"
    elif said is not None:
        what = f"{said.label} said ({said.score:.0%}) where there was {_instead(mistake.instead)}"
    else:
        what = f"{truth.label if truth else ''} missed"
    start, end = ((moment - mistake.origin) / SECOND for moment in (mistake.start, mistake.end))
    where = f"{mistake.job.bag} {mistake.job.topic}"
    return ShownMistake(where, f"{start:.1f} to {end:.1f} s", what, mistake.severity, jpeg_url(data))


def _instead(what: str) -> str:
    return "nothing" if what == "(nothing)" else "something that the model does not know"


def _latency(outcome: Outcome) -> str:
    return "; ".join(
        f"{name} {', '.join(f'{q} {value:.0f}' for q, value in percentiles(values))} ms"
        for name, values in outcome.latency.items()
        if len(values)
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {cause.replace('_', ' ')}" for cause, count in counts.items() if count) or "none"


def _percent(share: float, digits: int = 1) -> str:
    return UNDEFINED if math.isnan(share) else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _seconds(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.2f}\N{NO-BREAK SPACE}s"
