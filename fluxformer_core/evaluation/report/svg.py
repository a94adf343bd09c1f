"""Pieces of SVG that all charts are drawn with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from markupsafe import Markup, escape


def tick_step(end: float) -> float:
    """A round step (1, 2 or 5 times a power of ten) that gives four to ten ticks between 0 and `end`."""
    power = 10.0 ** np.floor(np.log10(end))
    return next((float(power * part) for part in (1.0, 0.5, 0.2) if end / (power * part) >= 4), end)


def svg(width: float, height: float, parts: Iterable[Markup], kind: str, title: str, *, fixed: bool = False) -> Markup:
    """A picture of a CSS class, made of parts in order; its title is read aloud by screen readers.

    A picture of fixed size is scrolled in a narrow window; other pictures shrink.
    """
    size = Markup(' width="{:.0f}" height="{:.0f}"').format(width, height) if fixed else Markup("")
    style = "" if fixed else Markup(' style="max-width:{:.0f}px"').format(width * 1.15)
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="{}" viewBox="0 0 {:.0f} {:.0f}"{}{} role="img">'
    ).format(kind, width, height, size, style)
    return head + Markup("<title>{}</title>").format(title) + Markup("").join(parts) + Markup("</svg>")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A line of a CSS class."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def bar(x: float, y: float, width: float, height: float, kind: str, tooltip: str) -> Markup:
    """A rectangle of a CSS class with a tooltip."""
    return Markup(
        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
    ).format(kind, x, y, width, height, tooltip)


def text(x: float, y: float, text: str, kind: str) -> Markup:
    """Escaped text of a CSS class."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(kind, x, y, escape(text))


def share_axis(left: float, bottom: float, width: float, height: float) -> Iterator[Markup]:
    """Horizontal grid lines at 0, 25, 50, 75 and 100 % with their labels."""
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - tick * height
        yield line(left, y, left + width, y, "grid")
        yield text(left - 6, y + 4, f"{tick:.0%}", "label end")


def bars(
    heights: Sequence[float], left: float, bottom: float, width: float, gap: float, tooltips: Sequence[str]
) -> Iterator[Markup]:
    """Bars side by side that share a width, with a gap at each side of a bar (px); bars of height 0 are left out."""
    part = width / len(heights)
    for k, (height, tooltip) in enumerate(zip(heights, tooltips, strict=True)):
        if height:
            yield bar(left + k * part + gap, bottom - height, part - 2 * gap, height, "fill", tooltip)
