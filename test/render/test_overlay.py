"""The overlay: what must be seen is seen, at every size and in every state; and the video that it is written to."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers import area, frame_selection

from fluxformer_core.errors import ConfigError
from fluxformer_core.io.sources import open_source
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.people.person import JOINTS, FoundBy, Joints, Mask, Sighting
from fluxformer_core.render.canvas import Page
from fluxformer_core.render.overlay import draw_overlay, draw_views, readable, visible
from fluxformer_core.stream.clip import FrameSelection
from fluxformer_core.stream.recognizer import ViewState
from fluxformer_core.types import SECOND, ActionEvent, ActionScore, EventKind, Pixels, Recognition, State

NOW = 10 * SECOND
GREEN, AMBER, BLUE, GREY = (52, 211, 153), (251, 191, 36), (96, 165, 250), (148, 156, 170)
SCORES = tuple(ActionScore(label, score) for label, score in (("wave", 0.75), ("draw_circle_cw", 0.2), ("clap", 0.05)))
ACTION = Recognition(NOW, 7 * SECOND, NOW, State.ACTION, "wave", 0.75, SCORES, 0.1, 0.4, 48)
EVENT = ActionEvent(NOW, EventKind.STARTED, "wave", 3, NOW - SECOND, 0, 0.8)
CAMERA = np.full((240, 320, 3), (200, 30, 120), np.uint8)


def selection(count: int = 16, fastest: float = 2.0) -> FrameSelection:
    return frame_selection(count, 48, (10, 20, 240), fastest=fastest)


@pytest.mark.parametrize("height", [120, 240, 480, 1080])
def test_the_picture_has_the_wanted_height_and_is_16_to_9(height: int) -> None:
    picture = draw_overlay(CAMERA, recognition=ACTION, event=EVENT, selection=selection(), height=height)
    assert (picture.shape[0], picture.shape[2], picture.dtype) == (height, 3, np.dtype("u1"))
    assert picture.shape[1] % 2 == 0
    assert picture.shape[1] / height == pytest.approx(16 / 9, rel=0.01)


@pytest.mark.parametrize("shape", [(240, 320), (640, 360), (90, 640), (1, 1)])
def test_camera_of_any_shape_is_shown_whole_and_undistorted(shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), (200, 30, 120), np.uint8)
    picture = draw_overlay(frame, recognition=None, event=None)
    rows, columns = np.nonzero(np.abs(picture.astype(int) - (200, 30, 120)).max(axis=-1) <= 2)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.03)
    assert max(height / 270, width / 360) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        (State.WARMING_UP, GREY),
        (State.IDLE, BLUE),
        (State.UNKNOWN, AMBER),
        (State.ACTION, GREEN),
        (State.NOBODY, GREY),
    ],
)
def test_the_colour_of_frame_and_headline_shows_the_state(state: State, colour: tuple[int, int, int]) -> None:
    recognition = dataclasses.replace(ACTION, state=state, scores=())
    picture = draw_overlay(CAMERA, recognition=recognition, event=None)
    others = {GREY, BLUE, AMBER, GREEN} - {colour}
    assert area(picture[10:95], colour) > 2000
    assert all(area(picture[10:95], other) == 0 for other in others)
    assert area(picture[20:70, 430:840], colour) > 300  # the headline alone


def test_scores_are_bars_of_their_length() -> None:
    picture = draw_overlay(CAMERA, recognition=ACTION, event=None)
    bars = {134: GREEN, 161: (88, 112, 156), 215: AMBER}  # of the best label, the second, and of none
    lengths = [area(picture[row : row + 1, 542:790], colour) for row, colour in bars.items()]
    np.testing.assert_allclose(np.array(lengths) / 242, (0.75, 0.2, 0.1), atol=0.01)


def test_the_bar_of_the_kept_label_is_marked_though_another_scores_higher() -> None:
    kept = dataclasses.replace(ACTION, label="draw_circle_cw", score=0.2)
    picture = draw_overlay(CAMERA, recognition=kept, event=None)
    lengths = [area(picture[row : row + 1, 542:790], GREEN) for row in (134, 161)]
    np.testing.assert_allclose(np.array(lengths) / 242, (0.0, 0.2), atol=0.01)


def test_scores_outside_their_range_stay_in_their_bars() -> None:
    wild = dataclasses.replace(ACTION, scores=(ActionScore("wave", 1.7), ActionScore("clap", -0.5)))
    tame = dataclasses.replace(ACTION, scores=(ActionScore("wave", 1.0), ActionScore("clap", 0.0)))
    bars = slice(120, 170), slice(540, 795)
    first, second = (draw_overlay(CAMERA, recognition=recognition, event=None)[bars] for recognition in (wild, tame))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("count", [1, 8, 16, 32])
def test_strip_shows_every_selected_frame_above_its_flow(count: int) -> None:
    picture = draw_overlay(CAMERA, recognition=ACTION, event=EVENT, selection=selection(count))
    side = min(48, (826 - 3 * (count - 1)) / count)
    first_rows = []
    for colour in ((10, 20, 240), (255, 0, 0)):
        assert area(picture[362:], colour) == pytest.approx(count * side**2, rel=0.1)
        first_rows.append(np.nonzero((picture == colour).all(-1))[0].min())
    assert first_rows[0] < first_rows[1]


def test_motion_curve_rises_with_the_motion_and_is_flat_for_a_still_scene() -> None:
    picture = draw_overlay(CAMERA, recognition=ACTION, event=None, selection=selection())
    curve = [int(np.nonzero((picture[314:352, column] == GREY).all(-1))[0].min()) for column in (200, 400, 600)]
    assert curve == sorted(curve, reverse=True)
    assert curve[0] > curve[-1] + 10
    still = draw_overlay(CAMERA, recognition=ACTION, event=None, selection=selection(fastest=0.0))
    assert area(still[314:340], GREY) == 0


def test_people_who_are_followed_are_framed_in_their_states_colour() -> None:
    idle = dataclasses.replace(ACTION, state=State.IDLE, label="")
    squares = {"ann": ((0, 0, 120), ACTION), "bob": ((160, 0, 60), idle), "new": ((160, 120, 60), None)}
    people = [seen_person(name, *seen) for name, seen in squares.items()]
    without, picture = (
        draw_overlay(CAMERA, recognition=None, event=None, people=some, height=960) for some in ((), people)
    )
    for colour in (GREEN, BLUE, GREY):
        assert area(picture, colour) > area(without, colour) + 300
    scene = draw_overlay(CAMERA, recognition=None, event=None, height=960)
    assert changed(scene, without, (820, 30, 1690, 200)) == (True, False)  # "nobody in view"


def seen_person(
    name: str,
    square: tuple[int, int, int],
    recognition: Recognition | None = ACTION,
    mask: Mask | None = None,
    joints: Joints | None = None,
) -> ViewState:
    left, top, side = square
    sighting = Sighting((left, top, left + side, top + side), FoundBy.POSE, mask=mask, joints=joints)
    return ViewState(name, square, sighting, recognition, None, None)


def test_outline_and_visible_limbs_of_a_person_are_drawn() -> None:
    def lit(person: ViewState, colour: tuple[int, int, int]) -> np.ndarray:
        picture = draw_overlay(CAMERA, recognition=None, event=None, people=[person], height=960)[34:574, 34:754]
        picture[:80] = 0  # the label
        return (np.abs(picture.astype(int) - colour).max(axis=-1) <= 60).nonzero()

    share = np.zeros((40, 40), np.uint8)
    share[10:30, 10:30] = 255
    outline = lit(seen_person("ann", (400, 0, 10), mask=Mask(share, (100.0, 50.0, 180.0, 130.0))), GREEN)
    scale = 540 / 240
    assert [side / scale for found in outline for side in (found.min(), found.max())] == pytest.approx(
        [70, 110, 120, 160], abs=3
    )
    points, visibility = np.zeros((33, 2), np.float32), np.zeros(33, np.float32)
    for name, place, sure in (("elbow", (100, 60), 0.9), ("wrist", (140, 60), 0.5), ("index", (140, 200), 0.4)):
        points[JOINTS.index(f"left_{name}")], visibility[JOINTS.index(f"left_{name}")] = place, sure
    rows, columns = lit(seen_person("ann", (400, 0, 10), joints=Joints(points, visibility, points)), (242, 244, 247))
    assert [rows.min() / scale, rows.max() / scale] == pytest.approx([60, 60], abs=3), "the finger is not in view"
    assert [columns.min() / scale, columns.max() / scale] == pytest.approx([100, 140], abs=3)


@pytest.mark.parametrize("square", [(-50, -60, 200), (250, 150, 400), (-900, 0, 100), (0, -500, 2000)])
def test_people_at_the_border_leave_the_rest_of_the_picture_alone(square: tuple[int, int, int]) -> None:
    left, top, side = square
    far = np.array([[left, top], [left + side, top + side]] * 17, np.float32)[:33]
    box = (float(left), float(top), float(left + side), float(top + side))
    mask = Mask(np.full((20, 20), 255, np.uint8), box)
    person = seen_person("ann" * 90, square, mask=mask, joints=Joints(far, np.ones(33, np.float32), np.zeros((33, 3))))
    new = seen_person("new", (-900, 0, 100), None)
    without, picture = (
        draw_overlay(CAMERA, recognition=None, event=None, people=some) for some in ([new], [new, person])
    )
    assert not changed(without, picture, (17, 17, 378, 288))[1]


def test_views_are_drawn_with_what_is_said_of_the_person_who_acts() -> None:
    idle = dataclasses.replace(ACTION, state=State.IDLE, label="")
    ann = dataclasses.replace(seen_person("ann", (0, 0, 80), idle))
    bob = dataclasses.replace(seen_person("bob", (160, 0, 60)), event=EVENT, clip=selection())
    told = {"recognition": ACTION, "event": EVENT, "selection": selection()}
    np.testing.assert_array_equal(draw_views(CAMERA, [ann, bob]), draw_overlay(CAMERA, **told, people=[ann, bob]))
    scene = ViewState("", None, None, ACTION, EVENT, selection())
    np.testing.assert_array_equal(draw_views(CAMERA, [scene]), draw_overlay(CAMERA, **told))
    nobody = draw_overlay(CAMERA, recognition=None, event=None, people=[])
    np.testing.assert_array_equal(draw_views(CAMERA, []), nobody)


def changed(first: np.ndarray, second: np.ndarray, box: tuple[int, int, int, int]) -> tuple[bool, bool]:
    """Whether two pictures differ inside and outside of a box (left, top, right, bottom)."""
    differs = (first != second).any(axis=-1)
    left, top, right, bottom = box
    inside = differs[top:bottom, left:right].any()
    differs[top:bottom, left:right] = False
    return bool(inside), bool(differs.any())


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_is_shown_in_its_own_line_only(kind: EventKind) -> None:
    over = kind in (EventKind.ENDED, EventKind.RETRACTED)
    event = dataclasses.replace(EVENT, kind=kind, end=NOW if over else 0)
    without = draw_overlay(CAMERA, recognition=ACTION, event=None)
    assert changed(without, draw_overlay(CAMERA, recognition=ACTION, event=event), (410, 84, 845, 108)) == (True, False)


def test_long_labels_stay_inside_the_picture() -> None:
    label = "what_somebody_taught_the_robot_" * 4
    long = dataclasses.replace(ACTION, label=label, scores=(ActionScore(label, 0.75), *SCORES[1:]))
    event = dataclasses.replace(EVENT, label=label)
    picture, without = (draw_overlay(CAMERA, recognition=r, event=e) for r, e in ((long, event), (ACTION, None)))
    assert changed(without, picture, (400, 14, 841, 145)) == (True, False)


def test_labels_are_written_with_spaces() -> None:
    assert readable("draw_circle_cw") == "draw circle cw"


def test_type_too_small_to_read_is_left_out() -> None:
    page = Page((854, 480), 120, (0, 0, 0))
    page.text((10, 100), "nobody can read this", 12, (255, 255, 255))
    assert not page.pixels().any()
    page.text((10, 200), "anybody can", 60, (255, 255, 255))
    assert page.pixels().any()


def test_every_kind_of_colour_becomes_the_same_rgb() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
    bgr, alpha = np.ascontiguousarray(rgb[..., ::-1]), np.full((5, 7, 1), 9, np.uint8)
    rgba, bgra = (np.concatenate([image, alpha], axis=-1) for image in (rgb, bgr))
    for image, pixels in ((rgb, Pixels.RGB), (bgr, Pixels.BGR), (rgba, Pixels.RGBA), (bgra, Pixels.BGRA)):
        np.testing.assert_array_equal(visible(image, pixels, (0.5, 4.5)), rgb, err_msg=pixels)
    grey = visible(rgb[..., 0].copy(), Pixels.GREY, (0.5, 4.5))
    np.testing.assert_array_equal(grey, np.repeat(rgb[..., :1], 3, axis=-1))


def test_depth_is_brighter_the_nearer_and_black_without_reading() -> None:
    metres = np.array([[0.1, 0.5, 1.0, 4.4, 4.6, 0.0, np.nan, np.inf]], np.float32)
    brightness = visible(metres, Pixels.DEPTH, (0.5, 4.5))[0, :, 0].astype(int)
    assert brightness[0] == brightness[1] == 255
    assert brightness[1] > brightness[2] > brightness[3] > 40
    assert brightness[4:].tolist() == [0, 0, 0, 0]
    millimetres = np.array([[100, 500, 1000, 4400, 4600, 0]], np.uint16)
    assert visible(millimetres, Pixels.DEPTH, (0.5, 4.5))[0, :, 0].tolist() == brightness[:6].tolist()


def test_recorded_video_keeps_times_and_pictures(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    stamps = [5 * SECOND + offset * 1_000_000 for offset in (0, 33, 100, 90, 100, 1000)]
    with VideoRecorder(path) as recorder:
        for index, stamp in enumerate(stamps):
            recorder.write(np.full((48, 64, 3), 40 * index, np.uint8), stamp)
    with open_source(str(path)) as source:
        frames = list(source)
    # The fourth picture went back in time and the fifth repeated the third's.
    assert [round(frame.stamp / 1_000_000) for frame in frames] == [0, 33, 100, 1000]
    np.testing.assert_allclose([frame.image.mean() for frame in frames], [0, 40, 80, 200], atol=4)


@pytest.mark.parametrize("name", ["no/such/folder/overlay.mp4", "overlay.nonsense", "."])
def test_videos_that_cannot_be_written_are_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        VideoRecorder(tmp_path / name)
