"""The charts of the page, as SVG: sharp at any size, and nothing to load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from fluxformer_core.evaluation.metrics.clips import Bin
from fluxformer_core.evaluation.report.svg import bar, line, svg, text, ticks

MOST_LABELS = 48
"""Labels that a confusion matrix shows; of more, those with the most mistakes."""

_CELL = 21  # px
_LETTER = 6.3  # px: width of a letter of the labels, generously
_LONGEST = 26  # letters of a label


class Confusions(Protocol):
    """Counts by truth and answer."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What the rows and columns stand for."""

    @property
    def confusion(self) -> NDArray[np.intp]:
        """(truth, answer): counts."""


def confusion_matrix(report: Confusions) -> Markup:
    """Rows are the truth, columns what was said; a cell's shade is its share of the row."""
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
        parts.append(
            Markup('<text class="label" transform="translate({:.1f} {:.1f}) rotate(-90)">{}</text>').format(
                middle + 4, margin - 6, name
            )
        )
    for row, t in enumerate(shown):
        total = int(counts[t].sum())
        for column, p in enumerate(shown):
            if not counts[t, p]:
                continue
            share = counts[t, p] / total
            x, y = margin + column * _CELL, margin + row * _CELL
            kind = "right" if t == p else "wrong"
            says = f"{names[row]} taken for {names[column]}" if t != p else f"{names[row]} recognised"
            parts.append(
                Markup(
                    '<g class="{}"><title>{}: {} of {} ({:.0%})</title><rect x="{:.1f}" y="{:.1f}" width="{}" '
                    'height="{}" style="fill-opacity:{:.2f}"/><text x="{:.1f}" y="{:.1f}"{}>{}</text></g>'
                ).format(
                    kind,
                    says,
                    counts[t, p],
                    total,
                    share,
                    x,
                    y,
                    _CELL,
                    _CELL,
                    0.12 + 0.88 * share,
                    x + _CELL / 2,
                    y + _CELL / 2 + 4,
                    Markup(' class="bright"') if share > 0.55 else "",
                    counts[t, p],
                )
            )
    parts.append(Markup('<rect class="border" x="{0:.1f}" y="{0:.1f}" width="{1}" height="{1}"/>').format(margin, side))
    return svg(margin + side + 2, margin + side + 2, parts, "matrix", "confusion matrix", fixed=True)


def shown_labels(report: Confusions) -> list[int]:
    """The labels that the matrix shows: those that occur, or the most mistaken of too many."""
    counts = report.confusion
    occur = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    if len(occur) > MOST_LABELS:
        wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diagonal(counts)
        occur = np.sort(occur[np.argsort(-wrong[occur], kind="stable")[:MOST_LABELS]])
    return [int(i) for i in occur]


def reliability(bins: Sequence[Bin]) -> Markup:
    """Share that is right against the score, with the number of clips below."""
    left, top, side, gap, low = 46, 26, 260, 30, 70
    bottom, foot, width = top + side, top + side + gap + low, side / len(bins)
    most = max(b.clips for b in bins)
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - tick * side
        parts += [line(left, y, left + side, y, "grid"), text(left - 6, y + 4, f"{tick:.0%}", "label end")]
        parts.append(text(left + tick * side, foot + 16, f"{tick:.0%}", "label middle"))
    for k, b in enumerate(bins):
        if not b.clips:
            continue
        x = left + k * width
        says = f"{b.clips} clips with a score of {b.confidence:.0%} on average: {b.accuracy:.0%} right"
        parts.append(bar(x + 1, bottom - b.accuracy * side, width - 2, b.accuracy * side, "fill", says))
        parts.append(line(x + 1, bottom - b.confidence * side, x + width - 1, bottom - b.confidence * side, "wanted"))
        height = b.clips / most * low
        parts.append(bar(x + 1, foot - height, width - 2, height, "count", says))
        parts.append(text(x + width / 2, foot - height - 3, str(b.clips), "small middle"))
    parts += [line(left, bottom, left + side, top, "diagonal"), line(left, bottom, left + side, bottom, "axis")]
    parts.append(line(left, foot, left + side, foot, "axis"))
    parts.append(text(left, top - 12, "share that is right", "label"))
    parts.append(text(left + side / 2, foot + 32, "score of the best label; number of clips", "label middle"))
    return svg(left + side + 16, foot + 38, parts, "reliability", "reliability diagram")


def histogram(values: NDArray[np.float64], marks: Iterable[tuple[str, float]]) -> Markup:
    """Milliseconds of single clips, with named marks; the slowest hundredth may lie beyond the right end.

    Args:
        values: (n,) ms.
        marks: name and place of each.
    """
    left, top, wide, high = 46, 54, 400, 170
    bottom = top + high
    end = float(np.percentile(values, 99)) * 1.15
    counts, edges = np.histogram(np.minimum(values, end), bins=32, range=(0.0, end))
    most, width = counts.max(), wide / len(counts)
    parts = []
    for k, count in enumerate(counts):
        if count:
            height = count / most * high
            says = f"{count} clips took {edges[k]:.1f} to {edges[k + 1]:.1f} ms"
            parts.append(bar(left + k * width + 0.5, bottom - height, width - 1, height, "fill", says))
    names = []
    for level, (name, place) in enumerate(marks):
        x, y = left + place / end * wide, top - 38 + 14 * level
        parts.append(line(x, y - 3, x, bottom, "mark"))
        names.append(text(x - 4, y + 6, f"{name} {place:.1f}", "label end"))
    parts += names  # over the lines of the others
    for tick in ticks(end):
        x = left + tick / end * wide
        parts += [line(x, bottom, x, bottom + 4, "axis"), text(x, bottom + 17, f"{tick:g}", "label middle")]
    parts += [text(left - 6, top + 10, str(most), "label end"), text(left - 6, bottom, "0", "label end")]
    parts.append(line(left, bottom, left + wide, bottom, "axis"))
    parts.append(text(left + wide / 2, bottom + 33, "ms", "label middle"))
    return svg(left + wide + 12, bottom + 40, parts, "histogram", "histogram of milliseconds")
