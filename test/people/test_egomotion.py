"""The camera's own motion: known motions are found, rest stays rest, and people count for nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fluxformer_core.people.egomotion import CameraMotion, camera_motion

WIDTH, HEIGHT, BEYOND = 320, 240, 60
GRID = np.stack(np.meshgrid(np.linspace(0, WIDTH, 7), np.linspace(0, HEIGHT, 5)), axis=-1).reshape(-1, 2)
Image = NDArray[np.uint8]


def room(seed: int = 0) -> Image:
    """A wall with pictures and furniture, larger than the camera's image."""
    rng = np.random.default_rng(seed)
    wall = np.full((HEIGHT + 2 * BEYOND, WIDTH + 2 * BEYOND), 140, np.uint8)
    for _ in range(50):
        x, y, w, h = (int(rng.integers(*limits)) for limits in ((0, 400), (0, 320), (10, 60), (10, 60)))
        cv2.rectangle(wall, (x, y), (x + w, y + h), int(rng.integers(20, 240)), -1)
    return np.asarray(cv2.GaussianBlur(wall, (0, 0), 0.8), np.uint8)


def seen(wall: Image, motion: NDArray[np.float64] | None = None) -> Image:
    """What the camera sees after a motion (3, 3)."""
    inside = np.array([[1, 0, -BEYOND], [0, 1, -BEYOND], [0, 0, 1.0]])
    return np.asarray(cv2.warpPerspective(wall, (np.eye(3) if motion is None else motion) @ inside, (WIDTH, HEIGHT)))


def similarity(right: float, down: float, degrees: float = 0.0, zoom: float = 1.0) -> NDArray[np.float64]:
    turned = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, zoom)
    turned[:, 2] += right, down
    return np.vstack([turned, [0, 0, 1]])


def turn(degrees: float, focal: float = WIDTH / 2 / np.tan(np.radians(30))) -> NDArray[np.float64]:
    """A camera with a field of view of 60 degrees turns sideways."""
    lens = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    return np.asarray(lens @ cv2.Rodrigues(np.radians([0, degrees, 0.0]))[0] @ np.linalg.inv(lens))


def noisy(image: Image, sigma: float, seed: int) -> Image:
    return np.clip(image + np.random.default_rng(seed).normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def error(found: CameraMotion, truth: NDArray[np.float64]) -> float:
    """px, over the picture."""
    expected = cv2.perspectiveTransform(GRID[:, None], truth)[:, 0]
    return float(np.linalg.norm(found.moved(GRID) - expected, axis=1).mean())


def person(image: Image, left: int) -> Image:
    """A textured person, as wide as half of the picture, stands before the room."""
    shown = image.copy()
    shown[30:, left : left + WIDTH // 2] = room(99)[30:HEIGHT, : WIDTH // 2]
    return shown


@given(
    right=st.floats(-16, 16),
    down=st.floats(-6, 6),
    degrees=st.floats(-2, 2),
    zoom=st.floats(0.97, 1.03),
    seed=st.integers(0, 20),
)
@settings(max_examples=15)
def test_a_known_motion_is_found_and_its_inverse_in_reversed_order(right, down, degrees, zoom, seed):
    truth = similarity(right, down, degrees, zoom)
    before, after = seen(room(seed)), seen(room(seed), truth)
    there, back = camera_motion(before, after), camera_motion(after, before)
    assert there.trusted
    assert back.trusted
    assert error(there, truth) < 0.3
    assert error(back, np.linalg.inv(truth)) < 0.3


@pytest.mark.parametrize("degrees", [1.5, -3.0])  # 30 and 60 degrees per second at 20 Hz
@pytest.mark.parametrize("light", [1.0, 0.85])
def test_a_turn_is_found_under_noise_and_flicker(degrees, light):
    truth = turn(degrees)
    before, after = noisy(seen(room()), 2, 1), noisy((light * seen(room(), truth)).astype(np.uint8), 2, 2)
    assert error(camera_motion(before, after), truth) < 0.3


@given(sigma=st.floats(0, 8), light=st.floats(0.2, 1.0), seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_a_camera_at_rest_stays_exactly_at_rest(sigma, light, seed):
    before = (light * seen(room(seed % 7))).astype(np.uint8)
    found = camera_motion(noisy(before, sigma, seed), noisy(before, sigma, seed + 1))
    assert found.still
    assert found.trusted or sigma > 2


def test_equal_images_give_the_exact_identity():
    found = camera_motion(seen(room()), seen(room()))
    assert found.trusted
    assert found.still


def test_people_who_fill_half_of_the_picture_are_left_out():
    truth = similarity(9, 1)
    before, after = person(seen(room()), 60), person(seen(room(), truth), 66)
    people = np.zeros((HEIGHT, WIDTH), bool)
    people[25:, 55 : 66 + WIDTH // 2] = True
    found = camera_motion(before, after, people)
    assert found.trusted
    assert error(found, truth) < 0.3


def test_a_large_moving_person_whom_nobody_has_found_is_no_motion_of_the_camera():
    assert camera_motion(person(seen(room()), 60), person(seen(room()), 68)).still


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.zeros((HEIGHT, WIDTH), np.uint8), seen(room())),  # sudden light
        (seen(room(1)), seen(room(2))),  # a cut
        (noisy(np.full((HEIGHT, WIDTH), 90, np.uint8), 5, 1), noisy(np.full((HEIGHT, WIDTH), 90, np.uint8), 5, 2)),
        (seen(room(1))[:12, :16], seen(room(1))[:12, :16]),  # tiny
    ],
)
def test_without_a_common_room_the_answer_is_an_untrusted_identity(before, after):
    found = camera_motion(before, after)
    assert not found.trusted
    assert found.still


def test_a_picture_full_of_people_is_not_trusted():
    shown = seen(room())
    assert not camera_motion(shown, seen(room(), similarity(5, 0)), np.ones_like(shown)).trusted


def test_the_same_images_give_the_same_numbers():
    images = noisy(seen(room()), 3, 1), noisy(seen(room(), turn(2.0)), 3, 2)
    first, second = camera_motion(*images), camera_motion(*images)
    np.testing.assert_array_equal(first.matrix, second.matrix)


@pytest.mark.parametrize("right", [0, 9])
def test_pictures_of_depth_show_too_few_points_to_be_trusted(right):
    def picture(shift: int, seed: int) -> Image:
        shown = np.full((HEIGHT, WIDTH), 90, np.uint8)
        shown[150:] = np.linspace(90, 160, HEIGHT - 150, dtype=np.uint8)[:, None]
        shown[80:200, 60 + shift : 130 + shift] = 150
        shown[20:60, 200 + shift : 280 + shift] = 0
        return noisy(shown, 1, seed)

    found = camera_motion(picture(0, 1), picture(right, 2))
    assert found.still
    assert found.trusted <= (right == 0)
