"""People in depth images: connected surfaces that stand out of a slowly learnt background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fluxformer_core.declared import check
from fluxformer_core.people.background import DepthBackground, noise_margin, turned
from fluxformer_core.people.person import Box, FoundBy, Mask, Sighting
from fluxformer_core.people.surfaces import Surface, join_parts, joined, pieces, split_pair, upright
from fluxformer_core.types import SECOND, Pixels

_WIDTH = 160  # px: images are thinned out to about this width
_NEAREST_GREY, _FARTHEST_GREY = 255.0, 64.0  # of pictures of depth; much darker is no reading
_NEAR, _FAR = 0.5, 4.5  # m: what these grey levels are taken for, as pictures do not tell
_PICTURE_NOISE = 0.06  # m: margin on top of the sensor's, for the 2 cm steps and the compression of pictures
_JUMP, _PICTURE_JUMP = 0.3, 0.9  # m of depth between two neighbouring pixels of different people
_SPARSE = 0.5  # share of the picture with readings, below which what is seen at the start may be a person
_UPSET = 0.75  # share of the background that is hidden, from which the camera, and not a person, has moved
_SETTLED = 0.5  # s after a turn of the camera in which nothing is found
_LIMB = 0.01  # m2 of a surface that moves before the resting surface that it belongs to counts as a person
_TALLEST, _WIDEST = 2.4, 2.6  # m
_PICTURE_SLACK = 2.0  # times as tall and wide may be who is shown in a picture of unknown scale
_REACH = 0.6  # m between the middles of a resting body and of the limb that moves
_NARROWEST, _LOWEST, _SLENDER = 0.2, 0.7, 1.25  # m, m, height per width: a resting body at least


@dataclass(frozen=True)
class DepthConfig:
    """Settings of finding people in depth.

    Raises:
        ConfigError: if a field is outside its range.
    """

    field_of_view: Annotated[float, Field(ge=10, le=150)] = 58.0  # degrees: horizontal, of the depth camera
    learning_time: Annotated[float, Field(ge=1, le=3600)] = 20.0  # s until what is new and rests is background
    smallest: Annotated[float, Field(gt=0, le=10)] = 0.12  # m2 of surface that a person shows at least
    largest: Annotated[float, Field(gt=0, le=100)] = 2.5  # m2 of surface that a person shows at most

    def __post_init__(self) -> None:
        check(self)


class DepthFinder:
    """Finds people in the images of one depth camera that stands still, or in pictures of depth.

    Images are thinned out to 160 px of width, because a person is large and averages of depths lie nowhere. A person is
    a surface that is nearer than the background by more than the sensor's noise, has no jump in depth, and has a
    plausible size. A person who stood before the camera at the start comes out when a limb moves. Nobody is found while
    the camera turns, as far as the depth shows the turn.
    Pictures of depth have no scale: sizes are judged generously, as if the greys covered 0.5 to 4.5 m, and the distance
    is NaN.

    Args:
        config: settings.
    """

    each_image = True

    def __init__(self, config: DepthConfig | None = None) -> None:
        self.config = config or DepthConfig()
        self._background: DepthBackground | None = None
        self._format: tuple[tuple[int, ...], Pixels] | None = None
        self._before: NDArray[np.float32] | None = None  # the image before
        self._turned = -SECOND  # ns: when the camera turned last

    def search(self, image: NDArray[np.generic], pixels: Pixels, box: Box) -> list[Sighting]:
        """Nobody: `find` has seen everybody."""
        return []

    def look(self, image: NDArray[np.generic], pixels: Pixels, last: Sighting) -> Sighting | None:
        """None: `find` sees everybody in each image."""
        return None

    def reset(self) -> None:
        """Forget the background, as after a motion of the camera."""
        self._background = None

    def find(
        self, image: NDArray[np.generic], pixels: Pixels, stamp: int, known: Sequence[Sighting] = ()
    ) -> list[Sighting]:
        """Find people, the one with the largest surface first.

        Args:
            image: depth (H, W), or a picture of depth: uint8, near is bright, and 0 is no reading.
            pixels: how to read the image.
            stamp: ns, later than the one before.
            known: who is followed; a known person who rests becomes background ten times as slowly.
        """
        if self._format != (image.shape, pixels):
            self._format, self._background = (image.shape, pixels), None
            self._before = None
        step = max(1, round(image.shape[1] / _WIDTH))
        metres = _metres(image[::step, ::step], pixels)
        focal = metres.shape[1] / 2 / math.tan(math.radians(self.config.field_of_view) / 2)
        picture = self._picture
        jump = _PICTURE_JUMP if picture else _JUMP
        covered = _covered(known, metres.shape, step)
        before, self._before = self._before, metres
        if self._background is not None and before is not None and turned(before, metres, covered):
            self._turned = stamp
        if stamp - self._turned < _SETTLED * SECOND:
            self._background = None
        if self._background is None:
            self._background = DepthBackground(metres, stamp, self.config.learning_time)
            if (metres > 0).mean() < _SPARSE:
                for island in pieces(metres > 0, metres, jump, focal):
                    if self._plausible(island):
                        self._background.uncover(island.pixels)
        background = self._background
        margin = noise_margin(metres) + (_PICTURE_NOISE if picture else 0)
        # Readings at the rim of a surface jump between front and back: the nearest background around a pixel counts.
        nearest = cv2.erode(background.depth, np.ones((3, 3), np.uint8))
        nearer = (metres > 0) & (metres < nearest - margin)
        walled = np.isfinite(background.depth)
        if (nearer & walled).sum() > _UPSET * max(walled.sum(), _SPARSE * metres.size):
            self._background = DepthBackground(metres, stamp, self.config.learning_time)
            return []
        found, loose = join_parts(pieces(nearer, metres, jump, focal), self._smallest)
        found += self._uncovered(loose, found, metres, jump, stamp)
        people = [person for whole in found for person in split_pair(whole) if self._plausible(person)]
        people.sort(key=lambda person: -int(person.pixels.sum()))
        background.learn(metres, covered, stamp)
        return [_sighting(person, step, image.shape, math.nan if picture else person.depth) for person in people]

    @property
    def _picture(self) -> bool:
        return self._format is not None and self._format[1] is not Pixels.DEPTH

    def _uncovered(
        self, loose: list[Surface], found: list[Surface], metres: NDArray[np.float32], jump: float, stamp: int
    ) -> list[Surface]:
        """People who were taken for background: resting surfaces of whom a limb moves."""
        if self._background is None or not loose:
            return []
        fresh = self._background.fresh(stamp)
        limbs = [piece for piece in loose if piece.area >= _LIMB and fresh[piece.pixels].mean() > 0.5]
        limbs = [limb for limb in limbs if not any(limb.touches(person) for person in found)]
        if not limbs:
            return []
        free = upright(metres, limbs[0].focal)
        for person in found:
            free &= ~person.pixels
        resting = pieces(free, metres, jump, limbs[0].focal)
        bodies = [whole for whole in resting if self._plausible(whole) and _is_body(whole)]
        small = [piece for piece in resting if piece.area < self._smallest]
        people = []
        for limb in limbs:
            own = [body for body in bodies if abs(body.depth - limb.depth) < _REACH and body.touches(limb)]
            if own:
                body = min(own, key=lambda body: abs(body.depth - limb.depth))
                bodies = [other for other in bodies if other is not body]
                parts = [part for part in small if abs(part.depth - body.depth) < _REACH and body.touches(part)]
                person = reduce(joined, parts, body)
                self._background.uncover(person.pixels)
                people.append(joined(person, limb))
        return people

    @property
    def _smallest(self) -> float:
        """Square metres; in pictures, which have no scale, much less."""
        return self.config.smallest / (_PICTURE_SLACK if self._picture else 1.0) ** 3

    def _plausible(self, found: Surface) -> bool:
        slack = _PICTURE_SLACK if self._picture else 1.0
        width, height = found.size
        possible = self._smallest <= found.area <= self.config.largest * slack**2
        return possible and width <= _WIDEST * slack and height <= _TALLEST * slack


def _is_body(whole: Surface) -> bool:
    width, height = whole.size
    return _NARROWEST < width < height / _SLENDER and height > _LOWEST


def _metres(image: NDArray[np.generic], pixels: Pixels) -> NDArray[np.float32]:
    """Depth (H, W) in metres, 0 for no reading, without single wrong readings."""
    if pixels is Pixels.DEPTH:
        metres = image.astype(np.float32) * np.float32(0.001 if image.dtype.type is np.uint16 else 1)
        metres[~(np.isfinite(metres) & (metres > 0))] = 0
    else:
        grey = (image if image.ndim == 2 else image[..., 1]).astype(np.float32)
        share = (_NEAREST_GREY - grey) / (_NEAREST_GREY - _FARTHEST_GREY)
        metres = np.where(grey > _FARTHEST_GREY / 2, _NEAR + (_FAR - _NEAR) * share, 0).astype(np.float32)
    return np.asarray(cv2.medianBlur(metres, 3), np.float32)


def _covered(known: Sequence[Sighting], shape: tuple[int, ...], step: int) -> NDArray[np.bool_]:
    """Where known people are, in the thinned image."""
    covered = np.zeros(shape, bool)
    for person in known:
        left, top, right, bottom = (round(edge / step) for edge in person.box)
        covered[max(top - 1, 0) : max(bottom + 1, 0), max(left - 1, 0) : max(right + 1, 0)] = True
    return covered


def _sighting(person: Surface, step: int, shape: tuple[int, ...], distance: float) -> Sighting:
    left, top, right, bottom = person.box
    outline = person.pixels[top:bottom, left:right].astype(np.uint8) * np.uint8(255)
    right, bottom = min(step * right, shape[1]), min(step * bottom, shape[0])
    box = step * left, step * top, right, bottom
    share = np.asarray(cv2.resize(outline, (right - step * left, bottom - step * top)), np.uint8)
    return Sighting(box, FoundBy.DEPTH, mask=Mask(share, box), distance=distance)
