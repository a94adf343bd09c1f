"""Everybody in front of one camera: finds people, follows them, and shows each in a square of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.classical import normal_speed
from fluxformer_core.images import depth_to_grey, to_rgb
from fluxformer_core.people.egomotion import camera_motion
from fluxformer_core.people.finder import Finder
from fluxformer_core.people.person import Box, FoundBy, Mask, Sighting
from fluxformer_core.people.pixels import cut_mask, cut_square, on_black
from fluxformer_core.people.tracker import PeopleConfig, Track, Tracker
from fluxformer_core.types import SECOND, Pixels

SMALL = 160
"""px: width of the grey image in which motion is looked for, the camera's and that of what cannot be found."""

MEMORY = 0.2
"""Seconds for which images are kept, so that motion can be measured against them."""

SPAN = 0.1
"""Seconds over which motion is looked for: in a longer time, edges move farther than their width."""

MOVES = 0.25
"""Image heights per second: what is faster, and cannot be found as a person, is looked at all the same."""

WIDE = (0.3, 10.0)
"""m: depths between which motion is looked for."""

MOVING_SHARE = 0.002
"""Share of the image that must move so fast: less is noise."""


Prepare = Callable[[NDArray[np.generic]], NDArray[np.uint8]]
"""Makes the model's picture, (S, S, 3) uint8 RGB, of a square of the image."""


@dataclass
class _Look:
    """One image that is remembered, and what was seen in it."""

    stamp: int  # ns
    image: NDArray[np.generic]
    grey: NDArray[np.uint8]  # (h, w) small
    masks: dict[str, Mask | None]  # of everybody, by id
    camera: NDArray[np.float64]  # (3, 3) homography from px of this image to px of the newest one


class PeopleWatch:
    """Finds and follows people: `observe` every admitted image, then `show` each of `people`.

    Args:
        finder: looks for people in images.
        config: how many people are followed, and for how long.

    Attributes:
        tracker: who is followed.
        searches: looks at the whole image since the beginning.
        looks: looks at one known person since the beginning.
    """

    def __init__(self, finder: Finder, config: PeopleConfig) -> None:
        self.config, self.finder = config, finder
        self.tracker = Tracker(config)
        self.searches = self.looks = 0
        self._past: deque[_Look] = deque()
        self._next_search = 0  # ns
        self._outside = False  # whether an outside tracker says who is there

    @property
    def people(self) -> list[Track]:
        """Everybody in view now, the tallest first."""
        return self.tracker.people

    def clear(self, *, same_place: bool = False) -> None:
        """Forget everybody and every image; what the finder knows of the place, too, unless it is the same."""
        self.tracker.clear()
        self._past.clear()
        self._next_search = 0
        if not same_place:
            self.finder.reset()

    def observe(
        self, image: NDArray[np.generic], pixels: Pixels, stamp: int, given: Sequence[Sighting] | None = None
    ) -> None:
        """Take in one image.

        Args:
            image: as `pixels` says; a copy is kept.
            pixels: how to read the image.
            stamp: ns, later than the one before.
            given: people whom an outside tracker follows; None: that tracker, if there is one, has not looked. The
                first people that are given end the searches of this watch for good.
        """
        grey = _small(image, pixels)
        self._follow_camera(grey, image.shape)
        self.tracker.predict(stamp, self._past[-1].camera if self._past else np.eye(3))
        looked = [self._look(image, pixels, stamp, grey, track) for track in self.tracker.tracks]
        self._outside |= given is not None
        if self._outside:
            here = None if given is None else [person for person in given if _within(person.box, image.shape)]
            self.tracker.take(looked, here, stamp)
        elif self.finder.each_image or stamp >= self._next_search:
            # A finder that sees everybody in each image has to be told who was there before.
            there = [track.sighting for track in self.tracker.tracks] if self.finder.each_image else looked
            known = [sighting for sighting in there if sighting is not None and _is_person(sighting)]
            found = self._search(image, pixels, stamp, grey, known)
            if any(map(_is_person, found)):  # one of them may be what only moved so far
                looked = [sighting if sighting is not None and _is_person(sighting) else None for sighting in looked]
            self.tracker.update(looked, found, stamp)
        else:
            self.tracker.update(looked, (), stamp)
        masks = {track.id: track.sighting.mask for track in self.tracker.tracks}
        self._past.append(_Look(stamp, image.copy(), grey, masks, np.eye(3)))
        while stamp - self._past[0].stamp > MEMORY * SECOND:
            self._past.popleft()

    def show(self, track: Track, stamp: int, prepare: Prepare) -> NDArray[np.uint8] | None:
        """What a remembered image shows in the square where a person is looked at now.

        Args:
            track: the person.
            stamp: ns, of the image.
            prepare: makes the model's picture of a square of the image.

        Returns:
            (S, S, 3) uint8 RGB, black outside the person; a camera that has moved since is made good for. None: the
            image is not remembered.
        """
        look = next((look for look in reversed(self._past) if look.stamp == stamp), None)
        if look is None:
            return None
        square = track.square.rectangle
        camera = None if np.array_equal(look.camera, np.eye(3)) else look.camera
        picture = prepare(cut_square(look.image, square, camera))
        mask = look.masks.get(track.id, track.sighting.mask)
        return picture if mask is None else on_black(picture, cut_mask(mask, square, len(picture), camera))

    def _follow_camera(self, grey: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
        """Bring the maps of all remembered images up to the newest image."""
        if not self._past:
            return
        newest = self._past[-1]
        motion = camera_motion(newest.grey, grey, self._covered(grey.shape, shape))
        if motion.still:
            return
        scale = np.diag([shape[1] / grey.shape[1], shape[0] / grey.shape[0], 1.0])
        step = scale @ motion.matrix @ np.linalg.inv(scale)
        for look in self._past:
            look.camera = step @ look.camera

    def _covered(self, small: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Where people are in the small grey image."""
        people = np.zeros(small[:2], np.uint8)
        scale = small[0] / shape[0]
        for track in filter(lambda track: _is_person(track.sighting), self.tracker.tracks):
            left, top, right, bottom = (round(edge * scale) for edge in track.sighting.box)
            people[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 1
        return people

    def _look(
        self, image: NDArray[np.generic], pixels: Pixels, stamp: int, grey: NDArray[np.uint8], track: Track
    ) -> Sighting | None:
        if self.finder.each_image:
            return None
        if not _is_person(track.sighting):
            return self._moving(grey, image.shape, stamp)
        self.looks += 1
        return self.finder.look(image, pixels, track.sighting)

    def _search(
        self,
        image: NDArray[np.generic],
        pixels: Pixels,
        stamp: int,
        grey: NDArray[np.uint8],
        known: Sequence[Sighting],
    ) -> list[Sighting]:
        self.searches += 1
        self._next_search = stamp + round(self.config.search_period * SECOND)
        found = self.finder.find(image, pixels, stamp, known)
        # Readings of depth come and go at the rim of things, which looks like motion.
        if found or self.finder.each_image:
            return found
        moving = self._moving(grey, image.shape, stamp)
        if moving is None:
            return []
        return self.finder.search(image, pixels, moving.box) or ([] if known else [moving])

    def _moving(self, grey: NDArray[np.uint8], shape: tuple[int, ...], stamp: int) -> Sighting | None:
        """What moves outside of known people, as one sighting without an outline."""
        if not self._past:
            return None
        old = [look for look in self._past if stamp - look.stamp >= SPAN * SECOND]
        first = old[-1] if old else self._past[0]
        scale = np.diag([grey.shape[1] / shape[1], grey.shape[0] / shape[0], 1.0])
        camera = scale @ first.camera @ np.linalg.inv(scale)
        height, width = grey.shape
        before = cv2.warpPerspective(first.grey, camera, (width, height), borderMode=cv2.BORDER_REPLICATE)
        seconds = (stamp - first.stamp) / SECOND
        moves = normal_speed(np.asarray(before, np.uint8), grey) > MOVES * height * seconds
        moves &= self._covered(grey.shape, shape) == 0
        if moves.mean() < MOVING_SHARE:
            return None
        rows, columns = np.nonzero(moves)
        left, right = np.percentile(columns, (2, 98)) * shape[1] / width
        top, bottom = np.percentile(rows, (2, 98)) * shape[0] / height
        return Sighting((float(left), float(top), float(right) + 1, float(bottom) + 1), FoundBy.MOTION)


def _is_person(sighting: Sighting) -> bool:
    return sighting.found_by is not FoundBy.MOTION


def _within(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box shows something of an image, and is no larger than ten images."""
    (left, top, right, bottom), (height, width) = box, shape[:2]
    small = right - left <= 10 * width and bottom - top <= 10 * height
    return small and left < width and top < height and right > 0 and bottom > 0 and left < right and top < bottom


def _small(image: NDArray[np.generic], pixels: Pixels) -> NDArray[np.uint8]:
    """A small grey image for measuring motion."""
    step = max(1, image.shape[1] // (2 * SMALL))  # readings of depth must not be averaged
    thin = image[::step, ::step]
    if pixels is Pixels.DEPTH:
        grey: NDArray[Any] = depth_to_grey(thin, WIDE)
    else:
        grey = cv2.cvtColor(to_rgb(thin, pixels), cv2.COLOR_RGB2GRAY)
    size = SMALL, max(1, round(SMALL * image.shape[0] / image.shape[1]))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
