"""The square and the picture of one person: steady, in proportion, black outside, motion relative to the scene."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers import texture
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.people.person import Mask
from fluxformer_core.people.pixels import cut_mask, cut_square, on_black
from fluxformer_core.people.square import BORDER, SIDE, Square
from fluxformer_core.stream.buffer import RollingBuffer
from fluxformer_core.types import SECOND, ClipSpec

SPEC = ClipSpec()
PERIOD = SECOND // 20
HEIGHT, WIDTH, TALL = 240, 480, 120
ROOM = np.repeat(texture(HEIGHT, WIDTH)[..., None], 3, axis=2)
CLOTHES = np.repeat(texture(TALL, 40, seed=3)[..., None], 3, axis=2)


def test_a_square_holds_still_while_boxes_tremble() -> None:
    square, rng = Square((100, 50, 140, 150)), np.random.default_rng(0)
    first = square.rectangle
    assert first[2] == round(SIDE * 100)
    for _ in range(50):
        square.follow(tuple(np.array([100, 50, 140, 150]) + rng.uniform(-8, 8, 4)))
    assert square.rectangle == first


@given(st.lists(st.tuples(*[st.floats(-50, 500)] * 2, *[st.floats(10, 300)] * 2), min_size=1, max_size=8))
def test_a_square_always_holds_the_person_and_a_rim(boxes: list[tuple[float, float, float, float]]) -> None:
    square = Square((0, 0, 50, 100))
    for x, y, width, height in boxes:
        square.follow((x, y, x + width, y + height))
        left, top, side = square.rectangle
        rim = BORDER * side - 1.5  # whole px
        assert left + rim <= x
        assert top + rim <= y
        assert x + width <= left + side - rim
        assert y + height <= top + side - rim


def test_who_crouches_does_not_shrink_the_square_and_who_walks_away_does() -> None:
    square = Square((100, 50, 140, 150))
    square.follow((95, 80, 150, 150))
    assert square.rectangle[2] == round(SIDE * 100)
    square.follow((110, 90, 125, 130))
    assert square.rectangle[2] == round(SIDE * 40)


@pytest.mark.parametrize("square", [(-30, -40, 100), (400, 200, 100), (1000, 1000, 50), (-10, -10, 600)])
def test_beyond_the_image_a_square_is_black(square: tuple[int, int, int]) -> None:
    left, top, side = square
    seen = cut_square(ROOM, square)
    assert seen.shape == (side, side, 3)
    padded = cv2.copyMakeBorder(ROOM, 1100, 1100, 1100, 1100, cv2.BORDER_CONSTANT)
    np.testing.assert_array_equal(seen, padded[top + 1100 :, left + 1100 :][:side, :side])


@pytest.mark.parametrize("image", [ROOM, ROOM[..., 0], 20 * ROOM[..., 0].astype(np.uint16)], ids=["rgb", "grey", "mm"])
def test_a_camera_that_moved_is_made_good(image: np.ndarray) -> None:
    shift = np.array([[1.0, 0, 7], [0, 1, -3], [0, 0, 1]])
    np.testing.assert_array_equal(cut_square(image, (107, 47, 60), shift), cut_square(image, (100, 50, 60)))


def test_a_mask_lies_where_its_box_is() -> None:
    mask = Mask(np.full((50, 25), 255, np.uint8), (100.0, 60.0, 150.0, 160.0))
    seen = cut_mask(mask, (90, 50, 128), 64)
    rows, columns = np.nonzero(seen > 127)
    assert (columns.min(), columns.max() + 1) == (5, 30)
    assert (rows.min(), rows.max() + 1) == (5, 55)
    picture = on_black(np.full((64, 64, 3), 200, np.uint8), seen)
    assert picture[10:50, 10:25].min() == 200
    assert picture[:3].max() == 0


def picture(image: np.ndarray, mask: Mask | None, square: tuple[int, int, int]) -> np.ndarray:
    seen = cv2.resize(cut_square(image, square), (SPEC.size, SPEC.size), interpolation=cv2.INTER_AREA)
    return seen if mask is None else on_black(seen, cut_mask(mask, square, SPEC.size))


def walk(speed: float, squares: list[tuple[int, int, int]], *, masked: bool) -> np.ndarray:
    """Flow fields (frames, S, S, 2) of a person who walks through the room (px per frame), seen in these squares."""
    buffer, past = RollingBuffer(SPEC, DisFlow()), {}
    for index, square in enumerate(squares):
        image, left = ROOM.copy(), round(100 + speed * index)
        image[60 : 60 + TALL, left : left + 40] = CLOTHES
        box = (float(left), 60.0, left + 40.0, 60.0 + TALL)
        mask = Mask(np.full((TALL, 40), 255, np.uint8), box) if masked else None
        past[index * PERIOD] = image, mask
        now = picture(image, mask, square)
        buffer.push(now, index * PERIOD, lambda stamp, square=square: picture(*past[stamp], square))
    return buffer.window().flow[1:].copy()


@settings(max_examples=8)
@given(st.lists(st.integers(-25, 25), min_size=4, max_size=4), st.booleans())
def test_a_still_person_is_still_in_a_square_that_moves(shifts: list[int], masked: bool) -> None:
    squares = [(20 + shift, 30 + shift // 2, 180) for shift in shifts]
    assert np.abs(walk(0, squares, masked=masked)).max() == 0


@settings(max_examples=8)
@given(st.integers(2, 6), st.integers(-3, 3))
def test_who_walks_is_as_fast_in_a_moving_square_as_in_a_still_one(speed: int, lead: int) -> None:
    still = walk(speed, [(20, 30, 180)] * 6, masked=True)
    moving = walk(speed, [(20 + (speed + lead) * index, 30, 180) for index in range(6)], masked=True)
    fast = [np.median(field[..., 0][np.hypot(*field.T[[0, 1]]).T > 0.2]) for field in (still[-1], moving[-1])]
    true = speed * 20 / 180  # square sides per second
    assert fast == pytest.approx([true, true], rel=0.2)
