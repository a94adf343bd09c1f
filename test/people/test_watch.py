"""The watch over everybody in view, with a finder that knows where people are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers import small_bundle, texture

from fluxformer_core.people.depth import DepthFinder
from fluxformer_core.people.person import FoundBy, Joints, Mask, Sighting
from fluxformer_core.people.tracker import PeopleConfig
from fluxformer_core.people.watch import MEMORY, PeopleWatch
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.prepare import shrink
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Pixels, State

PERIOD = SECOND // 20
HEIGHT, WIDTH = 240, 320
WIDE_ROOM = np.repeat(texture(HEIGHT, 4 * WIDTH)[..., None], 3, axis=2)
CLOTHES = np.repeat(texture(120, 40, seed=3)[..., None], 3, axis=2)


class Told:
    """A finder that is told who is where."""

    each_image = False

    def reset(self) -> None:
        pass

    def __init__(self) -> None:
        self.there: list[Sighting] = []
        self.finds = self.searches = 0

    def find(self, _image: np.ndarray, _pixels: Pixels, _stamp: int, _known: Sequence[Sighting] = ()) -> list[Sighting]:
        self.finds += 1
        return self.there

    def search(self, *_image: object) -> list[Sighting]:
        self.searches += 1
        return []

    def look(self, _image: np.ndarray, _pixels: Pixels, last: Sighting) -> Sighting | None:
        near = [s for s in self.there if abs(s.box[0] - last.box[0]) < 60]
        return near[0] if near else None


def body(left: float, top: float = 60.0, share: int = 255) -> Sighting:
    box = (left, top, left + 40, top + 120)
    return Sighting(box, FoundBy.POSE, mask=Mask(np.full((60, 20), share, np.uint8), box))


def view(offset: int, *people: Sighting) -> np.ndarray:
    """What a camera that looks along a wide room sees; people are where they are in the image."""
    image = WIDE_ROOM[:, offset : offset + WIDTH].copy()
    for who in people:
        left, top, right, bottom = (round(edge) for edge in who.box)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, WIDTH), min(bottom, HEIGHT)
        if x0 < x1 and y0 < y1:
            image[y0:y1, x0:x1] = CLOTHES[y0 - top : y1 - top, x0 - left : x1 - left]
    return image


def recognizer(told: Told, **changes: object) -> Recognizer:
    return Recognizer(small_bundle(), RecognizerConfig(view="person", recognition_rate=10.0, **changes), finder=told)


def test_a_panning_camera_sets_nobody_in_motion() -> None:
    told, energies = Told(), []
    watched = recognizer(told)
    for index in range(30):
        offset = 8 * index  # px: 30 degrees per second for a lens of 60 degrees
        told.there = [body(300 - offset)] if offset < 280 else []
        watched.push(view(offset, *told.there), SECOND + index * PERIOD)
        if (stream := watched.stream_of()) is not None and len(stream.window) > 3:
            energies.append(float(stream.window.energy[-1]))
    assert len(energies) > 20
    assert np.median(energies) < 0.05
    assert watched.model.spec.view == "scene"
    assert [view.person_id for view in watched.views] in ([], ["1"])


def test_known_people_are_looked_at_in_every_image_and_searched_for_now_and_then() -> None:
    told = Told()
    watch = PeopleWatch(told, PeopleConfig(search_period=0.5))
    told.there = [body(100)]
    for index in range(41):
        watch.observe(view(0, *told.there), Pixels.RGB, SECOND + index * PERIOD)
    assert told.finds == watch.searches == 5
    assert watch.looks == 40
    assert [track.id for track in watch.people] == ["1"]


def test_what_moves_and_cannot_be_found_is_looked_at_without_an_outline_until_it_is_found() -> None:
    told, said = Told(), []
    watched = recognizer(told)
    for index in range(50):
        ghost = body(20 + 4 * index)
        told.there = [ghost] if index >= 30 else []
        said += watched.push(view(0, ghost), SECOND + index * PERIOD).recognitions
        if index == 29:
            left, _, side = watched.views[0].square
            assert left < ghost.box[0] < ghost.box[2] < left + side
            assert watched.stream_of().window.frames[-1].min(axis=2).all(), "nothing is cut out"
    assert told.searches > 0
    assert said[0].state is State.NOBODY
    found = [recognition.found_by for recognition in said if recognition.person_id]
    assert found == sorted(found) == ["motion"] * found.count("motion") + ["pose"] * found.count("pose")
    assert min(found.count("motion"), found.count("pose")) > 3
    assert {recognition.person_id for recognition in said} == {"", "1"}, "it is the same one"


def test_what_moves_and_stops_is_forgotten() -> None:
    watched = recognizer(Told())
    for index in range(60):
        update = watched.push(view(0, body(20 + 4 * min(index, 20))), SECOND + index * PERIOD)
        if index == 20:
            assert len(watched.views) == 1
    assert watched.views == ()
    assert {recognition.state for recognition in update.recognitions} <= {State.NOBODY}


def test_in_an_empty_room_that_flickers_nobody_is_seen() -> None:
    watched, rng, states = recognizer(Told()), np.random.default_rng(0), set()
    for index in range(60):
        noisy = np.clip(view(0).astype(int) + rng.normal(0, 4, (HEIGHT, WIDTH, 1)) + 10 * (index % 2), 0, 255)
        states |= {r.state for r in watched.push(noisy.astype(np.uint8), SECOND + index * PERIOD).recognitions}
    assert states == {State.NOBODY}


@pytest.mark.parametrize("step", [(8, 0), (-8, 0), (0, 8), (0, -8)], ids=["right", "left", "below", "above"])
def test_who_leaves_through_a_border_is_forgotten(step: tuple[int, int]) -> None:
    told = Told()
    watched = recognizer(told)
    for index in range(80):
        who = body(140 + step[0] * index, 60 + step[1] * index)
        left, top, right, bottom = who.box
        told.there = [who] if right > 10 and bottom > 10 and left < WIDTH - 10 and top < HEIGHT - 10 else []
        update = watched.push(view(0, who), SECOND + index * PERIOD)
        for recognition in update.recognitions:
            if recognition.region is not None:
                x0, y0, x1, y1 = recognition.region
                assert 0 <= x0 < x1 <= WIDTH
                assert 0 <= y0 < y1 <= HEIGHT
    assert watched.views == ()


@pytest.mark.parametrize("share", [0, 255])
def test_a_mask_of_all_or_nothing_harms_nothing(share: int) -> None:
    told = Told()
    watched = recognizer(told)
    for index in range(30):
        told.there = [body(100, share=share)]
        watched.push(view(0, *told.there), SECOND + index * PERIOD)
    assert watched.stream_of("1").window.frames.any() == bool(share)


def test_joints_that_jump_and_sudden_dark_harm_nothing() -> None:
    told, rng = Told(), np.random.default_rng(0)
    watched = recognizer(told)
    for index in range(40):
        joints = Joints(*(rng.uniform(-1e4, 1e4, shape).astype(np.float32) for shape in ((33, 2), 33, (33, 3))))
        told.there = [replace(body(rng.uniform(80, 120)), joints=joints)]
        image = view(0, *told.there)
        watched.push(image if index < 20 else image // 64, SECOND + index * PERIOD)
    assert np.isfinite(watched.stream_of("1").window.flow).all()


def test_twenty_people_at_once_are_too_many_and_counted() -> None:
    told = Told()
    watched = recognizer(told)
    told.there = [body(70.0 * i) for i in range(20)]
    for index in range(10):
        watched.push(view(0), SECOND + index * PERIOD)
    assert len(watched.views) == 3
    assert watched.people.tracker.ignored > 0


def test_images_are_remembered_for_a_moment_only() -> None:
    told = Told()
    watch = PeopleWatch(told, PeopleConfig())
    told.there = [body(100)]
    for index in range(20):
        watch.observe(view(0, *told.there), Pixels.RGB, SECOND + index * PERIOD)
    (track,) = watch.people
    spec = small_bundle().spec

    def prepare(square: np.ndarray) -> np.ndarray:
        return shrink(square, Pixels.RGB, spec)

    now = SECOND + 19 * PERIOD
    assert watch.show(track, now, prepare).shape == (spec.size, spec.size, 3)
    assert watch.show(track, now - round(MEMORY * SECOND), prepare) is not None
    assert watch.show(track, now - round(MEMORY * SECOND) - PERIOD, prepare) is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2000, 4)])
def test_an_image_smaller_than_any_net_harms_nothing(shape: tuple[int, int]) -> None:
    watched = recognizer(Told())
    for index in range(5):
        watched.push(np.full((*shape, 3), 7 * index, np.uint8), SECOND + index * PERIOD)


def test_who_is_known_to_a_depth_camera_may_stand_still_for_long() -> None:
    watch, room = PeopleWatch(DepthFinder(), PeopleConfig()), np.full((HEIGHT, WIDTH), 4000, np.uint16)
    for index in range(200):  # 40 s at 5 Hz, twice the time in which furniture becomes background
        image = room.copy()
        if index > 3:
            cv2.ellipse(image, (60 + 10 * min(index, 10), 130), (25, 80), 0, 0, 360, 2000, -1)
        watch.observe(image, Pixels.DEPTH, SECOND + index * SECOND // 5)
    assert [(track.id, track.seen) for track in watch.people] == [("1", SECOND + 199 * SECOND // 5)]


def test_readings_of_depth_that_come_and_go_are_nobody() -> None:
    watched, rng = Recognizer(small_bundle(), RecognizerConfig(view="person")), np.random.default_rng(0)
    room = np.full((HEIGHT, WIDTH), 4000, np.uint16)
    room[150:, 100:220] = 2500
    states = set()
    for index in range(60):
        image = room + rng.normal(0, 20, room.shape).astype(np.int16).astype(np.uint16)
        image[147:153, 97:223][rng.random((6, 126)) < 0.5] = 0
        states |= {r.state for r in watched.push(image, SECOND + index * PERIOD, Pixels.DEPTH).recognitions}
    assert states == {State.NOBODY}


def test_depth_images_are_followed_too() -> None:
    watched = Recognizer(small_bundle(), RecognizerConfig(view="person"))
    room = np.full((HEIGHT, WIDTH), 4000, np.uint16)
    seen = set()
    for index in range(60):
        image = room.copy()
        if index > 20:
            cv2.ellipse(image, (60 + 3 * index, 130), (25, 80), 0, 0, 360, 2000, -1)
        update = watched.push(image, SECOND + index * PERIOD, Pixels.DEPTH)
        seen |= {(r.found_by, round(r.distance, 1)) for r in update.recognitions if r.person_id}
    assert seen == {("depth", 2.0)}
