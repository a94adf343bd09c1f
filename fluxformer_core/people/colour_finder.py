"""Find people in colour images by the pose nets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fluxformer_core.declared import check
from fluxformer_core.images import to_rgb
from fluxformer_core.people.person import Box, FoundBy, Joints, Mask, Sighting
from fluxformer_core.people.pose_detector import Detection, PoseDetector, overlap
from fluxformer_core.people.pose_landmarker import PoseLandmarker
from fluxformer_core.people.rotated_square import RotatedSquare
from fluxformer_core.types import Pixels

_OVERLAP = 0.5  # intersection over union from which two boxes are the same person
_VISIBLE = 0.5  # visibility from which a joint counts
_SOLID = 128  # of 255: share from which a pixel counts as the person's
_MOST_FLESH = 3.0  # area of the mask relative to the hull of the joints; blankets and hanging clothes have more
_TILE = 2 / 3  # side of a tile relative to the image's shorter side


@dataclass(frozen=True)
class ColourFinderConfig:
    """Settings of finding people in colour images.

    Raises:
        ConfigError: if a field is outside its range.
    """

    least_score: Annotated[float, Field(ge=0.05, le=1)] = 0.3  # of a detection in the whole image or in a search
    least_close_score: Annotated[float, Field(ge=0.05, le=1)] = 0.5  # of a detection in a closer look
    least_presence: Annotated[float, Field(ge=0, le=1)] = 0.5  # of a person in the square
    most: Annotated[int, Field(ge=1, le=64)] = 6  # detections looked at in one image, the surest
    closer_looks: Annotated[int, Field(ge=0, le=64)] = 1  # at parts of the image, in turn, in each `find`
    threads: Annotated[int, Field(ge=1, le=64)] = 2  # CPU threads of one net: half the delay for the same work

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class PoseSighting(Sighting):
    """A sighting by the pose nets, with the square in which to look next."""

    square: RotatedSquare = field(kw_only=True)

    def moved(self, camera: NDArray[np.float64], shift: NDArray[np.float64]) -> PoseSighting:
        """The person after the camera and the person have moved; see `Sighting.moved`."""
        return replace(super().moved(camera, shift), square=self.square.moved(camera, shift))


class ColourFinder:
    """Finds people by the pose nets. See `Finder`; `pixels` may be anything but depth.

    The detector sees an image at 224 px, in which people of less than 40 % of the image's height are too small, and it
    expects heads above hips. `find` therefore also takes closer looks, in turn: at overlapping tiles, and at the image
    turned left and right for people who lie.

    Raises:
        PeopleError: if LiteRT or a net is missing or damaged.
    """

    each_image = False

    def __init__(self, config: ColourFinderConfig | None = None) -> None:
        self.config = config or ColourFinderConfig()
        self._detector = PoseDetector(self.config.least_score, self.config.threads)
        self._landmarker = PoseLandmarker(self.config.threads)
        self.reset()

    def reset(self) -> None:
        """Begin the turns of closer looks anew."""
        self._turn = 0  # number of the next closer look

    def find(self, image: NDArray[Any], pixels: Pixels, stamp: int, known: Sequence[Sighting] = ()) -> list[Sighting]:
        """Look at a whole image, and at some parts of it, for people who are not known; the surest first."""
        rgb = to_rgb(image, pixels)
        return self._new_people(rgb, self._detector(rgb, whole(*rgb.shape[:2])) + self._closer(rgb), known)

    def search(self, image: NDArray[Any], pixels: Pixels, box: Box) -> list[Sighting]:
        """Look closely at a part of an image: upright, and turned both ways if nobody is found; the surest first."""
        rgb = to_rgb(image, pixels)
        square = RotatedSquare.of_box(box)
        sightings = self._new_people(rgb, self._detector(rgb, square))
        turned = (found for way in turned_squares(square) for found in self._detector(rgb, way))
        return sightings or self._new_people(rgb, turned)

    def look(self, image: NDArray[Any], pixels: Pixels, last: Sighting) -> Sighting | None:
        """Look at the square of a person who was seen before; None: no person is there any longer."""
        square = last.square if isinstance(last, PoseSighting) else RotatedSquare.of_box(last.box)
        return self._look(to_rgb(image, pixels), square)

    def _closer(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """Sure detections in the next parts of the image."""
        looks = closer_looks(*rgb.shape[:2])
        turns = range(self._turn, self._turn + min(self.config.closer_looks, len(looks)))
        self._turn = turns.stop % len(looks)
        found = [detection for turn in turns for detection in self._detector(rgb, looks[turn % len(looks)])]
        return [detection for detection in found if detection.score >= self.config.least_close_score]

    def _new_people(
        self, rgb: NDArray[np.uint8], detections: Iterable[Detection], known: Sequence[Sighting] = ()
    ) -> list[Sighting]:
        """The people of some detections who are not known, the surest first."""
        new: list[Sighting] = []
        squares = [found.square for found in sorted(detections, key=lambda found: -found.score)]
        for square in [square for square in squares if not _known(square, known)][: self.config.most]:
            if person := self._new_person(rgb, square, (*known, *new)):
                new.append(person)
        return sorted(new, key=lambda person: -person.score)

    def _new_person(
        self, rgb: NDArray[np.uint8], square: RotatedSquare, known: Sequence[Sighting]
    ) -> PoseSighting | None:
        """The person in a square who is not known, if they are seen twice: again in the square after the first look."""
        first = None if _known(square, known) else self._look(rgb, square)
        second = None if first is None or _known(first.square, known) else self._look(rgb, first.square)
        if second is None or not plausible(second) or any(_overlapping(second, other) for other in known):
            return None
        return second

    def _look(self, rgb: NDArray[np.uint8], square: RotatedSquare) -> PoseSighting | None:
        pose = self._landmarker(rgb, square)
        box = _around(pose.joints, pose.mask, rgb.shape)
        if pose.presence < self.config.least_presence or box is None:
            return None
        return PoseSighting(box, FoundBy.POSE, pose.presence, pose.mask, pose.joints, square=pose.square)


def whole(height: int, width: int) -> RotatedSquare:
    """The square round an image."""
    return RotatedSquare(width / 2, height / 2, max(height, width))


def turned_squares(square: RotatedSquare) -> tuple[RotatedSquare, RotatedSquare]:
    """The square turned left and right by a right angle."""
    return replace(square, angle=square.angle - math.pi / 2), replace(square, angle=square.angle + math.pi / 2)


def closer_looks(height: int, width: int) -> list[RotatedSquare]:
    """Squares for closer looks at an image: tiles that overlap by half at least, and the turned image."""
    side = _TILE * min(height, width)
    middles = []
    for length in (height, width):
        count = math.ceil((length - side) / (side / 2) - 1e-6) + 1
        middles.append(np.linspace(side / 2, length - side / 2, count).tolist())
    return [*(RotatedSquare(x, y, side) for y, x in product(*middles)), *turned_squares(whole(height, width))]


def plausible(sighting: Sighting) -> bool:
    """Whether the outline is no larger than a body with such joints."""
    if sighting.mask is None or sighting.joints is None:
        return False
    seen = sighting.joints.points[sighting.joints.visibility >= _VISIBLE]
    left, top, right, bottom = sighting.mask.box
    pixel = (right - left) * (bottom - top) / sighting.mask.share.size  # px of the image
    flesh = np.count_nonzero(sighting.mask.share >= _SOLID) * pixel
    return len(seen) > 2 and float(flesh) <= _MOST_FLESH * cv2.contourArea(cv2.convexHull(seen))


def _around(joints: Joints, mask: Mask, shape: tuple[int, ...]) -> Box | None:
    """The box round the visible joints and the mask, within the image; None if nothing of them is in the image."""
    left, top, right, bottom = mask.box
    solid = mask.share >= _SOLID
    columns, rows = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    corners = joints.points[joints.visibility >= _VISIBLE]
    if len(columns):
        ends = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]]) / solid.shape[::-1]
        corners = np.concatenate([corners, (left, top) + ends * (right - left, bottom - top)])
    if not len(corners):
        return None
    limit = (shape[1], shape[0])
    low, high = np.clip(corners.min(axis=0), 0, limit), np.clip(corners.max(axis=0), 0, limit)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1])) if (high - low).min() >= 1 else None


def _known(square: RotatedSquare, people: Iterable[Sighting]) -> bool:
    return any(isinstance(person, PoseSighting) and square.near(person.square) for person in people)


def _overlapping(one: Sighting, other: Sighting) -> bool:
    return bool(overlap(np.reshape(one.box, (2, 2)), np.reshape(other.box, (1, 2, 2)))[0] > _OVERLAP)
