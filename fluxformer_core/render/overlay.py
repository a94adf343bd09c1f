"""The overlay: one picture of the camera's image and what is recognised, legible from across a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.colours import flow_colours
from fluxformer_core.images import depth_to_grey, to_rgb
from fluxformer_core.people.person import JOINTS, Joints, Mask
from fluxformer_core.render.canvas import Box, Colour, Page, curve_in, row_of_squares
from fluxformer_core.types import SECOND, ActionEvent, EventKind, Pixels, Recognition, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fluxformer_core.stream.clip import FrameSelection
    from fluxformer_core.stream.recognizer import ViewState

# The layout, in units that `draw_overlay` scales to the wanted height.
_PAGE = (854.0, 480.0)
_CAMERA: Box = (17, 17, 377, 287)
_LEFT, _RIGHT = 400.0, 840.0  # of the panel beside the camera's image
_CURVE: Box = (14, 313, 840, 350)
_STRIP_TOP, _STRIP_BOTTOM, _GAP = 366.0, 464.0, 3.0
_BAR_TOP, _BAR_PITCH, _BARS = 134.0, 27.0, 5

BACKGROUND, HOLLOW, QUIET, INK = (17, 19, 24), (38, 42, 51), (148, 156, 170), (242, 244, 247)
_BAR, _LINK = (88, 112, 156), (70, 76, 90)
STATE_COLOURS: dict[State | None, Colour] = {
    None: QUIET,
    State.WARMING_UP: QUIET,
    State.IDLE: (96, 165, 250),
    State.UNKNOWN: (251, 191, 36),
    State.ACTION: (52, 211, 153),
    State.NOBODY: QUIET,
}
_STATE_NAMES: dict[State | None, str] = {
    None: "waiting for images",
    State.WARMING_UP: "warming up",
    State.IDLE: "idle",
    State.UNKNOWN: "unknown",
    State.NOBODY: "nobody in view",
}

FLOW_RADIUS = 1.0  # frame heights per second: speed of the full colour, which a fast arm reaches
_FLOW_SIDE = 48  # px: flow is reduced to this size before it is coloured, because colouring takes most of the time
_VISIBLE = 0.5  # visibility from which a joint is drawn
_SOLID = 128  # of 255: share from which a pixel counts as the person's
_LINKS = (
    ("left_ear", "nose"), ("nose", "right_ear"), ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    *(
        (f"{side}_{joint}", f"{side}_{following}")
        for side in ("left", "right")
        for joint, following in (
            ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "index"), ("shoulder", "hip"), ("hip", "knee"),
            ("knee", "ankle"), ("ankle", "foot_index"),
        )
    ),
)  # fmt: skip
_LIMBS = np.array([[JOINTS.index(end) for end in link] for link in _LINKS])  # (n, 2) joints that a limb links
_FULL_MOTION = 1.0  # frame heights per second at the top of the motion curve; faster motion rescales the curve


def draw_overlay(
    frame: np.ndarray,
    *,
    recognition: Recognition | None,
    event: ActionEvent | None,
    selection: FrameSelection | None = None,
    people: Sequence[ViewState] | None = None,
    height: int = 480,
) -> np.ndarray:
    """Draw the camera's image, the newest recognition and event, and the clip that the recognition is based on.

    Args:
        frame: (H, W, 3) uint8 RGB; see `visible` for other kinds of pixels.
        recognition: None before the first one.
        event: None before the first one.
        selection: the clip; None: its place stays empty.
        people: those whose square, outline, limbs and label are drawn; None: people are not told apart.
        height: pixels, even; the picture, (height, width, 3) uint8 RGB, is 16:9 for every shape of the camera's image.
    """
    page = Page(_PAGE, height, BACKGROUND)
    colour = STATE_COLOURS[recognition.state if recognition else None]
    camera = page.picture(frame, _CAMERA)
    page.frame(camera, colour, 3)
    _draw_people(page, people or (), camera, frame.shape[1])
    _draw_state(page, recognition, colour, _STATE_NAMES[None if people is None or people else State.NOBODY])
    if event is not None:
        _draw_event(page, recognition, event)
    if recognition is not None:
        _draw_scores(page, recognition, colour)
    if recognition is not None and selection is not None:
        _draw_motion(page, recognition, selection, colour)
        _draw_strip(page, recognition, selection)
    else:
        _draw_nothing_yet(page, recognition)
    return page.pixels()


def draw_views(frame: np.ndarray, views: Sequence[ViewState], *, height: int = 480) -> np.ndarray:
    """Draw the camera's image and all views of a recogniser, and scores and clip of the first person who acts.

    Args:
        frame: as for `draw_overlay`.
        views: those of the recogniser; empty: nobody is in view.
        height: as for `draw_overlay`.
    """
    acting = [view for view in views if view.recognition is not None and view.recognition.state is State.ACTION]
    told = next(iter([*acting, *views]), None)
    people = None if told is not None and told.square is None else views
    recognition, event, selection = (told.recognition, told.event, told.clip) if told else (None, None, None)
    return draw_overlay(frame, recognition=recognition, event=event, selection=selection, people=people, height=height)


def visible(image: np.ndarray, pixels: Pixels, depth_range: tuple[float, float]) -> np.ndarray:
    """Any image as uint8 RGB. Depth is bright where near, and black without a reading or outside `depth_range` (m)."""
    if pixels is Pixels.DEPTH:
        image, pixels = depth_to_grey(image, depth_range), Pixels.GREY
    return to_rgb(image, pixels)


def readable(label: str) -> str:
    """A label with spaces instead of underscores."""
    return label.replace("_", " ")


def percent(share: float) -> str:
    """A share as text, such as "75 %"."""
    return f"{100 * share:.0f} %"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / SECOND:.1f} s"


def _name(recognition: Recognition | None) -> str:
    """The recognised action; the state if there is none."""
    if recognition is not None and recognition.state is State.ACTION:
        return readable(recognition.label)
    return _STATE_NAMES[recognition.state if recognition else None]


def _draw_people(page: Page, people: Sequence[ViewState], camera: Box, width: int) -> None:
    scale = (camera[2] - camera[0]) / width
    for person in people:
        if person.square is None or person.sighting is None:
            continue
        colour = STATE_COLOURS[person.recognition.state if person.recognition else None]
        left, top, side = person.square
        square = np.array([[left, top], [left, top + side], [left + side, top + side], [left + side, top]])
        lines = [(square[[0, 1, 2, 3, 0]], colour)]
        if person.sighting.mask is not None:
            lines += [(outline, colour) for outline in _outlines(person.sighting.mask)]
        if person.sighting.joints is not None:
            lines += [(limb, INK) for limb in _limbs(person.sighting.joints)]
        for points, shade in lines:
            page.line(points * scale + camera[:2], shade, 1.5, camera)
        words = f"{person.person_id}: {_name(person.recognition)}"
        wide = min(page.text_width(words, 14), camera[2] - camera[0] - 10)
        x = min(max(person.sighting.box[0] * scale + camera[0], camera[0] + 5), camera[2] - wide - 5)
        y = min(max(person.sighting.box[1] * scale + camera[1], camera[1] + 24), camera[3]) - 8
        page.fill((x - 3, y - 13, x + wide + 3, y + 5), BACKGROUND)
        page.text((x, y), words, 14, colour, room=wide)


def _outlines(mask: Mask) -> list[NDArray[np.float64]]:
    """The closed contours (n, 2) of a mask, px of the image."""
    left, top, right, bottom = mask.box
    rows, columns = mask.share.shape
    contours, _ = cv2.findContours((mask.share >= _SOLID).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    closed = [np.concatenate([contour, contour[:1]])[:, 0] + 0.5 for contour in contours]
    return [points * ((right - left) / columns, (bottom - top) / rows) + (left, top) for points in closed]


def _limbs(joints: Joints) -> NDArray[np.float32]:
    """The ends (n, 2, 2) of the limbs that are in view, px of the image."""
    seen = (joints.visibility[_LIMBS] >= _VISIBLE).all(axis=1)
    return np.asarray(joints.points[_LIMBS[seen]])


def _draw_state(page: Page, recognition: Recognition | None, colour: Colour, nothing: str) -> None:
    page.fill((_LEFT, 17, _LEFT + 6, 75), colour)
    room = _RIGHT - _LEFT - 20
    if recognition is not None and recognition.state is State.ACTION:
        score = percent(recognition.score)
        page.text((_RIGHT, 62), score, 26, colour, "rs")
        room -= page.text_width(score, 26) + 16
    page.text((_LEFT + 20, 62), _name(recognition) if recognition else nothing, 46, colour, room=room)


def _draw_event(page: Page, recognition: Recognition | None, event: ActionEvent) -> None:
    now = max(event.stamp, recognition.stamp if recognition else 0)
    happened = {
        EventKind.STARTED: f"started {_seconds(now - event.start)} ago",
        EventKind.UPDATED: f"goes on for {_seconds(now - event.start)}",
        EventKind.ENDED: f"ended {_seconds(now - event.end)} ago after {_seconds(event.end - event.start)}",
        EventKind.RETRACTED: f"retracted {_seconds(now - event.stamp)} ago",
    }[event.kind]
    peak = event.score
    if recognition and event.kind not in (EventKind.ENDED, EventKind.RETRACTED) and recognition.label == event.label:
        peak = max(peak, recognition.score)  # the score may have risen since the event was sent
    words = f"{readable(event.label)}  #{event.instance}  {happened},  peak {percent(peak)}"
    page.text((_LEFT + 20, 100), words, 15, QUIET, room=_RIGHT - _LEFT - 20)


def _draw_scores(page: Page, recognition: Recognition, colour: Colour) -> None:
    entries = recognition.scores[:_BARS]
    # An action keeps its label for a while after another label scores higher. The kept label is marked.
    named = recognition.label if recognition.state is State.ACTION else None
    lit = named or next((entry.label for entry in entries), None)
    rows = [(readable(e.label), e.score, colour if e.label == named else _BAR, e.label == lit) for e in entries]
    if rows:
        rows.append(("none of these", recognition.unknown_score, STATE_COLOURS[State.UNKNOWN], False))
    start, end = _LEFT + 146, _RIGHT - 52
    for row, (name, score, bar, bright) in enumerate(rows):
        y = _BAR_TOP + row * _BAR_PITCH
        page.text((start - 12, y + 5.5), name, 16, INK if bright else QUIET, "rs", room=start - 12 - _LEFT)
        page.fill((start, y - 7, end, y + 7), HOLLOW)
        page.fill((start, y - 7, start + (end - start) * min(max(score, 0.0), 1.0), y + 7), bar)
        page.text((_RIGHT, y + 5.5), percent(score), 16, INK if bright else QUIET, "rs")


def _draw_motion(page: Page, recognition: Recognition, selection: FrameSelection, colour: Colour) -> None:
    """Draw the motion of the whole window, with a line from each selected moment to its frame in the strip."""
    left, top, right, bottom = _CURVE
    full = max(_FULL_MOTION, float(selection.motion.max()))
    curve = curve_in(_CURVE, selection.window_stamps, selection.motion, full)
    chosen = curve[np.searchsorted(selection.window_stamps, selection.stamps)]
    page.area([(left, bottom), *curve, (right, bottom)], HOLLOW)
    for box, (x, y) in zip(_cells(len(chosen)), chosen, strict=True):
        page.line([(x, y), (x, bottom), ((box[0] + box[2]) / 2, _STRIP_TOP)], _LINK)
    page.line(curve, QUIET, 1.5)
    for x, y in chosen:
        page.dot((x, y), 2.6, colour)
    page.text((left, top - 2), f"motion {recognition.motion:.2f} frame heights/s", page.legible(12), QUIET)


def _draw_strip(page: Page, recognition: Recognition, selection: FrameSelection) -> None:
    boxes = _cells(len(selection.frames))
    side = boxes[0][2] - boxes[0][0]
    size = page.legible(11)
    spacing = max(1, int(np.ceil(2.9 * size / (side + _GAP))))  # cells from one time to the next, so that none overlap
    for place, (left, top, right, bottom) in enumerate(boxes):
        page.picture(selection.frames[place], (left, top, right, bottom))
        field = cv2.resize(selection.flow[place], (_FLOW_SIDE, _FLOW_SIDE), interpolation=cv2.INTER_AREA)
        page.picture(flow_colours(field, FLOW_RADIUS), (left, bottom + 2, right, bottom + 2 + side))
        if (len(boxes) - 1 - place) % spacing == 0:
            ago = (recognition.stamp - int(selection.stamps[place])) / SECOND
            when = f"-{ago:.1f} s" if ago >= 0.05 else "now"
            page.text(((left + right) / 2, bottom + side + 13), when, size, QUIET, "ms")


def _draw_nothing_yet(page: Page, recognition: Recognition | None) -> None:
    page.fill((_CURVE[0], _CURVE[3] - 1, _CURVE[2], _CURVE[3]), HOLLOW)
    for left, top, right, bottom in _cells(16):
        page.fill((left, top, right, bottom), HOLLOW)
        page.fill((left, bottom + 2, right, 2 * bottom - top + 2), HOLLOW)
    if recognition is not None and recognition.state is State.WARMING_UP:
        page.text((_CURVE[0], _CURVE[1] - 2), f"{recognition.frames_in_window} frames so far", 12, QUIET)


def _cells(count: int) -> list[Box]:
    """Boxes of the frames in the strip. The flow of a frame is drawn directly below its box."""
    return row_of_squares(count, _CURVE[0], _STRIP_TOP, _CURVE[2], (_STRIP_BOTTOM - _STRIP_TOP - 2) / 2, _GAP)
