"""The charts of evaluations: confusion matrix, reliability diagram, histograms and earliness, all as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from fluxformer_core.evaluation.bags.figures import EventConfusion
from fluxformer_core.evaluation.metrics.clips import Bin, ClipReport
from fluxformer_core.evaluation.report.svg import bar, bars, line, share_axis, svg, text, tick_step

MOST_LABELS = 48
"""Labels that a confusion matrix shows; of more labels, those with the most mistakes."""

_CELL = 21  # px
_LETTER = 6.3  # px: width of a letter of the labels, rounded up
_LONGEST = 26  # letters of a label


def confusion_matrix(report: ClipReport | EventConfusion) -> Markup:
    """Rows are the truth, columns the answers; the shade of a cell is its share of the row."""
    counts = report.confusion
    shown = shown_labels(report)
    names = [report.labels[i] for i in shown]
    short = [name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…" for name in names]
    margin = _LETTER * max(map(len, short)) + 12
    side = _CELL * len(shown)
    parts = [line(margin, margin + k * _CELL, margin + side, margin + k * _CELL, "grid") for k in range(len(shown))]
    parts += [line(margin + k * _CELL, margin, margin + k * _CELL, margin + side, "grid") for k in range(len(shown))]
    for k, name in enumerate(short):
        middle = margin + (k + 0.5) * _CELL
        parts.append(text(margin - 6, middle + 4, name, "label end"))
        above = '<text class="label" transform="translate({:.1f} {:.1f}) rotate(-90)">{}</text>'
        parts.append(Markup(above).format(middle + 4, margin - 6, name))
    for row, t in enumerate(shown):
        total = int(counts[t].sum())
        for column, p in enumerate(shown):
            if counts[t, p]:
                answer = "recognised" if t == p else f"taken for {names[column]}"
                place = margin + column * _CELL, margin + row * _CELL
                parts.append(_cell(*place, f"{names[row]} {answer}", int(counts[t, p]), total, right=t == p))
    parts.append(Markup('<rect class="border" x="{0:.1f}" y="{0:.1f}" width="{1}" height="{1}"/>').format(margin, side))
    return svg(margin + side + 2, margin + side + 2, parts, "matrix", "confusion matrix", fixed=True)


def _cell(x: float, y: float, what: str, count: int, total: int, *, right: bool) -> Markup:
    share = count / total
    return Markup(
        '<g class="{}"><title>{}: {} of {} ({:.0%})</title><rect x="{:.1f}" y="{:.1f}" width="{}" height="{}" '
        'style="fill-opacity:{:.2f}"/><text x="{:.1f}" y="{:.1f}"{}>{}</text></g>'
    ).format(
        *("right" if right else "wrong", what, count, total, share, x, y, _CELL, _CELL, 0.12 + 0.88 * share),
        *(x + _CELL / 2, y + _CELL / 2 + 4, Markup(' class="bright"') if share > 0.55 else "", count),
    )


def shown_labels(report: ClipReport | EventConfusion) -> list[int]:
    """Indices of the labels that the matrix shows: those that occur or, of too many, the most mistaken ones."""
    counts = report.confusion
    total = counts.sum(axis=0) + counts.sum(axis=1)
    occur = np.flatnonzero(total)
    if len(occur) > MOST_LABELS:
        wrong = total - 2 * np.diagonal(counts)
        occur = np.sort(occur[np.argsort(-wrong[occur], kind="stable")[:MOST_LABELS]])
    return [int(i) for i in occur]


def reliability(bins: Sequence[Bin]) -> Markup:
    """Accuracy against the score, with the number of clips below."""
    left, top, side, gap, low = 46, 26, 260, 30, 70
    bottom, foot, width = top + side, top + side + gap + low, side / len(bins)
    most = max(b.clips for b in bins)
    parts = [*share_axis(left, bottom, side, side)]
    parts += [text(left + tick * side, foot + 16, f"{tick:.0%}", "label middle") for tick in (0, 0.25, 0.5, 0.75, 1)]
    for k, b in enumerate(bins):
        if not b.clips:
            continue
        x = left + k * width
        tooltip = f"{b.clips} clips with a score of {b.confidence:.0%} on average: {b.accuracy:.0%} right"
        parts.append(bar(x + 1, bottom - b.accuracy * side, width - 2, b.accuracy * side, "fill", tooltip))
        parts.append(line(x + 1, bottom - b.confidence * side, x + width - 1, bottom - b.confidence * side, "wanted"))
        height = b.clips / most * low
        parts.append(bar(x + 1, foot - height, width - 2, height, "count", tooltip))
        parts.append(text(x + width / 2, foot - height - 3, str(b.clips), "small middle"))
    parts += [line(left, bottom, left + side, top, "diagonal"), line(left, bottom, left + side, bottom, "axis")]
    parts.append(line(left, foot, left + side, foot, "axis"))
    parts.append(text(left, top - 12, "share that is right", "label"))
    parts.append(text(left + side / 2, foot + 32, "score of the best label; number of clips", "label middle"))
    return svg(left + side + 16, foot + 38, parts, "reliability", "reliability diagram")


def forward_times(milliseconds: NDArray[np.float64]) -> Markup:
    """Histogram of single forward passes, (n,) ms; the slowest hundredth may lie beyond the right end."""
    end = float(np.percentile(milliseconds, 99)) * 1.15
    tooltip = "{} clips took {:.1f} to {:.1f} ms"
    marks = [(f"p{q}", float(np.percentile(milliseconds, q)), ".1f") for q in (50, 90, 99)]
    return _histogram(np.minimum(milliseconds, end), (0.0, end), 32, marks, tooltip, "ms", "histogram of milliseconds")


def onset_delays(seconds: Sequence[float]) -> Markup:
    """Histogram of the seconds from the start of each detected action to the publication of its event."""
    values = np.array(seconds)
    end = max(float(values.max()) * 1.05, 0.5)
    low = math.floor(min(0.0, float(values.min())) / tick_step(end)) * tick_step(end)
    tooltip = "{} actions reported {:.2f} to {:.2f} s after their start"
    marks = [(f"p{q}", float(np.percentile(values, q)), ".2f") for q in (50, 90)]
    axis = "seconds from start to publication"
    return _histogram(values, (low, end), 24, marks, tooltip, axis, "histogram of onset delays")


def _histogram(
    values: NDArray[np.float64],
    limits: tuple[float, float],
    count: int,
    marks: Sequence[tuple[str, float, str]],
    tooltip: str,
    axis: str,
    title: str,
) -> Markup:
    """A histogram of `count` bars between limits; a mark is a name, a value and the format of that value.

    The tooltip is a format of the values in a bar and the bar's limits.
    """
    left, top, width, height = 46, 12 + 14 * len(marks), 400, 170
    bottom, (low, end) = top + height, limits
    counts, edges = np.histogram(values, bins=count, range=limits)
    most = int(counts.max())

    def at(value: float) -> float:
        return left + (value - low) / (end - low) * width

    tooltips = [tooltip.format(int(n), a, b) for n, a, b in zip(counts, edges, edges[1:], strict=False)]
    parts = [*bars((counts / most * height).tolist(), left, bottom, width, 0.5, tooltips)]
    names = []
    for level, (name, value, form) in enumerate(marks):
        x, y = at(value), top - 14 * len(marks) + 4 + 14 * level
        parts.append(line(x, y - 3, x, bottom, "mark"))
        side, place = ("end", x - 4) if x > left + width / 2 else ("", x + 4)
        names.append(text(place, y + 6, f"{name} {value:{form}}", f"label {side}"))
    parts += names  # after the lines, so that no line crosses a name
    step = tick_step(end)
    for tick in np.arange(low, end + 1e-9 * step, step).tolist():
        parts += [line(at(tick), bottom, at(tick), bottom + 4, "axis")]
        parts += [text(at(tick), bottom + 17, f"{round(tick, 9):g}", "label middle")]
    parts += [text(left - 6, top + 10, str(most), "label end"), text(left - 6, bottom, "0", "label end")]
    parts.append(line(left, bottom, left + width, bottom, "axis"))
    parts.append(text(left + width / 2, bottom + 33, axis, "label middle"))
    return svg(left + width + 22, bottom + 40, parts, "histogram", title)


def earliness(stages: Sequence[float]) -> Markup:
    """Calibrated average precision of each tenth of the actions."""
    left, top, width, height = 46.0, 16.0, 400.0, 190.0
    bottom, part = top + height, width / len(stages)
    parts = [*share_axis(left, bottom, width, height)]
    places = ((left + (k + 0.5) * part, bottom - value * height, k, value) for k, value in enumerate(stages))
    points = [place for place in places if not math.isnan(place[-1])]
    if points:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
        parts.append(Markup('<polyline class="curve" points="{}"/>').format(path))
    for x, y, k, value in points:
        tooltip = f"from {10 * k} to {10 * (k + 1)} % of the action: calibrated AP {value:.0%}"
        dot = '<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}</title></circle>'
        parts.append(Markup(dot).format(x, y, tooltip))
    parts.append(line(left, bottom, left + width, bottom, "axis"))
    parts += [text(left + k * part, bottom + 17, f"{10 * k} %", "label middle") for k in range(0, 11, 2)]
    parts.append(text(left + width / 2, bottom + 34, "of the action has passed", "label middle"))
    title = "calibrated average precision by stage of the action"
    return svg(left + width + 22, bottom + 42, parts, "earliness", title)
