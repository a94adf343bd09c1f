"""The explanation: one picture of a recognition's window, motion, clusters and clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.colours import flow_colours
from fluxformer_core.render.canvas import Box, Colour, Page, curve_in, row_of_squares
from fluxformer_core.render.overlay import BACKGROUND, FLOW_RADIUS, HOLLOW, INK, QUIET, STATE_COLOURS, percent, readable
from fluxformer_core.stream.selection import CUT_CHANGE
from fluxformer_core.types import SECOND, Recognition, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fluxformer_core.stream.clip import FrameSelection

# The layout, in units.
_WIDTH, _MARGIN, _GAP = 1240.0, 20.0, 4.0
_RIGHT = _WIDTH - _MARGIN
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
    """Draw one recognition, from the frames of the window to the clip that the model took: (H, W, 3) uint8 RGB.

    `name` is the title, `origin` the moment in ns from which the times in the picture count, and `scale` the number of
    pixels per unit of the layout, which is 1240 units wide.
    """
    selection = explanation.selection
    grid = _grid(len(explanation.frames), top=_HEADER + _CAPTION)
    top_curves = grid[-1][3] + _BAND + _GAP + _CAPTION
    top_bar = top_curves + _MOTION + _CAPTION + _CHANGE + _CAPTION
    top_clip = top_bar + _BAR + _THREADS
    clip = row_of_squares(len(selection.frames), _MARGIN, top_clip, _RIGHT, _LARGEST, _GAP)
    height = 2 * clip[0][3] - top_clip + _GAP + _CAPTION + _MARGIN / 2
    page = Page((_WIDTH, height), round(height * scale), BACKGROUND)
    _draw_header(page, explanation, name, origin)
    _draw_window(page, explanation, grid)
    _draw_motion(page, selection, top_curves, origin)
    _draw_change(page, explanation, top_curves + _MOTION + _CAPTION)
    _draw_clusters(page, selection, top_bar)
    _draw_clip(page, selection, clip, top_bar + _BAR, origin)
    return page.pixels()


def _grid(count: int, top: float) -> list[Box]:
    """Boxes of all frames in rows. Below each box is room for a band in the colour of its cluster."""
    columns = max(_FEWEST, -(-count // _MOST_ROWS))
    side = (_RIGHT - _MARGIN - (columns - 1) * _GAP) / columns
    places = [divmod(i, columns) for i in range(count)]
    corners = [(_MARGIN + column * (side + _GAP), top + row * (side + _BAND + 2 * _GAP)) for row, column in places]
    return [(x, y, x + side, y + side) for x, y in corners]


def _colours(selection: FrameSelection) -> list[Colour]:
    """The colour of the cluster of each frame."""
    return [_CLUSTERS[group % len(_CLUSTERS)] if group >= 0 else HOLLOW for group in selection.choice.groups.tolist()]


def _across(top: float, bottom: float) -> Box:
    return _MARGIN, top, _RIGHT, bottom


def _columns(selection: FrameSelection) -> NDArray[np.float64]:
    """The place of each frame of the window on the time axis."""
    return curve_in(_across(0, 1), selection.window_stamps, selection.motion, 1.0)[:, 0]


def _time(stamp: int, origin: int) -> str:
    return f"{(stamp - origin) / SECOND:.2f} s"


def _caption(page: Page, bottom: float, title: str, words: str) -> None:
    page.text((_MARGIN, bottom - 7), title, 14, INK)
    page.text((_MARGIN + page.text_width(title, 14) + 10, bottom - 7), words, 12, QUIET)


def _draw_header(page: Page, explanation: Explanation, name: str, origin: int) -> None:
    recognition, window = explanation.recognition, explanation.selection.window_stamps
    colour = STATE_COLOURS[recognition.state]
    page.fill((_MARGIN, 16, _MARGIN + 6, 66), colour)
    left, right = _MARGIN + 18, _RIGHT - _WHEEL - 190
    action = recognition.state is State.ACTION
    said = f"{readable(recognition.label)} {percent(recognition.score)}" if action else "unknown"
    page.text((left, 43), said, 30, colour)
    page.text((left + page.text_width(said, 30) + 16, 43), name, 16, INK)
    best = ", ".join(f"{readable(s.label)} {percent(s.score)}" for s in recognition.scores)
    span = f"{len(window)} frames from {_time(int(window[0]), origin)} to {_time(recognition.stamp, origin)}"
    page.text((left, 64), f"{span};  scores: {best}", 13, QUIET, room=right - left)
    y, x = np.mgrid[-1:1:65j, -1:1:65j].astype(np.float32)
    wheel = flow_colours(np.stack([x, y], axis=-1), 1.0)
    wheel[np.hypot(x, y) > 1] = BACKGROUND
    page.picture(wheel, (_RIGHT - _WHEEL, 12, _RIGHT, 12 + _WHEEL))
    for line, legend in enumerate(("colours of flow: hue, where to;", f"full from {FLOW_RADIUS:g} frame height/s")):
        page.text((_RIGHT - _WHEEL - 10, 36 + 17 * line), legend, 12, QUIET, "rs")


def _draw_window(page: Page, explanation: Explanation, boxes: Sequence[Box]) -> None:
    words = "the band below a frame shows its cluster, dark: unused; numbered frames are selected, one of each cluster"
    _caption(page, boxes[0][1], "The window", words)
    choice, colours = explanation.selection.choice, _colours(explanation.selection)
    for i, (frame, box, colour) in enumerate(zip(explanation.frames, boxes, colours, strict=True)):
        left, _, right, bottom = box
        page.fill((left, bottom + 2, right, bottom + 2 + _BAND), colour)
        used = choice.groups[i] >= 0
        shown = frame if used else (frame * _DIMMED + np.array(BACKGROUND) * (1 - _DIMMED)).astype(np.uint8)
        _draw_frame(page, shown, box, np.flatnonzero(choice.indices == i) + 1, colour)


def _draw_frame(page: Page, frame: np.ndarray, box: Box, numbers: Iterable[int], colour: Colour) -> None:
    """Draw a frame of the camera. A selected frame has a border and a badge with its numbers in the clip."""
    page.picture(frame, box)
    if words := ", ".join(map(str, numbers)):
        left, top, right, _ = box
        size = max(9.0, min(13.0, (right - left) / 5))
        page.frame(box, colour, 2)
        page.fill((left, top, left + page.text_width(words, size) + 6, top + size + 3), colour)
        page.text((left + 3, top + size - 0.5), words, size, BACKGROUND)


def _draw_motion(page: Page, selection: FrameSelection, top: float, origin: int) -> None:
    start, stop = selection.thresholds
    words = f"of the fastest pixels, frame heights/s; a motion segment starts at {start:.2f} and stops below {stop:.2f}"
    _caption(page, top, "Motion", words)
    bottom, full = top + _MOTION, max(_FULL_MOTION, float(selection.motion.max()))
    curve = curve_in(_across(top + _HEADROOM, bottom), selection.window_stamps, selection.motion, full)
    page.fill(_across(top, bottom), _PANEL)
    page.area([(_MARGIN, bottom), *curve, (curve[-1, 0], bottom)], HOLLOW)
    for limit in (start, stop):
        _draw_limit(page, bottom - (_MOTION - _HEADROOM) * limit / full)
    _draw_seconds(page, selection, top, bottom, origin)
    page.line(curve, QUIET, 1.5)
    page.text((_RIGHT - 4, top + 28), f"top: {full:.1f}", 11, QUIET, "rs")
    _draw_marks(page, selection, top, bottom)
    colours = _colours(selection)
    for index in selection.choice.indices.tolist():
        page.dot(tuple(curve[index]), 4, colours[index])


def _draw_seconds(page: Page, selection: FrameSelection, top: float, bottom: float, origin: int) -> None:
    first, last = int(selection.window_stamps[0]) - origin, int(selection.window_stamps[-1]) - origin
    step = SECOND // 2 if last - first < 8 * SECOND else 2 * SECOND
    for tick in range(-(-first // step) * step, last + 1, step):
        x = _MARGIN + (_RIGHT - _MARGIN) * (tick - first) / max(1, last - first)
        page.line([(x, top), (x, bottom)], _GRID)
        page.text((x + 4, top + 12), f"{tick / SECOND:.1f} s", 11, QUIET)


def _draw_marks(page: Page, selection: FrameSelection, top: float, bottom: float) -> None:
    """Mark the start of the motion segment, and scene cuts."""
    columns = _columns(selection)
    marks = [(int(np.searchsorted(selection.window_stamps, selection.segment_start)), "motion began", _BEGAN)]
    marks += [(int(cut), "scene cut", _CUT) for cut in selection.choice.cuts]
    for place, words, colour in marks:
        x = float(columns[min(place, len(columns) - 1)])
        if x > _MARGIN:
            page.line([(x, top), (x, bottom)], colour, 1.5)
            page.text((x + 5, top + 28), words, 12, colour)


def _draw_limit(page: Page, height: float) -> None:
    page.line([(_MARGIN, height), (_RIGHT, height)], _LIMIT)


def _draw_change(page: Page, explanation: Explanation, top: float) -> None:
    words = f"a scene cut stands out in both curves, in this one above {CUT_CHANGE:g} of full brightness"
    _caption(page, top, "Change of brightness that the motion does not explain", words)
    box = _across(top, top + _CHANGE)
    full = max(2 * CUT_CHANGE, float(explanation.change.max()))
    page.fill(box, _PANEL)
    _draw_limit(page, top + _CHANGE * (1 - CUT_CHANGE / full))
    page.line(curve_in(box, explanation.selection.window_stamps, explanation.change, full), QUIET, 1.5)


def _draw_clusters(page: Page, selection: FrameSelection, top: float) -> None:
    columns, groups = _columns(selection), selection.choice.groups
    clusters, frames = len(set(groups.tolist()) - {-1}), int((groups >= 0).sum())
    _caption(page, top, "Clusters", f"{frames} frames in {clusters}; the model takes one frame of each, and its flow")
    edges = np.concatenate([columns[:1], (columns[1:] + columns[:-1]) / 2, columns[-1:]])
    for left, right, colour in zip(edges[:-1], edges[1:], _colours(selection), strict=True):
        page.fill((left, top, right, top + _BAR), colour)


def _draw_clip(page: Page, selection: FrameSelection, boxes: Sequence[Box], top_threads: float, origin: int) -> None:
    columns, colours = _columns(selection), _colours(selection)
    for number, (index, box) in enumerate(zip(selection.choice.indices.tolist(), boxes, strict=True)):
        left, top, right, bottom = box
        side, middle, x = right - left, (left + right) / 2, columns[index]
        page.line([(x, top_threads), (x, top_threads + 5), (middle, top - 3)], colours[index])
        _draw_frame(page, selection.frames[number], box, [number + 1], colours[index])
        small = cv2.resize(selection.flow[number], (64, 64), interpolation=cv2.INTER_AREA)
        page.picture(flow_colours(small, FLOW_RADIUS), (left, bottom + _GAP, right, bottom + _GAP + side))
        when = _time(int(selection.stamps[number]), origin)
        page.text((middle, bottom + _GAP + side + 15), when, 11, QUIET, "ms", room=side + _GAP)
