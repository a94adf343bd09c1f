"""People known from depth, turned: where things go follows from where they are in space."""

from __future__ import annotations

import numpy as np
import pytest

from fluxformer_core.augment.rotated_view import rotated_view

SIDE = 64


def block(near: int = 220) -> np.ndarray:
    """Somebody of one depth, and a nearer hand before the middle."""
    picture = np.zeros((1, SIDE, SIDE), np.uint8)
    picture[0, 10:54, 22:42] = 140
    picture[0, 28:36, 28:36] = near
    return picture


def centre(picture: np.ndarray, axis: int) -> float:
    """Of what is nearest, px."""
    return float(np.nonzero(picture > 200)[axis].mean())


def test_without_a_turn_everything_stays_but_the_edges():
    before, after = block(), rotated_view(block(), 0.0, 0.0, 0.4)
    inner = np.zeros((SIDE, SIDE), bool)
    inner[12:52, 24:40] = True
    inner[26:38, 26:38] = False
    assert np.array_equal(before[0, inner], after[0, inner])
    assert (after[0, :8] == 0).all()


@pytest.mark.parametrize(("yaw", "way"), [(20.0, 1), (-20.0, -1)])
def test_what_is_near_moves_as_far_as_its_depth_says(yaw, way):
    # 80 grey levels of 191, which stand for 0.4 frame heights, are 10.7 px before the body.
    moved = centre(rotated_view(block(), yaw, 0.0, 0.4)[0], 1) - centre(block()[0], 1)
    assert moved * way == pytest.approx(10.7 * np.sin(np.deg2rad(20)), abs=1.0)


def test_pitch_moves_what_is_near_down():
    moved = centre(rotated_view(block(), 0.0, 15.0, 0.4)[0], 0) - centre(block()[0], 0)
    assert moved == pytest.approx(10.7 * np.sin(np.deg2rad(15)), abs=1.0)


def test_the_nearest_surface_hides_what_is_behind_it():
    picture = rotated_view(block(), 20.0, 0.0, 0.4)[0]
    row = picture[32].astype(int)
    assert row[32:38].min() > 180, "the hand covers the body, and is torn nowhere"


def test_steps_forward_stay_steps_forward():
    # The middle of turning is the clip's, not each frame's.
    clip = np.concatenate([np.where(block(140) > 0, np.uint8(grey), np.uint8(0)) for grey in (100, 140, 200)])
    columns = [float(np.nonzero(picture)[1].mean()) for picture in rotated_view(clip, 20.0, 0.0, 0.4)]
    assert columns[0] < columns[1] < columns[2]


def test_nobody_and_what_leaves_the_picture_are_no_error():
    nobody = np.zeros((3, SIDE, SIDE), np.uint8)
    assert np.array_equal(rotated_view(nobody, 20.0, 10.0, 0.4), nobody)
    full = np.full((2, SIDE, SIDE), 255, np.uint8)
    full[:, :, : SIDE // 2] = 60
    assert rotated_view(full, 45.0, 20.0, 3.0).shape == full.shape


def test_frames_are_turned_alike_whatever_comes_with_them_if_depth_is_the_same():
    one = block()
    several, alone = (rotated_view(np.repeat(one, count, axis=0), 12.0, 4.0, 0.3) for count in (3, 1))
    assert np.array_equal(several[2], alone[0])
