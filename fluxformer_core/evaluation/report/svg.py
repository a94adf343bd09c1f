"""The strokes that charts are drawn with: pieces of SVG, sharp at any size, and nothing to load."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from markupsafe import Markup, escape


def ticks(end: float) -> list[float]:
    """Four to ten round numbers from zero."""
    step = 10.0 ** np.floor(np.log10(end))
    for part in (1.0, 0.5, 0.2):
        if end / (step * part) >= 4:
            return [float(i * step * part) for i in range(int(end / (step * part)) + 1)]
    return [0.0, end]


def svg(width: float, height: float, parts: Iterable[Markup], kind: str, title: str, *, fixed: bool = False) -> Markup:
    """A picture of these parts; its class is `kind`, and screen readers say its title."""
    # A fixed picture keeps its size and is scrolled on a narrow screen; others shrink.
    size = Markup(' width="{:.0f}" height="{:.0f}"').format(width, height) if fixed else Markup("")
    style = "" if fixed else Markup(' style="max-width:{:.0f}px"').format(width * 1.15)
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="{}" viewBox="0 0 {:.0f} {:.0f}"{}{} role="img">'
    ).format(kind, width, height, size, style)
    return head + Markup("<title>{}</title>").format(title) + Markup("").join(parts) + Markup("</svg>")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A line of a class."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def bar(x: float, y: float, width: float, height: float, kind: str, says: str) -> Markup:
    """A rectangle of a class that tells what it shows to whoever points at it."""
    return Markup(
        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
    ).format(kind, x, y, width, height, says)


def text(x: float, y: float, text: str, kind: str) -> Markup:
    """Text of a class, escaped."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(kind, x, y, escape(text))
