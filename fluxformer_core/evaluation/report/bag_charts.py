"""The charts of an evaluation of bags, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from fluxformer_core.evaluation.bags.confusion import pair_up
from fluxformer_core.evaluation.bags.figures import Judged
from fluxformer_core.evaluation.bags.outcome import Track
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent
from fluxformer_core.evaluation.report.svg import bar, line, svg, text, ticks
from fluxformer_core.types import SECOND

_LEFT, _WIDE = 52.0, 1220.0  # px: names of the lanes, and a row of the timeline
_LANE, _GAP = 20.0, 3.0  # px: height of a lane, and between the two
_SPANS = (60, 120, 300, 600, 1200, 1800, 3600)  # s that a row may show
_MOST_ROWS = 12
_LETTER = 6.6  # px
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # s between two times on the axis

_Bar = tuple[Interval, str]  # what it shows, and its kind: "" as it should be, "mistake", or "strange" to the model


def timeline(one: Judged, origin: int, labels: Sequence[str]) -> Markup:
    """What was performed, and below it what was said, row by row; mistakes have a red rim, what was taken back is grey.

    Args:
        one: a track and its truth.
        origin: ns: stamp that seconds count from.
        labels: decide the colours.
    """
    pairs = ((truth, said) for truth, said, _ in pair_up(one) if truth and said and truth.label == said.label)
    right = {id(item) for pair in pairs for item in pair}
    lanes: dict[str, list[_Bar]] = {
        "truth": [
            *((action, "" if id(action) in right else "mistake") for action in one.known),
            *((action, "strange") for action in one.unknown),
        ],
        "said": [(e, "" if id(e) in right else "mistake" if e.label else "strange") for e in one.track.events],
    }
    return _lanes(lanes, one.track, origin, labels)


def proposals(track: Track, origin: int, labels: Sequence[str]) -> Markup:
    """What moved, and below it what was said."""
    moved = (Interval(start, max(end, start + 1), "motion") for start, end in track.spells)
    lanes: dict[str, list[_Bar]] = {
        "motion": [(spell, "strange") for spell in moved],
        "said": [(event, "" if event.label else "strange") for event in track.events],
    }
    return _lanes(lanes, track, origin, labels)


def _lanes(lanes: dict[str, list[_Bar]], track: Track, origin: int, labels: Sequence[str]) -> Markup:
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
                parts += _span(item, origin, begin, end, span, top + number * (_LANE + _GAP), labels, kind)
    return svg(_LEFT + _WIDE + 24, rows * pitch + 2, parts, "timeline", "timeline")


def earliness(stages: Sequence[float]) -> Markup:
    """Average precision against how much of the action has passed."""
    left, top, wide, high = 46.0, 16.0, 400.0, 190.0
    bottom, part = top + high, wide / len(stages)
    parts: list[Markup] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - tick * high
        parts += [line(left, y, left + wide, y, "grid"), text(left - 6, y + 4, f"{tick:.0%}", "label end")]
    places = [
        (left + (k + 0.5) * part, bottom - value * high, k, value)
        for k, value in enumerate(stages)
        if not math.isnan(value)
    ]
    if places:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in places)
        parts.append(Markup('<polyline class="curve" points="{}"/>').format(points))
    for x, y, k, value in places:
        says = f"from {10 * k} to {10 * (k + 1)} % of the action: calibrated AP {value:.0%}"
        parts.append(
            Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}</title></circle>').format(x, y, says)
        )
    parts.append(line(left, bottom, left + wide, bottom, "axis"))
    parts += [text(left + k * part, bottom + 17, f"{10 * k} %", "label middle") for k in range(0, 11, 2)]
    parts.append(text(left + wide / 2, bottom + 34, "of the action has passed", "label middle"))
    return svg(left + wide + 22, bottom + 42, parts, "earliness", "calibrated average precision by stage of the action")


def delays(seconds: Sequence[float]) -> Markup:
    """How long after its start each detected action was reported."""
    left, top, wide, high = 46.0, 40.0, 400.0, 166.0
    bottom = top + high
    values = np.array(seconds)
    low, end = min(0.0, float(values.min())), max(float(values.max()) * 1.05, 0.5)
    step = ticks(end)[1]
    low = math.floor(low / step) * step
    counts, edges = np.histogram(values, bins=24, range=(low, end))

    def at(second: float) -> float:
        return left + (second - low) / (end - low) * wide

    most, width = int(counts.max()), wide / len(counts)
    parts: list[Markup] = []
    for k, count in enumerate(counts):
        if count:
            height = count / most * high
            says = f"{count} actions reported {edges[k]:.2f} to {edges[k + 1]:.2f} s after their start"
            parts.append(bar(left + k * width + 0.5, bottom - height, width - 1, height, "fill", says))
    for level, q in enumerate((50, 90)):
        x = at(float(np.percentile(values, q)))
        parts.append(line(x, top - 24 + 14 * level, x, bottom, "mark"))
        side = "end" if x > left + wide / 2 else ""
        place = x - 4 if side else x + 4
        parts.append(text(place, top - 15 + 14 * level, f"p{q} {np.percentile(values, q):.2f} s", f"label {side}"))
    tick = low
    while tick <= end:
        parts += [
            line(at(tick), bottom, at(tick), bottom + 4, "axis"),
            text(at(tick), bottom + 17, f"{tick:g}", "label middle"),
        ]
        tick += step
    parts += [text(left - 6, top + 10, str(most), "label end"), text(left - 6, bottom, "0", "label end")]
    parts.append(line(left, bottom, left + wide, bottom, "axis"))
    parts.append(text(left + wide / 2, bottom + 34, "seconds from start to publication", "label middle"))
    return svg(left + wide + 22, bottom + 42, parts, "histogram", "histogram of onset delays")


def _axis(names: Sequence[str], begin: float, end: float, span: float, top: float) -> Iterator[Markup]:
    bottom = top + len(names) * (_LANE + _GAP) - _GAP
    step = next((s for s in _STEPS if span / s <= 20), _STEPS[-1])
    right = _LEFT + (end - begin) / span * _WIDE
    for lane, name in enumerate(names):
        y = top + lane * (_LANE + _GAP)
        yield text(_LEFT - 6, y + 14, name, "label end")
        yield Markup('<rect class="lane" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}"/>').format(
            _LEFT, y, right - _LEFT, _LANE
        )
    tick = math.ceil(begin / step - 1e-9) * step
    while tick <= end + 1e-9:
        x = _LEFT + (tick - begin) / span * _WIDE
        yield line(x, top, x, bottom + 4, "tick")
        yield text(x, bottom + 16, _clock(tick), "label middle")
        tick += step


def _span(
    item: Interval, origin: int, begin: float, end: float, span: float, y: float, labels: Sequence[str], kind: str
) -> Iterator[Markup]:
    start, stop = (item.start - origin) / SECOND, (item.end - origin) / SECOND
    if stop <= begin or start >= end:
        return
    x1, x2 = (_LEFT + (min(max(t, begin), end) - begin) / span * _WIDE for t in (start, stop))
    width = max(1.5, x2 - x1)
    says = f"{item.label or 'taken back'}: {start:.2f} to {stop:.2f} s"
    if isinstance(item, PredictedEvent):
        says += f", score {item.score:.0%}, published at {(item.published - origin) / SECOND:.2f} s"
        if item.withdrawn:
            says += f", before it {', '.join(item.withdrawn)}"
    colour = "#c9ced6" if kind == "strange" else colour_of(item.label, labels)
    yield Markup(
        '<rect class="action {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="2" style="fill:{}">'
        "<title>{}</title></rect>"
    ).format(kind, x1, y + 0.5, width, _LANE - 1, colour, says)
    letters = int((width - 8) / _LETTER)
    if letters >= 3:
        name = item.label if len(item.label) <= letters else f"{item.label[: letters - 1]}…"
        yield text(x1 + 4, y + 14, name, "label")


def colour_of(label: str, labels: Sequence[str]) -> str:
    """The same light colour wherever the label appears; neighbours in the list are far apart."""
    number = list(labels).index(label) if label in labels else 0
    return f"hsl({137.5 * number % 360:.0f} 62% {76 + 6 * (number % 3 - 1)}%)"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{seconds:g} s" if whole < 60 else f"{whole // 60}:{whole % 60:02d}"
