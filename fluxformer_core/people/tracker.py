"""Who is who over time: ids, birth and death of the people in view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import linear_sum_assignment

from fluxformer_core.declared import check
from fluxformer_core.people.person import Box, FoundBy, Sighting
from fluxformer_core.people.pixels import cut_mask
from fluxformer_core.people.smoothing import JointSmoother
from fluxformer_core.people.square import Square
from fluxformer_core.types import SECOND

BIRTH = 0.1
"""Seconds for which somebody must be seen before they count as a person."""

SAME_PERSON = 0.5
"""Overlap (IoU) from which two sightings show the same person."""

SAME_OUTLINE = 0.5
"""Share of an outline that lies within somebody's from which both are the same person."""

REACH = 0.7
"""Heights of the person: a sighting that is farther from where a person should be is somebody else."""

_OUTLINE = 32  # px: side of the square in which outlines are compared
_VELOCITY_MEMORY = 0.3  # s: time constant of the running mean of a person's velocity
_COASTING = 0.5  # s: so long a person who is not seen is believed to walk on


@dataclass(frozen=True)
class PeopleConfig:
    """Settings of following people.

    Raises:
        ConfigError: if a field is outside its range.
    """

    max_people: Annotated[int, Field(ge=1, le=16)] = 3  # followed at once; the tallest are taken, who are nearest
    expiry: Annotated[float, Field(ge=0.05, le=3600)] = 1.0  # s: a person who is not seen for longer is forgotten
    search_period: Annotated[float, Field(ge=0.05, le=60)] = 0.5  # s: between two searches of the whole image

    def __post_init__(self) -> None:
        check(self)


class Track:
    """One person over time.

    Attributes:
        id: stable while the person is followed.
        sighting: the newest one, moved with the camera and the person since.
        square: where the person is looked at.
        first: ns, of the first sighting.
        seen: ns, of the newest sighting.
    """

    def __init__(self, identity: str, sighting: Sighting, stamp: int) -> None:
        self._smooth = JointSmoother()
        self.id, self.sighting, self.square = identity, self._smoothed(sighting, stamp), Square(sighting.box)
        self.first = self.seen = self._stamp = stamp
        self._velocity = np.zeros(2)  # px per second, relative to the scene

    @property
    def born(self) -> bool:
        """Whether this has been seen for long enough to count as a person."""
        return bool(self.sighting.id) or self.seen - self.first >= BIRTH * SECOND

    def predict(self, stamp: int, camera: NDArray[np.float64]) -> None:
        """Move with the camera, and on as the person moved, to an image's stamp (ns)."""
        longest = round(_COASTING * SECOND)
        coasted = min(stamp - self.seen, longest) - min(self._stamp - self.seen, longest)
        self.sighting = self.sighting.moved(camera, self._velocity * coasted / SECOND)
        self.square.move(camera)
        self._stamp = stamp

    def refine(self, sighting: Sighting) -> None:
        """Take outline and joints from a sighting of somebody whom an outside tracker follows."""
        self.sighting = replace(sighting, id=self.id, found_by=FoundBy.TOPIC)
        self.square.follow(sighting.box)

    def see(self, sighting: Sighting, stamp: int) -> None:
        """Take in the sighting in the image to whose stamp the track was predicted."""
        if stamp > self.seen:
            seconds = (stamp - self.seen) / SECOND
            off = np.subtract(_centre(sighting.box), _centre(self.sighting.box))
            share = 1 - np.exp(-seconds / _VELOCITY_MEMORY)
            self._velocity = self._velocity + share * off / seconds
        self.sighting, self.seen = self._smoothed(sighting, stamp), stamp
        self.square.follow(sighting.box)

    def _smoothed(self, sighting: Sighting, stamp: int) -> Sighting:
        if sighting.joints is None:
            return sighting
        return replace(sighting, joints=self._smooth(sighting.joints, _height(sighting.box), stamp))


class Tracker:
    """Gives ids to sightings.

    Attributes:
        tracks: everybody who is followed, also those who do not count as people yet.
        ignored: sightings left out because `max_people` people were followed already.
        lost: people who were no longer seen.
    """

    def __init__(self, config: PeopleConfig) -> None:
        self.config = config
        self.tracks: list[Track] = []
        self.ignored = self.lost = 0
        self._ids = 0

    @property
    def people(self) -> list[Track]:
        """Those who count as people, the tallest first, at most `max_people`."""
        born = [track for track in self.tracks if track.born]
        return sorted(born, key=lambda track: -_height(track.sighting.box))[: self.config.max_people]

    def predict(self, stamp: int, camera: NDArray[np.float64]) -> None:
        """Move everybody to where they should be in the image of a stamp (ns)."""
        for track in self.tracks:
            track.predict(stamp, camera)

    def take(self, looked: Sequence[Sighting | None], given: Sequence[Sighting] | None, stamp: int) -> None:
        """Follow the people of an outside tracker, whose ids decide who is who and who is there.

        Args:
            looked: as for `update`; gives outlines and joints.
            given: who is where, each with an id; None: the outside tracker has not looked at this image.
            stamp: ns.
        """
        by_id = {sighting.id: sighting for sighting in given or ()}
        for track, look in zip(self.tracks, looked, strict=True):
            there = by_id.pop(track.id, None)
            if there is not None:
                track.see(there, stamp)
            if look is not None and overlap(look.box, track.sighting.box) >= SAME_PERSON:
                track.refine(look)
        self._forget(stamp)
        for sighting in sorted(by_id.values(), key=lambda sighting: -_height(sighting.box)):
            self._add(sighting, stamp)

    def update(self, looked: Sequence[Sighting | None], found: Sequence[Sighting], stamp: int) -> None:
        """Take in what is seen in the image to whose stamp everybody was predicted.

        Args:
            looked: for each of `tracks`, what was seen in that person's own square; None: nothing, or nobody looked.
            found: what was found in the whole image, in any order.
            stamp: ns.
        """
        own = self._without_doubles(looked)
        seen = [sighting for sighting in own if sighting is not None]
        # The order of the sightings must not matter.
        ordered = sorted(found, key=lambda sighting: (-_height(sighting.box), sighting.box))
        new = [s for s in ordered if not any(_is_same(s, other) for other in seen)]
        unseen = [i for i, sighting in enumerate(own) if sighting is None]
        pairs = self._assign([self.tracks[i] for i in unseen], new)
        for i, j in pairs:
            own[unseen[i]] = new[j]
        for track, sighting in zip(self.tracks, own, strict=True):
            if sighting is not None:
                track.see(sighting, stamp)
        known = {j for _, j in pairs}
        self._forget(stamp)
        for j, sighting in enumerate(new):
            if j not in known:
                self._add(sighting, stamp)

    def clear(self) -> None:
        """Follow nobody."""
        self.tracks.clear()

    def _without_doubles(self, looked: Sequence[Sighting | None]) -> list[Sighting | None]:
        """Of two people who were seen at one place, the one who should be there keeps the sighting."""
        own = list(looked)
        for i, j in combinations(range(len(own)), 2):
            first, second = own[i], own[j]
            if first is not None and second is not None and overlap(first.box, second.box) >= SAME_PERSON:
                farther = _distance(self.tracks[i], first) > _distance(self.tracks[j], second)
                own[i if farther else j] = None
        return own

    def _assign(self, tracks: Sequence[Track], found: Sequence[Sighting]) -> list[tuple[int, int]]:
        if not tracks or not found:
            return []
        cost = np.array([[_distance(track, sighting) for sighting in found] for track in tracks])
        pairs = zip(*linear_sum_assignment(np.minimum(cost, 2 * REACH)), strict=True)
        return [(int(i), int(j)) for i, j in pairs if cost[i, j] <= REACH]

    def _add(self, sighting: Sighting, stamp: int) -> None:
        if len(self.tracks) >= self.config.max_people:
            self.ignored += 1
            return
        self._ids += 1
        self.tracks.append(Track(sighting.id or str(self._ids), sighting, stamp))

    def _forget(self, stamp: int) -> None:
        kept = []
        for track in self.tracks:
            patience = self.config.expiry if track.born else BIRTH
            if stamp - track.seen <= patience * SECOND:
                kept.append(track)
            else:
                self.lost += track.born
        self.tracks = kept


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((right - left) * (bottom - top) for left, top, right, bottom in (first, second))
    return width * height / (areas - width * height)


def _is_same(found: Sighting, seen: Sighting) -> bool:
    """Whether a sighting shows somebody who is seen already, or a part of them: an arm may look like a person."""
    if overlap(found.box, seen.box) >= SAME_PERSON:
        return True
    if found.mask is None or seen.mask is None or overlap(found.box, seen.box) == 0:
        return False
    (left, top, right, bottom), side = found.box, math.ceil(_height(found.box))
    square = round((left + right - side) / 2), round((top + bottom - side) / 2), side
    own, other = (cut_mask(mask, square, _OUTLINE) > 127 for mask in (found.mask, seen.mask))
    return bool((own & other).sum() > SAME_OUTLINE * max(own.sum(), 1))


def _distance(track: Track, sighting: Sighting) -> float:
    """How far a sighting is from where a person should be, in heights of the person."""
    apart = np.subtract(_centre(track.sighting.box), _centre(sighting.box))
    tall = max(_height(track.sighting.box), _height(sighting.box))
    resized = abs(np.log(_height(track.sighting.box) / _height(sighting.box)))
    unlike = 0.2 * ((track.sighting.found_by is FoundBy.MOTION) != (sighting.found_by is FoundBy.MOTION))
    return float(np.hypot(*apart) / tall + 0.3 * resized + unlike)


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _height(box: Box) -> float:
    """The longer side: also of a person who lies."""
    return max(box[2] - box[0], box[3] - box[1], 1.0)
