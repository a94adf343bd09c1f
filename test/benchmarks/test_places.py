"""Composed scenes: people are where the truth says, and a pan moves the room by what it says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.synthetic import cutouts
from benchmarks.synthetic.cutouts import Cutout, cut_out
from benchmarks.synthetic.naming import _whose
from benchmarks.synthetic.places import USUAL, Play, alone, anywhere, idle
from benchmarks.synthetic.rooms import COLOUR_FIELD, DEPTH_FIELD, SIZE, distance
from benchmarks.synthetic.scenery import RATE
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.types import Pixels, Recognition, State

BLACK = np.zeros((120, 160, 3), np.uint8)


def person(label: str, *, depth: bool = False, wide: int = 60) -> Cutout:
    """A bright trunk of 100 px with an arm that moves up, 24 frames."""
    shares = []
    for i in range(24):
        share = np.zeros((110, wide), np.uint8)
        share[10:, wide // 2 - 10 : wide // 2 + 10] = 255
        share[40 - i : 50 - i, wide // 2 :] = 255
        shares.append(share)
    shape = (110, wide) if depth else (110, wide, 3)
    picture = np.zeros(shape, np.float32) if depth else np.full(shape, 255, np.uint8)
    return Cutout(label, (picture,) * 24, tuple(shares))


WAVE, CLAP = person("wave"), person("clap", wide=80)


def box_of(seen: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(seen)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("pan", [0.0, 30.0])
def test_a_person_is_where_the_truth_says(pan):
    play = anywhere([WAVE], BLACK, seed=4, pan=pan)
    shots = list(play)
    assert sum(shot.acting for shot in shots) == len(play.people[0].cutout.shares)
    for shot in shots[::9]:
        assert shot.pixels is Pixels.RGB
        np.testing.assert_allclose(box_of(shot.image[..., 1] > 127), shot.boxes[0], atol=1)


def test_a_person_in_depth_is_at_the_distance_of_their_size():
    play = anywhere([person("wave", depth=True)], None, seed=1)
    shot = next(iter(play))
    left, top, right, bottom = (round(edge) for edge in shot.boxes[0])
    assert shot.pixels is Pixels.DEPTH
    assert shot.image.dtype == np.uint16
    middle = shot.image[top:bottom, left:right].astype(float)
    assert np.abs(middle / 1000 - distance(play.people[0].share)).min() < 0.05
    assert np.median(shot.image[:100]) / 1000 > distance(0.25)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pan", [0.0, 30.0])
def test_two_people_are_inside_the_picture_and_apart_in_every_frame(seed, pan):
    people = [WAVE, CLAP]
    play = anywhere(people, BLACK, seed, pan=pan)
    assert all(0.2 < place.share < 0.91 for place in play.people)
    for i in range(0, 60, 5):
        offset = play.offset(i)
        edges = sorted((p.left - offset, p.left - offset + p.cutout.reach[1]) for p in play.people)
        assert edges[0][0] >= 0
        assert edges[0][1] <= edges[1][0]
        assert edges[1][1] <= SIZE[1]
    assert all(place.top >= 0 and place.top + place.cutout.reach[0] <= SIZE[0] for place in play.people)


def test_alone_means_in_the_middle_in_the_usual_size():
    (place,) = alone(CLAP, BLACK, seed=0).people
    assert place.share == pytest.approx(USUAL)
    assert place.left + place.cutout.reach[1] / 2 == pytest.approx(SIZE[1] / 2, abs=1)
    assert place.cutout.tall == pytest.approx(USUAL * SIZE[0], abs=3)


@pytest.mark.parametrize(("picture", "field"), [(BLACK, COLOUR_FIELD), (None, DEPTH_FIELD)])
def test_a_pan_moves_the_room_by_what_it_says_to_and_fro(picture, field):
    play = idle(None, picture, 2, seconds=4.0, pan=30.0)
    offsets = np.array([play.offset(i) for i in range(round(8 * RATE))])
    assert offsets[0] == 0
    assert offsets.min() >= play.sweep[0]
    assert offsets.max() <= play.sweep[1]
    steps = np.abs(np.diff(offsets))
    wanted = 30.0 / RATE * SIZE[1] / field
    assert np.median(steps) == pytest.approx(wanted, abs=1)
    assert abs(np.abs(offsets[10]) - 10 * wanted) <= 1


def test_the_camera_sees_the_part_of_the_room_that_the_pan_says():
    room = np.tile(np.arange(900, dtype=np.uint8)[None, :, None] // 4, (SIZE[0], 1, 3))
    play = Play(room, 100, (), seed=0, pan=200.0, sweep=(-100, 160), hold=1.0)
    for i, shot in enumerate(play):
        start = 100 + play.offset(i)
        off = shot.image[:, :, 0].astype(float).mean(axis=0) - room[0, start : start + SIZE[1], 0]
        assert np.abs(off[room[0, start : start + SIZE[1], 0] > 10]).max() < 2


def test_the_same_seed_makes_the_same_scene():
    first, second = (list(anywhere([WAVE], BLACK, seed=5)) for _ in range(2))
    assert all(np.array_equal(one.image, two.image) for one, two in zip(first[::10], second[::10], strict=True))


def test_nobody_is_there_before_they_come():
    shots = list(alone(CLAP, BLACK, seed=0, empty=0.5))
    assert [bool(shot.boxes) for shot in shots[:12]] == [False] * 10 + [True] * 2


def test_a_recognition_belongs_to_whom_its_region_overlaps():
    boxes = ((0.0, 0.0, 50.0, 100.0), (60.0, 0.0, 110.0, 100.0))

    def said(region: tuple[int, int, int, int] | None, person: str = "1") -> Recognition:
        return Recognition(0, 0, 0, State.IDLE, person_id=person, region=region)

    assert _whose(said((2, 5, 48, 95)), boxes) == 0
    assert _whose(said((62, 5, 90, 30)), boxes) == 1, "an arm counts"
    assert _whose(said((300, 5, 348, 95)), boxes) is None
    assert _whose(said(None, ""), boxes) == 0, "the whole scene speaks of the first person"


def test_the_actor_is_cut_out_along_the_outline(monkeypatch):
    monkeypatch.setattr(cutouts, "_STAGE", (96, 256))  # a small picture is soon drawn
    cutout = cut_out(ActorClip("wave", 3, "colour"))
    assert len(cutout.pictures) == len(cutout.shares) > RATE
    assert cutout.pictures[0].shape[:2] == cutout.reach == cutout.shares[0].shape
    assert 60 < cutout.tall <= cutout.reach[0]
    assert 0.1 < np.mean(cutout.shares[0] >= 128) < 0.6
