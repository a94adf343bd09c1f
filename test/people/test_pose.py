"""The pose nets give what MediaPipe 0.10.21 gives; mediapipe.npz is made by make_golden.py."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.people.person import Joints
from fluxformer_core.people.pose_detector import PoseDetector, anchors, merge
from fluxformer_core.people.pose_landmarker import PoseLandmarker, refine
from fluxformer_core.people.rotated_square import RotatedSquare
from fluxformer_core.people.smoothing import JointSmoother


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).with_name("mediapipe.npz")) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def detector():
    return PoseDetector()


@pytest.fixture(scope="module")
def landmarker():
    return PoseLandmarker()


@pytest.fixture(scope="module")
def detection(golden, detector):
    (detection,) = detector(golden["image"])
    return detection


@pytest.fixture(scope="module")
def pose(golden, detection, landmarker):
    return landmarker(golden["image"], detection.square)


def onto(image, mask):
    """The mask over the whole image, 0..1."""
    left, top, right, bottom = mask.box
    height, width = mask.share.shape
    matrix = np.array([[(right - left) / width, 0, left], [0, (bottom - top) / height, top]])
    return cv2.warpAffine(mask.share, matrix, image.shape[1::-1]) / 255


def test_a_detection_is_mediapipes(golden, detection):
    assert detection.points == pytest.approx(golden["points"], abs=0.3)
    assert detection.score == pytest.approx(golden["score"], abs=1e-3)


def test_joints_are_mediapipes(golden, pose):
    assert pose.joints.points == pytest.approx(golden["raw_points"][0], abs=0.4)
    assert pose.joints.visibility == pytest.approx(golden["raw_visibility"][0], abs=0.01)
    assert pose.joints.metres == pytest.approx(golden["raw_metres"][0], abs=0.01)
    assert pose.presence > 0.9


def test_the_square_of_the_next_image_is_mediapipes(golden, pose):
    square = pose.square
    assert (square.x, square.y, square.side) == pytest.approx(golden["squares"][0, :3], abs=0.4)
    assert square.angle == pytest.approx(golden["squares"][0, 3], abs=0.002)


def test_the_mask_is_mediapipes(golden, pose):
    # The mask passes through an upright rectangle, so its edge is a little softer.
    assert np.abs(onto(golden["image"], pose.mask) - golden["mask"] / 255).mean() < 0.003


def test_joints_are_smoothed_as_by_mediapipe(golden):
    smoother = JointSmoother()
    for index, stamp in enumerate(golden["stamps"].tolist()):
        raw, expected = (
            [golden[f"{kind}_{name}"][index] for name in ("points", "visibility", "metres")]
            for kind in ("raw", "smooth")
        )
        smooth = smoother(Joints(*raw), golden["squares"][index, 2] / 1.25, stamp)
        # MediaPipe measures speed in diameters of a circle that it does not tell unsmoothed.
        assert smooth.points == pytest.approx(expected[0], abs=0.1)
        assert smooth.visibility == pytest.approx(expected[1], abs=1e-6)
        assert smooth.metres == pytest.approx(expected[2], abs=1e-5)


def test_joints_at_rest_stay_where_they_are():
    joints = Joints(np.ones((33, 2), np.float32), np.ones(33, np.float32), np.ones((33, 3), np.float32))
    smoother = JointSmoother()
    for stamp in (1, 30_000_001, 90_000_001):
        smooth = smoother(joints, 100.0, stamp)
        assert np.array_equal(smooth.points, joints.points)
        assert np.array_equal(smooth.metres, joints.metres)


def test_the_anchors_are_the_middles_of_the_cells_of_three_grids():
    places = anchors()
    assert places.shape == (2254, 2)
    assert places[0] == pytest.approx((4 / 224, 4 / 224))
    assert places[2] == pytest.approx((12 / 224, 4 / 224))  # two anchors in a cell, row by row
    assert places[2 * 28 * 28] == pytest.approx((8 / 224, 8 / 224))
    assert places[2 * (28 * 28 + 14 * 14) + 6] == pytest.approx((48 / 224, 16 / 224))
    assert places[-1] == pytest.approx((208 / 224, 208 / 224))


def test_the_detector_does_not_depend_on_the_shape_of_the_image(golden, detector, detection):
    image = golden["image"]
    taller = np.zeros((320, 320, 3), np.uint8)
    taller[40:280] = image  # what letterboxing makes of the image
    (found,) = detector(taller)
    assert found.points == pytest.approx(detection.points + np.array([0, 40]), abs=0.01)


def test_two_people_are_found(golden, detector):
    left, right = sorted(detector(np.hstack([golden["image"]] * 2)), key=lambda person: person.points[0, 0])
    assert right.points[0, 0] - left.points[0, 0] == pytest.approx(320, abs=8)


def test_heads_are_merged_by_their_scores_and_apart_from_others():
    near = np.array([[0, 0], [0.1, 0.1], *[[0.5, 0.5]] * 4])
    places = np.stack([near + 0.01, near + 0.5, near])
    (first, middle), (second, alone) = merge(np.array([0.9, 0.6, 0.3], np.float32), places)
    assert (first, second) == pytest.approx((0.9, 0.6))
    assert middle == pytest.approx(near + 0.0075)
    assert alone == pytest.approx(near + 0.5)


def test_a_cold_heat_map_moves_no_landmark():
    places = np.array([[0.3, 0.4], [-0.5, 2.0]])
    assert np.array_equal(refine(places, np.full((64, 64, 2), -9, np.float32)), places)
    hot = np.full((64, 64, 2), -40, np.float32)
    hot[25, 20] = 5
    assert refine(places, hot) == pytest.approx(np.array([[20 / 64, 25 / 64], [-0.5, 2.0]]))


angles = st.floats(-3.1, 3.1)


@settings(max_examples=30, deadline=None)
@given(angles, st.floats(10, 400), st.floats(-50, 700), st.floats(-50, 500))
def test_a_square_is_made_again_from_its_own_circle(angle, side, x, y):
    square = RotatedSquare(x, y, side, angle)
    middle, rim = square.places(np.array([[0.5, 0.5], [0.5, 0.5 - 0.4]]))
    again = RotatedSquare.around(middle, rim)
    assert (again.x, again.y, again.side, again.angle) == pytest.approx((x, y, side, angle), abs=1e-6)
    corners = square.places(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]))
    assert (*corners.min(axis=0), *corners.max(axis=0)) == pytest.approx(square.box, abs=1e-6)


@settings(max_examples=6, deadline=None)
@given(angles)
def test_a_turned_picture_turns_joints_and_outline(golden, landmarker, pose, detection, angle):
    image, square = golden["image"], detection.square
    matrix = cv2.getRotationMatrix2D((square.x, square.y), -np.degrees(angle), 1)
    matrix[:, 2] += (240 - square.x, 240 - square.y)
    turned = cv2.warpAffine(image, matrix, (480, 480), borderMode=cv2.BORDER_REPLICATE)
    found = landmarker(turned, RotatedSquare(240, 240, square.side, square.angle + angle))
    clear = pose.joints.visibility > 0.9
    expected = pose.joints.points @ matrix[:, :2].T + matrix[:, 2]
    assert found.joints.points[clear] == pytest.approx(expected[clear], abs=3)
    turn = matrix[:, :2].T
    assert found.joints.metres[clear, :2] == pytest.approx(pose.joints.metres[clear, :2] @ turn, abs=0.06)
    outline = cv2.warpAffine(onto(image, pose.mask), matrix, (480, 480))
    assert np.abs(onto(turned, found.mask) - outline).mean() < 0.01
