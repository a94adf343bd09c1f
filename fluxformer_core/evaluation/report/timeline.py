"""The timeline of a stream as SVG: what was performed, or what moved, above the events."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from fluxformer_core.evaluation.bags.figures import JudgedTrack, pair_up
from fluxformer_core.evaluation.bags.stream_result import Track
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent
from fluxformer_core.evaluation.report.svg import line, svg, text
from fluxformer_core.types import SECOND

_LEFT, _WIDTH = 52.0, 1220.0  # px: names of the lanes, and a row of the timeline
_LANE, _GAP = 20.0, 3.0  # px: height of a lane, and between two lanes
_SPANS = (60, 120, 300, 600, 1200, 1800, 3600)  # s that a row may show
_MOST_ROWS = 12
_LETTER = 6.6  # px
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # s between two times on the axis

_Bar = tuple[Interval, str]  # an interval, and its kind: "" (right), "mistake", or "strange" (outside the labels)


def truth_timeline(track: JudgedTrack, origin: int, labels: Sequence[str]) -> Markup:
    """Performed actions above the events, row by row; mistakes have a red rim, retracted events are grey.

    Seconds count from the stamp `origin` in ns; the labels decide the colours.
    """
    pairs = ((truth, said) for truth, said, _ in pair_up(track) if truth and said and truth.label == said.label)
    right = {id(item) for pair in pairs for item in pair}
    lanes: dict[str, list[_Bar]] = {
        "truth": [
            *((action, "" if id(action) in right else "mistake") for action in track.known),
            *((action, "strange") for action in track.unknown),
        ],
        "said": [(e, "" if id(e) in right else "mistake" if e.label else "strange") for e in track.track.events],
    }
    return _timeline(lanes, track.track, origin, labels)


def motion_timeline(track: Track, origin: int, labels: Sequence[str]) -> Markup:
    """Motion segments above the events; the arguments are those of `truth_timeline`."""
    motion = (Interval(start, max(end, start + 1), "motion") for start, end in track.motion_segments)
    lanes: dict[str, list[_Bar]] = {
        "motion": [(segment, "strange") for segment in motion],
        "said": [(event, "" if event.label else "strange") for event in track.events],
    }
    return _timeline(lanes, track, origin, labels)


def _timeline(lanes: dict[str, list[_Bar]], track: Track, origin: int, labels: Sequence[str]) -> Markup:
    first, last = ((int(stamp) - origin) / SECOND for stamp in track.stamps[[0, -1]])
    span = next((s for s in _SPANS if (last - first) / s <= _MOST_ROWS), _SPANS[-1])
    if last - first <= span:
        span = max(1, math.ceil(last - first))
    pitch = len(lanes) * (_LANE + _GAP) - _GAP + 34
    rows = max(1, math.ceil((last - first) / span - 1e-9))
    parts: list[Markup] = []
    for row in range(rows):
        begin = first + row * span
        end, top = min(begin + span, last), row * pitch + 4
        parts += _axis(tuple(lanes), begin, end, span, top)
        for number, items in enumerate(lanes.values()):
            for item, kind in items:
                colour = "#c9ced6" if kind == "strange" else colour_of(item.label, labels)
                parts += _bar(item, origin, begin, end, span, top + number * (_LANE + _GAP), colour, kind)
    return svg(_LEFT + _WIDTH + 24, rows * pitch + 2, parts, "timeline", "timeline")


def _axis(names: Sequence[str], begin: float, end: float, span: float, top: float) -> Iterator[Markup]:
    bottom = top + len(names) * (_LANE + _GAP) - _GAP
    step = next((s for s in _STEPS if span / s <= 20), _STEPS[-1])
    right = _LEFT + (end - begin) / span * _WIDTH
    for lane, name in enumerate(names):
        y = top + lane * (_LANE + _GAP)
        yield text(_LEFT - 6, y + 14, name, "label end")
        rect = '<rect class="lane" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}"/>'
        yield Markup(rect).format(_LEFT, y, right - _LEFT, _LANE)
    tick = math.ceil(begin / step - 1e-9) * step
    while tick <= end + 1e-9:
        x = _LEFT + (tick - begin) / span * _WIDTH
        yield line(x, top, x, bottom + 4, "tick")
        yield text(x, bottom + 16, _clock(tick), "label middle")
        tick += step


def _bar(
    item: Interval, origin: int, begin: float, end: float, span: float, y: float, colour: str, kind: str
) -> Iterator[Markup]:
    start, stop = (item.start - origin) / SECOND, (item.end - origin) / SECOND
    if stop <= begin or start >= end:
        return
    x1, x2 = (_LEFT + (min(max(t, begin), end) - begin) / span * _WIDTH for t in (start, stop))
    width = max(1.5, x2 - x1)
    tooltip = f"{item.label or 'retracted'}: {start:.2f} to {stop:.2f} s"
    if isinstance(item, PredictedEvent):
        tooltip += f", score {item.score:.0%}, published at {(item.published - origin) / SECOND:.2f} s"
        if item.withdrawn:
            tooltip += f", before it {', '.join(item.withdrawn)}"
    yield Markup(
        '<rect class="action {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="2" style="fill:{}">'
        "<title>{}</title></rect>"
    ).format(kind, x1, y + 0.5, width, _LANE - 1, colour, tooltip)
    letters = int((width - 8) / _LETTER)
    if letters >= 3:
        name = item.label if len(item.label) <= letters else f"{item.label[: letters - 1]}…"
        yield text(x1 + 4, y + 14, name, "label")


def colour_of(label: str, labels: Sequence[str]) -> str:
    """A light colour that is the same wherever the label appears; neighbours in the list differ much."""
    number = list(labels).index(label) if label in labels else 0
    return f"hsl({137.5 * number % 360:.0f} 62% {76 + 6 * (number % 3 - 1)}%)"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{seconds:g} s" if whole < 60 else f"{whole // 60}:{whole % 60:02d}"
