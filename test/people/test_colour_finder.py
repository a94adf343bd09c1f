from pathlib import Path

import numpy as np
import pytest

from fluxformer_core.errors import ConfigError
from fluxformer_core.people.colour_finder import ColourFinder, ColourFinderConfig, closer_looks, plausible
from fluxformer_core.people.person import FoundBy, Joints, Mask, Sighting
from fluxformer_core.types import Pixels


@pytest.fixture(scope="module")
def picture():
    """A person, 180 px tall, in the middle of an image of (240, 320) px."""
    with np.load(Path(__file__).with_name("mediapipe.npz")) as arrays:
        return arrays["image"]


@pytest.fixture(scope="module")
def finder():
    return ColourFinder()


def overlap(box, other):
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    areas = [np.prod(np.subtract(area[2:], area[:2])) for area in (box, other)]
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (sum(areas) - shared)


def test_a_person_is_found_with_box_mask_and_joints(finder, picture):
    (person,) = finder.find(picture, Pixels.RGB, 0)
    left, top, right, bottom = person.box
    assert person.found_by is FoundBy.POSE
    assert person.score > 0.9
    assert 150 < bottom - top < 200
    nose = person.joints.points[0]
    assert left < nose[0] < right
    assert top < nose[1] < top + 40
    assert person.mask.share.max() == 255


def test_a_known_person_is_seen_again_where_they_are(finder, picture):
    (person,) = finder.find(picture, Pixels.RGB, 0)
    again = finder.look(np.roll(picture, 8, axis=1), Pixels.RGB, person)
    assert again.joints.points[:, 0] == pytest.approx(person.joints.points[:, 0] + 8, abs=4)
    from_box = finder.look(picture, Pixels.RGB, Sighting(person.box, FoundBy.TOPIC))
    assert overlap(from_box.box, person.box) > 0.7


def test_a_known_person_is_not_found_again(finder, picture):
    (person,) = finder.find(picture, Pixels.RGB, 0)
    assert finder.find(picture, Pixels.RGB, 0, [person]) == []
    both = np.hstack([picture, picture])
    (other,) = finder.find(both, Pixels.RGB, 0, [person])
    assert other.box[0] > 320


def test_a_person_who_left_is_not_seen_again(finder, picture):
    (person,) = finder.find(picture, Pixels.RGB, 0)
    assert finder.look(np.full_like(picture, 120), Pixels.RGB, person) is None


@pytest.mark.parametrize("pixels", [Pixels.BGR, Pixels.BGRA, Pixels.RGBA])
def test_the_order_of_the_colours_does_not_matter(finder, picture, pixels):
    image = picture if pixels is Pixels.RGBA else picture[..., ::-1]
    if pixels is not Pixels.BGR:
        image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    (person,) = finder.find(np.ascontiguousarray(image), pixels, 0)
    (expected,) = finder.find(picture, Pixels.RGB, 0)
    assert overlap(person.box, expected.box) > 0.9


def test_a_search_finds_a_lying_person(finder, picture):
    lying = np.ascontiguousarray(np.rot90(picture))
    (person,) = finder.search(lying, Pixels.RGB, (0, 0, 240, 320))
    left, top, right, bottom = person.box
    assert right - left > 1.5 * (bottom - top)


def test_a_small_person_is_found_by_a_closer_look(picture):
    wide = np.tile(picture[:, :1], (4, 1280, 1)).reshape(960, 1280, 3)
    wide[500:740, 700:1020] = picture
    assert not ColourFinder(ColourFinderConfig(closer_looks=0)).find(wide, Pixels.RGB, 0)
    (person,) = ColourFinder(ColourFinderConfig(closer_looks=64)).find(wide, Pixels.RGB, 0)
    assert 700 < person.box[0] < person.box[2] < 1020


def test_closer_looks_take_turns(picture):
    wide = np.tile(picture[:, :1], (4, 1280, 1)).reshape(960, 1280, 3)
    wide[500:740, 700:1020] = picture
    finder = ColourFinder(ColourFinderConfig(closer_looks=2))
    assert any(finder.find(wide, Pixels.RGB, 0) for _ in range(4))


@pytest.mark.parametrize("shape", [(480, 640), (240, 320), (160, 284), (1920, 1080), (64, 64), (20, 900)])
def test_tiles_cover_the_image(shape):
    height, width = shape
    covered = np.zeros(shape, bool)
    for square in closer_looks(height, width)[:-2]:
        left, top, right, bottom = (round(edge) for edge in square.box)
        assert min(left, top) >= 0
        assert right <= width
        assert bottom <= height
        covered[top:bottom, left:right] = True
    assert covered.all()


@pytest.mark.parametrize("shape", [(480, 640, 3), (40, 30, 3), (1, 1, 3)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_nobody_is_found_in_an_even_image(finder, shape, level):
    assert finder.find(np.full(shape, level, np.uint8), Pixels.RGB, 0) == []


def test_nobody_is_found_in_noise(finder):
    assert finder.find(np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8), Pixels.RGB, 0) == []


def test_no_more_people_are_looked_at_than_asked_for(finder, picture):
    crowd = np.tile(picture[:, 100:220], (2, 10, 1))
    assert 2 <= len(finder.find(crowd, Pixels.RGB, 0)) <= finder.config.most


@pytest.mark.parametrize("share", [0, 255])
def test_a_mask_that_is_all_or_nothing_does_not_crash(share):
    points = np.zeros((33, 2), np.float32)
    points[1], points[2] = (10, 0), (0, 10)
    joints = Joints(points, np.ones(33, np.float32), np.zeros((33, 3), np.float32))
    mask = Mask(np.full((8, 8), share, np.uint8), (0, 0, 100, 100))
    assert plausible(Sighting((0, 0, 10, 10), FoundBy.POSE, 1, mask, joints)) is (share == 0)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="most"):
        ColourFinderConfig(most=0)
