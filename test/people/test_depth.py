"""People in depth: found before a wall, apart from each other, at rest and at the start; nothing else is a person."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fluxformer_core.errors import ConfigError
from fluxformer_core.people.depth import DepthConfig, DepthFinder
from fluxformer_core.people.person import FoundBy, Sighting
from fluxformer_core.types import SECOND, Pixels

WIDTH, HEIGHT = 320, 240
FOCAL = WIDTH / 2 / np.tan(np.radians(29))
WALL, EYE = 4.0, 1.1  # m: distance of the wall, and height of the camera above the floor
Depth = NDArray[np.float32]


def room() -> Depth:
    """A wall and a floor, in metres."""
    down = (np.arange(HEIGHT) - HEIGHT / 2) / FOCAL
    floor = np.where(down > 0, EYE / np.maximum(down, 1e-3), np.inf)
    return np.repeat(np.minimum(WALL, floor)[:, None], WIDTH, axis=1).astype(np.float32)


def person(place: Depth, metres: float, x: int = 160, arm: bool = False) -> Depth:
    """A person 1.7 m tall stands upright, and holds an arm out to the right of the picture."""
    shown = place.copy()
    scale = FOCAL / metres

    def box(left: float, top: float, right: float, bottom: float) -> None:
        rows = slice(max(0, round(HEIGHT / 2 + (EYE - top) * scale)), round(HEIGHT / 2 + (EYE - bottom) * scale))
        columns = slice(max(0, x + round(left * scale)), max(0, x + round(right * scale)))
        shown[rows, columns] = np.minimum(shown[rows, columns], metres)

    box(-0.1, 1.7, 0.1, 1.45)  # head
    box(-0.22, 1.45, 0.22, 0.8)  # trunk
    box(-0.18, 0.8, 0.18, 0.0)  # legs
    if arm:
        box(0.22, 1.4, 0.8, 1.28)
    return shown


def noisy(metres: Depth, seed: int) -> NDArray[np.uint16]:
    """As a Kinect shows it, in millimetres."""
    rng = np.random.default_rng(seed)
    measured = metres + rng.normal(0, 1, metres.shape) * (0.0012 + 0.0019 * np.square(metres - 0.4))
    return (1000 * np.where(rng.random(metres.shape) < 0.01, 0, measured)).astype(np.uint16)


class Camera:
    """Shows images at 20 Hz; the finder is told what it found last, as by a tracker, unless `tracking` is off."""

    def __init__(self, config: DepthConfig | None = None, *, tracking: bool = True, first: float = 0.0) -> None:
        self.finder, self.now, self.tracking = DepthFinder(config), first, tracking
        self.people: list[Sighting] = []

    def show(self, image: NDArray[np.generic], pixels: Pixels = Pixels.DEPTH, passed: float = 0.05) -> list[Sighting]:
        self.now += passed
        known = self.people if self.tracking else ()
        self.people = self.finder.find(image, pixels, round(self.now * SECOND), known)
        return self.people

    def play(self, images: Iterable[NDArray[np.generic]]) -> list[list[Sighting]]:
        return [self.show(image) for image in images]


def in_empty_room(image: NDArray[np.generic], background: NDArray[np.generic] | None = None) -> list[Sighting]:
    camera = Camera()
    camera.show(room() if background is None else background)
    return camera.show(image)


def overlap(found: Sighting, truth: NDArray[np.bool_]) -> float:
    assert found.mask is not None
    left, top, right, bottom = (int(edge) for edge in found.mask.box)
    own = np.zeros(truth.shape, bool)
    own[top:bottom, left:right] = found.mask.share > 127
    return float((own & truth).sum() / (own | truth).sum())


def grey(metres: Depth) -> NDArray[np.uint8]:
    """A picture of depth: 255 at 0.5 m, 64 at 4.5 m, 0 for no reading."""
    shown = 64 + 191 * np.clip((4.5 - metres) / 4.0, 0, 1)
    return np.where(metres > 0, shown, 0).astype(np.uint8)


@pytest.mark.parametrize("metres", [1.5, 2.5, 3.5])
def test_a_person_before_a_wall_is_found_whole_with_the_distance(metres):
    (found,) = in_empty_room(noisy(person(room(), metres), 1))
    assert found.found_by is FoundBy.DEPTH
    assert found.distance == pytest.approx(metres, abs=0.02)
    assert overlap(found, person(room(), metres) < room() - 0.1) > 0.85


@given(shift=st.integers(-30, 30), metres=st.floats(2.0, 3.2))
@settings(max_examples=15)
def test_a_shifted_person_has_a_shifted_box(shift, metres):
    (before,) = in_empty_room(person(room(), metres))
    (after,) = in_empty_room(person(room(), metres, 160 + 2 * shift))
    left, top, right, bottom = before.box
    assert after.box == (left + 2 * shift, top, right + 2 * shift, bottom)


@given(seed=st.integers(0, 10_000), metres=st.floats(1.5, 3.3))
@settings(max_examples=5)
def test_millimetres_and_metres_show_the_same_people(seed, metres):
    background, image = noisy(room(), seed), noisy(person(room(), metres), seed + 1)
    as_metres = np.where(image > 0, image * np.float32(0.001), np.nan).astype(np.float32)
    (one,) = in_empty_room(image, background)
    (other,) = in_empty_room(as_metres, background.astype(np.float32) * np.float32(0.001))
    assert one.box == other.box
    assert one.distance == other.distance


def test_an_empty_noisy_room_shows_nobody():
    camera = Camera()
    assert not any(camera.play(noisy(room(), seed) for seed in range(60)))


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf])
def test_without_readings_there_is_nobody(nothing):
    assert in_empty_room(np.full((HEIGHT, WIDTH), nothing, np.float32)) == []
    assert in_empty_room(room(), np.full((HEIGHT, WIDTH), nothing, np.float32)) == [], "the lens cap comes off"


def test_two_people_side_by_side_at_different_distances_are_two():
    both = person(person(room(), 3.2, 185), 2.2, 150)
    near, far = in_empty_room(both)
    assert (near.distance, far.distance) == (pytest.approx(2.2), pytest.approx(3.2))


def test_two_people_who_touch_are_two():
    found = in_empty_room(person(person(room(), 2.5, 130), 2.5, 181))
    assert len(found) == 2


def test_a_person_with_an_arm_held_out_is_one():
    (found,) = in_empty_room(person(room(), 2.5, arm=True))
    assert overlap(found, person(room(), 2.5, arm=True) < room() - 0.1) > 0.85


def test_an_arm_held_towards_the_camera_belongs_to_the_person():
    image = person(room(), 2.5)
    image[100:125, 150:170] = 1.9
    (found,) = in_empty_room(image)
    assert overlap(found, image < room() - 0.1) > 0.85


def test_a_small_thing_is_nobody():
    image = room()
    image[150:170, 150:170] = 2.0
    assert in_empty_room(image) == []


def test_what_rests_becomes_background_unless_it_is_known():
    standing = noisy(person(room(), 2.5), 1)
    for tracking in (True, False):
        camera = Camera(tracking=tracking)
        camera.show(noisy(room(), 2))
        found = [camera.show(standing, passed=0.5) for _ in range(120)]  # a minute
        assert found[0]
        assert bool(found[-1]) is tracking


def test_a_person_who_was_there_at_the_start_comes_out_when_an_arm_moves():
    camera = Camera()
    resting = camera.play(noisy(person(room(), 2.5), seed) for seed in range(30))
    assert not any(resting)
    (found,) = camera.show(noisy(person(room(), 2.5, arm=True), 99))
    assert overlap(found, person(room(), 2.5, arm=True) < room() - 0.1) > 0.75
    assert len(camera.show(noisy(person(room(), 2.5), 100))) == 1, "the arm is down again, and the person stays"


def test_a_person_who_was_there_at_the_start_leaves_no_hole():
    camera = Camera()
    camera.play(noisy(person(room(), 2.5), seed) for seed in range(5))
    assert not any(camera.play(noisy(room(), seed) for seed in range(20)))
    assert len(camera.show(noisy(person(room(), 2.5), 50))) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_depth_without_a_background_show_people_at_once(channels):
    picture = grey(person(np.zeros((HEIGHT, WIDTH), np.float32) + 9, 2.5))
    picture[picture == 64] = 0
    image, pixels = (picture, Pixels.GREY) if channels == 1 else (np.dstack([picture] * 3), Pixels.RGB)
    (found,) = Camera().show(image, pixels)
    assert overlap(found, picture > 0) > 0.9
    assert np.isnan(found.distance)


def test_pictures_of_depth_with_a_room_show_people_before_it():
    camera = Camera()
    camera.show(grey(room()), Pixels.GREY)
    (found,) = camera.show(grey(person(room(), 2.5)), Pixels.GREY)
    assert overlap(found, person(room(), 2.5) < room() - 0.1) > 0.85


def test_a_camera_that_moves_or_changes_starts_anew():
    camera = Camera()
    camera.show(room())
    assert camera.show(np.full_like(room(), 1.0)) == []
    assert camera.show(np.full_like(room(), 1.0)) == []
    assert camera.show(room()[::2, ::2].copy()) == []


@pytest.mark.parametrize("side", [1, 2, 5, 33])
def test_tiny_images_show_nobody(side):
    camera = Camera()
    assert camera.show(np.full((side, side), 2.0, np.float32)) == []
    assert camera.show(np.full((side, side), 1.0, np.float32)) == []


def test_a_wrong_setting_is_named():
    with pytest.raises(ConfigError, match="field_of_view"):
        DepthConfig(field_of_view=0)


def test_a_person_who_walks_through_a_plain_room_is_found_all_the_way():
    camera = Camera()
    camera.play(noisy(room(), seed) for seed in range(5))
    found = camera.play(noisy(person(room(), 2.2, 30 + 10 * step), step) for step in range(26))
    assert [len(people) for people in found] == [1] * 26


def test_nobody_is_found_while_the_camera_turns():
    furnished = room()
    for left, metres in ((20, 2.0), (110, 3.0), (190, 2.5), (270, 2.0)):
        furnished[90:200, left : left + 30] = metres
    camera = Camera()
    camera.play(noisy(furnished, seed) for seed in range(10))
    found = camera.play(noisy(np.roll(furnished, 8 * step, axis=1), step) for step in range(1, 20))
    assert not any(found)
