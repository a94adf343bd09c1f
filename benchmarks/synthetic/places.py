"""Scenes of people who are cut out and set anywhere into a room, before a camera that stands still or pans.

A pan is drawn as a shift of the whole scene. The seed determines everything, and the truth says where everybody is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic.cutouts import SOLID, Cutout
from benchmarks.synthetic.rooms import COLOUR_FIELD, DEPTH_FIELD, SIZE, STATURE, colour_room, depth_room, distance
from benchmarks.synthetic.scenery import RATE, nanoseconds
from fluxformer_core.people.person import Box
from fluxformer_core.types import SECOND, Pixels

SIZES = (0.25, 0.9)
"""Smallest and largest share of the picture's height that a person takes."""

USUAL = 0.75
"""Share of the picture's height that a person takes in the recordings of the training."""

START = 1_700_000_000 * SECOND
_BEFORE, _AFTER = 0.5, 1.2  # s for which people hold their first and their last pose
_MARGIN = 4  # px between people and to the picture's borders
_ROOM_TO_PAN = 0.2  # share of the picture's width that is left for a pan
_EYES = (0.4, 1.5)  # m: heights of the camera above the floor
_IDLE_TURN = 15.0  # degrees to either side by which the camera turns where nobody acts
_GRAIN = 2.0  # of 255: noise of a colour camera
_DEPTH_NOISE = 0.0016  # m at 1 m; grows with the square of the distance
_NO_READING = 1.6  # standard deviations of noise beyond which a pixel of an outline has no reading
_FIELDS = 8  # noise fields that are drawn in turn


@dataclass(frozen=True)
class Place:
    """Where one person is when the camera looks straight ahead."""

    cutout: Cutout  # in the size that it has in the picture
    share: float  # of the picture's height
    left: int  # px, of the cutout
    top: int  # px

    def box(self, frame: int, offset: int) -> Box:
        """Round the person in a frame of the cutout, when the picture is shifted to the left by `offset` px."""
        rows, columns = np.nonzero(self.cutout.shares[frame] >= SOLID)
        left, top = self.left - offset, self.top
        return (
            float(left + columns.min()),
            float(top + rows.min()),
            float(left + columns.max() + 1),
            float(top + rows.max() + 1),
        )


@dataclass(frozen=True)
class Shot:
    """One image with its truth."""

    stamp: int  # ns
    image: NDArray[Any]
    pixels: Pixels
    boxes: tuple[Box, ...]  # of everybody, px; empty before people are there
    acting: bool  # whether somebody acts


@dataclass(frozen=True)
class Play:
    """A scene: a room, people at their places, and a camera.

    Attributes:
        room: what the camera can see; the first column that it sees when it looks straight ahead is `ahead`.
    """

    room: NDArray[Any]  # depth (H, W) float32 m, or RGB (H, W, 3) uint8
    ahead: int  # px
    people: tuple[Place, ...]
    seed: int
    empty: float = 0.0  # s before people are there
    pan: float = 0.0  # px per second
    sweep: tuple[int, int] = (0, 0)  # px: farthest turns to the left (negative) and to the right
    hold: float = 0.0  # s for which the scene goes on at least
    eye: float = 0.0  # m: height of the camera above the floor

    def offset(self, frame: int) -> int:
        """How far the picture is shifted in a frame, px: to and fro at the speed of the pan, from the middle."""
        left, right = self.sweep
        if self.pan == 0 or left == right:
            return 0
        span = right - left
        way = (self.pan * frame / RATE - left) % (2 * span)
        return left + round(span - abs(way - span))

    def __iter__(self) -> Iterator[Shot]:
        empty, before = round(self.empty * RATE), round(_BEFORE * RATE)
        longest = max((len(place.cutout.shares) for place in self.people), default=0)
        count = max(empty + before + longest + round(_AFTER * RATE), round(self.hold * RATE))
        noise = _Noise(self.room.shape, self.seed)
        for i in range(count):
            offset, here = self.offset(i), self.people if i >= empty else ()
            now = i - empty - before
            frames = [min(max(now, 0), len(place.cutout.shares) - 1) for place in here]
            image, pixels = self._drawn(here, frames, offset, noise.field(i))
            boxes = tuple(place.box(frame, offset) for place, frame in zip(here, frames, strict=True))
            yield Shot(START + nanoseconds(i), image, pixels, boxes, 0 <= now < longest)

    def _drawn(
        self, people: Sequence[Place], frames: Sequence[int], offset: int, noise: NDArray[np.float32]
    ) -> tuple[NDArray[Any], Pixels]:
        start = self.ahead + offset
        image = self.room[:, start : start + SIZE[1]].astype(np.float32)
        depth = image.ndim == 2
        rim = np.zeros(SIZE, bool)
        # Whoever is nearer hides the other.
        for place, frame in sorted(zip(people, frames, strict=True), key=lambda pair: pair[0].share):
            left, top = place.left - offset, place.top
            height, width = place.cutout.reach
            x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, SIZE[1]), min(top + height, SIZE[0])
            if x0 >= x1 or y0 >= y1:
                continue
            own, there = np.s_[y0 - top : y1 - top, x0 - left : x1 - left], np.s_[y0:y1, x0:x1]
            picture, share = place.cutout.pictures[frame][own], place.cutout.shares[frame][own]
            if depth:
                solid = share >= SOLID
                np.copyto(image[there], picture + np.float32(distance(place.share)), where=solid)
                rim[there] |= solid & (share < 255)
            else:
                part = share[..., None].astype(np.float32) / 255
                image[there] += part * (picture - image[there])
        if depth:
            image += _DEPTH_NOISE * noise[..., 0] * image * image
            image[rim & (np.abs(noise[..., 0]) > _NO_READING)] = 0
            return np.round(np.clip(image, 0, 65) * 1000).astype(np.uint16), Pixels.DEPTH
        return np.clip(image + _GRAIN * noise, 0, 255).astype(np.uint8), Pixels.RGB


class _Noise:
    """A few fields of sensor noise, shown in turn."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        channels = 1 if len(shape) == 2 else 3
        self._fields = np.random.default_rng([seed, 5]).standard_normal((_FIELDS, *SIZE, channels), np.float32)

    def field(self, frame: int) -> NDArray[np.float32]:
        return np.asarray(np.roll(self._fields[frame % _FIELDS], 37 * (frame // _FIELDS), axis=1))


def alone(cutout: Cutout, picture: NDArray[np.uint8] | None, seed: int, *, empty: float = 0.0) -> Play:
    """The person alone in the middle, in the size of the training's recordings, before a still camera.

    Args:
        cutout: the person, in any size.
        picture: the room, RGB; None: a depth room, which the seed decides.
        seed: of room and noise.
        empty: seconds before the person is there.
    """
    rng = np.random.default_rng([seed, 1])
    share = min(USUAL, _largest(cutout, SIZE[1]))
    low, high = _eyes(cutout, share)
    place = _place(cutout, share, (low + high) / 2, 0)
    middle = replace(place, left=(SIZE[1] - place.cutout.reach[1]) // 2)
    return Play(_room(picture, SIZE[1], (low + high) / 2, rng), 0, (middle,), seed, empty)


def anywhere(
    cutouts: Sequence[Cutout], picture: NDArray[np.uint8] | None, seed: int, *, empty: float = 0.0, pan: float = 0.0
) -> Play:
    """One person, or two beside each other, in random sizes at random places, wholly inside the picture.

    Args:
        cutouts: one or two people, in any size.
        picture: the room, RGB; None: a depth room, which the seed decides.
        seed: of everything.
        empty: seconds before people are there.
        pan: degrees per second by which the camera turns, to and fro so that everybody stays in the picture.
    """
    rng = np.random.default_rng([seed, 2])
    stage = SIZE[1] * (1 - _ROOM_TO_PAN * (pan > 0))
    shares: list[float] = []
    low, high = _EYES
    free = stage - _MARGIN * (len(cutouts) - 1)
    for i, cutout in enumerate(cutouts):
        others = sum(other.scaled(SIZES[0] * SIZE[0]).reach[1] for other in cutouts[i + 1 :])
        share = float(rng.uniform(SIZES[0], max(SIZES[0], min(SIZES[1], _largest(cutout, free - others)))))
        # Two people may need cameras at different heights, unless one of them is farther away.
        while share > SIZES[0] and max(low, _eyes(cutout, share)[0]) > min(high, _eyes(cutout, share)[1]):
            share = max(SIZES[0], 0.9 * share)
        low, high = max(low, _eyes(cutout, share)[0]), min(high, _eyes(cutout, share)[1])
        shares.append(share)
        free -= cutout.scaled(share * SIZE[0]).reach[1]
    eye = float(rng.uniform(low, high))
    order = rng.permutation(len(cutouts))
    gaps = np.diff([0.0, *np.sort(rng.uniform(0, max(free, 0), len(cutouts)))])
    places: list[Place | None] = [None] * len(cutouts)
    left = (SIZE[1] - stage) / 2
    for i, gap in zip(order, gaps, strict=True):
        placed = _place(cutouts[i], shares[i], eye, round(left + gap))
        places[i] = placed
        left += gap + placed.cutout.reach[1] + _MARGIN
    people = tuple(place for place in places if place is not None)
    sweep = (0, 0)
    if pan:
        right = max(place.left + place.cutout.reach[1] for place in people)
        sweep = right - SIZE[1], min(place.left for place in people)
    return _play(people, picture, eye, seed, rng, sweep=sweep, pan=pan, empty=empty)


def idle(cutout: Cutout | None, picture: NDArray[np.uint8] | None, seed: int, *, seconds: float, pan: float) -> Play:
    """Nobody acts: an empty room or a person who stands still, while the camera turns to and fro.

    Args:
        cutout: the person; None: the room is empty.
        picture: the room, RGB; None: a depth room, which the seed decides.
        seed: of everything.
        seconds: duration.
        pan: degrees per second.
    """
    rng = np.random.default_rng([seed, 3])
    people: tuple[Place, ...] = ()
    eye = float(rng.uniform(0.8, 1.0))
    if cutout is not None:
        scene = anywhere([cutout.still()], picture, seed)
        people, eye = scene.people, scene.eye
    turn = round(_IDLE_TURN * _pixels_per_degree(picture))
    return _play(people, picture, eye, seed, rng, sweep=(-turn, turn), pan=pan, hold=seconds)


def _play(
    people: tuple[Place, ...],
    picture: NDArray[np.uint8] | None,
    eye: float,
    seed: int,
    rng: np.random.Generator,
    *,
    sweep: tuple[int, int],
    pan: float,
    empty: float = 0.0,
    hold: float = 0.0,
) -> Play:
    sweep = min(sweep[0], 0), max(sweep[1], 0)
    room = _room(picture, SIZE[1] + sweep[1] - sweep[0], eye, rng)
    speed = pan * _pixels_per_degree(picture)
    return Play(room, -sweep[0], people, seed, empty=empty, pan=speed, sweep=sweep, hold=hold, eye=eye)


def _room(picture: NDArray[np.uint8] | None, width: int, eye: float, rng: np.random.Generator) -> NDArray[Any]:
    return depth_room(width, eye, rng) if picture is None else colour_room(picture, width)


def _pixels_per_degree(picture: NDArray[np.uint8] | None) -> float:
    return SIZE[1] / (DEPTH_FIELD if picture is None else COLOUR_FIELD)


def _largest(cutout: Cutout, width: float) -> float:
    """Largest share of the picture's height with which all movement fits into the picture and into a width in px."""
    height, across = cutout.reach
    zoom = min((SIZE[0] - 2 * _MARGIN) / height, (width - 2 * _MARGIN) / across)
    return zoom * cutout.tall / SIZE[0]


def _eyes(cutout: Cutout, share: float) -> tuple[float, float]:
    """Smallest and largest height of the camera, m, with which the person is inside the picture from head to feet."""
    metre = share * SIZE[0] / STATURE  # px of a metre where the person stands
    reach = cutout.reach[0] * share * SIZE[0] / cutout.tall
    half = SIZE[0] / 2 - _MARGIN
    return (reach - half) / metre, half / metre


def _place(cutout: Cutout, share: float, eye: float, left: int) -> Place:
    scaled = cutout.scaled(share * SIZE[0])
    feet = SIZE[0] / 2 + share * SIZE[0] * eye / STATURE
    return Place(scaled, share, left, round(feet) - scaled.reach[0])
