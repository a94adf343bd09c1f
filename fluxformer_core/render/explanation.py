"""The explanation: one picture of a recognition's window, motion, clusters and clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.colours import flow_colours
from fluxformer_core.render.canvas import Box, Colour, Page, row_of_squares
from fluxformer_core.render.overlay import BACKGROUND, FLOW_RADIUS, HOLLOW, INK, QUIET, STATE_COLOURS, readable
from fluxformer_core.stream.selection import CUT_CHANGE
from fluxformer_core.types import SECOND, Recognition, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fluxformer_core.stream.clip import FrameSelection

# The layout, in units.
_WIDTH, _MARGIN, _GAP = 1240.0, 20.0, 4.0
_HEADER, _CAPTION, _BAND = 78.0, 24.0, 6.0
_MOTION, _HEADROOM, _CHANGE, _BAR, _THREADS = 124.0, 16.0, 34.0, 12.0, 30.0
_LARGEST, _FEWEST, _MOST_ROWS = 96.0, 16, 4

_CLUSTERS: tuple[Colour, ...] = (
    (96, 165, 250), (251, 191, 36), (52, 211, 153), (244, 114, 182), (167, 139, 250), (163, 230, 53),
)  # fmt: skip
"""Colours of the clusters, used in turn, so that neighbours differ."""
_PANEL, _GRID, _LIMIT = (24, 27, 33), (52, 57, 68), (120, 128, 142)
_CUT, _BEGAN = (248, 113, 113), (242, 244, 247)
_DIMMED = 0.4
_FULL_MOTION = 1.0  # frame heights per second at the top of the curve; faster motion rescales the curve
_WHEEL = 56.0


@dataclass(frozen=True)
class Explanation:
    """Everything that one recognition is based on. Nothing in it changes when the stream continues."""

    recognition: Recognition
    selection: FrameSelection
    frames: NDArray[np.uint8]  # (n, S, S, 3) RGB, the whole window
    change: NDArray[np.float32]  # (n,) change of brightness, see `Window`


def draw_explanation(explanation: Explanation, *, name: str, origin: int = 0, scale: float = 1.25) -> np.ndarray:
    """Draw one recognition, from the frames of the window to the clip that the model took.

    Args:
        explanation: the recognition and its data.
        name: title of the picture.
        origin: ns: the moment from which the times in the picture count.
        scale: pixels per unit of the layout, which is 1240 units wide.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    selection = explanation.selection
    grid = _grid(len(explanation.frames), top=_HEADER + _CAPTION)
    top_curves = grid[-1][3] + _BAND + _GAP + _CAPTION
    top_bar = top_curves + _MOTION + _CAPTION + _CHANGE + _CAPTION
    top_clip = top_bar + _BAR + _THREADS
    clip = row_of_squares(len(selection.frames), _MARGIN, top_clip, _WIDTH - _MARGIN, _LARGEST, _GAP)
    height = 2 * clip[0][3] - top_clip + _GAP + _CAPTION + _MARGIN / 2
    page = Page((_WIDTH, height), round(height * scale), BACKGROUND)
    _draw_header(page, explanation, name, origin)
    _draw_window(page, explanation, grid)
    _draw_motion(page, selection, top_curves, origin)
    _draw_change(page, explanation, top_curves + _MOTION + _CAPTION)
    _draw_clusters(page, selection, top_bar)
    _draw_clip(page, selection, clip, top_bar, origin)
    return page.pixels()


def _grid(count: int, top: float) -> list[Box]:
    """Boxes of all frames in rows. Below each box is room for a band in the colour of its cluster."""
    columns = max(_FEWEST, -(-count // _MOST_ROWS))
    side = (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) / columns
    places = [divmod(i, columns) for i in range(count)]
    corners = [(_MARGIN + column * (side + _GAP), top + row * (side + _BAND + 2 * _GAP)) for row, column in places]
    return [(x, y, x + side, y + side) for x, y in corners]


def _colours(selection: FrameSelection) -> list[Colour]:
    """The colour of the cluster of each frame."""
    return [_CLUSTERS[group % len(_CLUSTERS)] if group >= 0 else HOLLOW for group in selection.choice.groups.tolist()]


def _columns(selection: FrameSelection) -> NDArray[np.float64]:
    """The place of each frame of the window on the time axis."""
    since = selection.window_stamps - selection.window_stamps[0]
    return np.asarray(_MARGIN + (_WIDTH - 2 * _MARGIN) * since / max(1, int(since[-1])))


def _time(stamp: int, origin: int, digits: int = 2) -> str:
    return f"{(stamp - origin) / SECOND:.{digits}f}"


def _caption(page: Page, bottom: float, title: str, words: str) -> None:
    page.text((_MARGIN, bottom - 7), title, 14, INK)
    page.text((_MARGIN + page.text_width(title, 14) + 10, bottom - 7), words, 12, QUIET)


def _draw_header(page: Page, explanation: Explanation, name: str, origin: int) -> None:
    recognition, selection = explanation.recognition, explanation.selection
    colour = STATE_COLOURS[recognition.state]
    page.fill((_MARGIN, 16, _MARGIN + 6, 66), colour)
    left, right = _MARGIN + 18, _WIDTH - _MARGIN - _WHEEL - 190
    action = recognition.state is State.ACTION
    said = f"{readable(recognition.label)} {100 * recognition.score:.0f} %" if action else "unknown"
    page.text((left, 43), said, 30, colour)
    page.text((left + page.text_width(said, 30) + 16, 43), name, 16, INK)
    best = ", ".join(f"{readable(s.label)} {100 * s.score:.0f} %" for s in recognition.scores)
    window = selection.window_stamps
    span = f"{len(window)} frames from {_time(int(window[0]), origin)} s to {_time(recognition.stamp, origin)} s"
    page.text((left, 64), f"{span};  scores: {best}", 13, QUIET, room=right - left)
    y, x = np.mgrid[-1:1:65j, -1:1:65j].astype(np.float32)
    wheel = flow_colours(np.stack([x, y], axis=-1), 1.0)
    wheel[np.hypot(x, y) > 1] = BACKGROUND
    edge = _WIDTH - _MARGIN
    page.picture(wheel, (edge - _WHEEL, 12, edge, 12 + _WHEEL))
    for line, legend in enumerate(("colours of flow: hue, where to;", f"full from {FLOW_RADIUS:g} frame height/s")):
        page.text((edge - _WHEEL - 10, 36 + 17 * line), legend, 12, QUIET, "rs")


def _draw_window(page: Page, explanation: Explanation, boxes: Sequence[Box]) -> None:
    selection = explanation.selection
    groups, colours = selection.choice.groups, _colours(selection)
    _caption(
        page,
        boxes[0][1],
        "The window",
        "the band below a frame shows its cluster, dark: unused; numbered frames are selected, one of each cluster",
    )
    numbers: dict[int, list[int]] = {}
    for number, index in enumerate(selection.choice.indices.tolist(), start=1):
        numbers.setdefault(index, []).append(number)
    for i, (frame, box) in enumerate(zip(explanation.frames, boxes, strict=True)):
        left, _, right, bottom = box
        shown = frame if groups[i] >= 0 else (frame * _DIMMED + np.array(BACKGROUND) * (1 - _DIMMED)).astype(np.uint8)
        page.fill((left, bottom + 2, right, bottom + 2 + _BAND), colours[i])
        if i in numbers:
            page.frame(box, colours[i], 2)
        page.picture(shown, box)
        if i in numbers:
            _badge(page, box, ", ".join(map(str, numbers[i])), colours[i])


def _badge(page: Page, box: Box, words: str, colour: Colour) -> None:
    left, top, right, _ = box
    size = max(9.0, min(13.0, (right - left) / 5))
    page.fill((left, top, left + page.text_width(words, size) + 6, top + size + 3), colour)
    page.text((left + 3, top + size - 0.5), words, size, BACKGROUND)


def _draw_motion(page: Page, selection: FrameSelection, top: float, origin: int) -> None:
    start, stop = selection.thresholds
    _caption(
        page,
        top,
        "Motion",
        f"of the fastest pixels, frame heights/s; a motion segment starts at {start:.2f} and stops below {stop:.2f}",
    )
    bottom = top + _MOTION
    full = max(_FULL_MOTION, float(selection.motion.max()))
    columns = _columns(selection)
    reach = _MOTION - _HEADROOM
    curve = np.column_stack([columns, bottom - reach * selection.motion / full])
    page.fill((_MARGIN, top, _WIDTH - _MARGIN, bottom), _PANEL)
    page.area([(columns[0], bottom), *curve, (columns[-1], bottom)], HOLLOW)
    for limit in (start, stop):
        _draw_limit(page, bottom - reach * limit / full)
    _draw_seconds(page, selection, top, bottom, origin)
    page.line(curve, QUIET, 1.5)
    page.text((_WIDTH - _MARGIN - 4, top + 28), f"top: {full:.1f}", 11, QUIET, "rs")
    _draw_marks(page, selection, top, bottom)
    colours = _colours(selection)
    for index in selection.choice.indices.tolist():
        page.dot(tuple(curve[index]), 4, colours[index])


def _draw_seconds(page: Page, selection: FrameSelection, top: float, bottom: float, origin: int) -> None:
    first, last = int(selection.window_stamps[0]) - origin, int(selection.window_stamps[-1]) - origin
    step = SECOND // 2 if last - first < 8 * SECOND else 2 * SECOND
    for tick in range(-(-first // step) * step, last + 1, step):
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * (tick - first) / max(1, last - first)
        page.line([(x, top), (x, bottom)], _GRID)
        page.text((x + 4, top + 12), f"{tick / SECOND:.1f} s", 11, QUIET)


def _draw_marks(page: Page, selection: FrameSelection, top: float, bottom: float) -> None:
    """Mark the start of the motion segment, and scene cuts."""
    columns = _columns(selection)
    marks = [(int(np.searchsorted(selection.window_stamps, selection.segment_start)), "motion began", _BEGAN)]
    marks += [(int(cut), "scene cut", _CUT) for cut in selection.choice.cuts]
    for place, words, colour in marks:
        if selection.window_stamps[0] < selection.window_stamps[min(place, len(columns) - 1)]:
            x = float(columns[min(place, len(columns) - 1)])
            page.line([(x, top), (x, bottom)], colour, 1.5)
            page.text((x + 5, top + 28), words, 12, colour)


def _draw_limit(page: Page, height: float) -> None:
    page.line([(_MARGIN, height), (_WIDTH - _MARGIN, height)], _LIMIT)


def _draw_change(page: Page, explanation: Explanation, top: float) -> None:
    _caption(
        page,
        top,
        "Change of brightness that the motion does not explain",
        f"a scene cut stands out in both curves, in this one above {CUT_CHANGE:g} of full brightness",
    )
    bottom = top + _CHANGE
    full = max(2 * CUT_CHANGE, float(explanation.change.max()))
    columns = _columns(explanation.selection)
    page.fill((_MARGIN, top, _WIDTH - _MARGIN, bottom), _PANEL)
    _draw_limit(page, bottom - _CHANGE * CUT_CHANGE / full)
    page.line(np.column_stack([columns, bottom - _CHANGE * explanation.change / full]), QUIET, 1.5)


def _draw_clusters(page: Page, selection: FrameSelection, top: float) -> None:
    columns, colours = _columns(selection), _colours(selection)
    clusters = len(set(selection.choice.groups.tolist()) - {-1})
    frames = int((selection.choice.groups >= 0).sum())
    _caption(page, top, "Clusters", f"{frames} frames in {clusters}; the model takes one frame of each, and its flow")
    edges = np.concatenate([columns[:1], (columns[1:] + columns[:-1]) / 2, columns[-1:]])
    for left, right, colour in zip(edges[:-1], edges[1:], colours, strict=True):
        page.fill((left, top, right, top + _BAR), colour)


def _draw_clip(page: Page, selection: FrameSelection, boxes: Sequence[Box], top_bar: float, origin: int) -> None:
    columns, colours = _columns(selection), _colours(selection)
    for number, (index, box) in enumerate(zip(selection.choice.indices.tolist(), boxes, strict=True)):
        left, top, right, bottom = box
        side, middle, colour = right - left, (left + right) / 2, colours[index]
        page.line([(columns[index], top_bar + _BAR), (columns[index], top_bar + _BAR + 5), (middle, top - 3)], colour)
        page.frame(box, colour, 2)
        page.picture(selection.frames[number], box)
        _badge(page, box, str(number + 1), colour)
        small = cv2.resize(selection.flow[number], (64, 64), interpolation=cv2.INTER_AREA)
        page.picture(flow_colours(small, FLOW_RADIUS), (left, bottom + _GAP, right, bottom + _GAP + side))
        when = f"{_time(int(selection.stamps[number]), origin)} s"
        page.text((middle, bottom + _GAP + side + 15), when, 11, QUIET, "ms", room=side + _GAP)
