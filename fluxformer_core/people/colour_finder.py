"""Find people in colour images by the pose nets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fluxformer_core.declared import check
from fluxformer_core.images import to_rgb
from fluxformer_core.people.person import Box, FoundBy, Joints, Mask, Sighting
from fluxformer_core.people.pose_detector import PoseDetector, overlap
from fluxformer_core.people.pose_landmarker import PoseLandmarker
from fluxformer_core.people.rotated_square import RotatedSquare
from fluxformer_core.types import Pixels

_SAME = 0.5  # intersection over union from which two boxes are the same person
_VISIBLE = 0.5  # visibility from which a joint counts
_SOLID = 128  # of 255: share from which a pixel counts as the person's


@dataclass(frozen=True)
class ColourFinderConfig:
    """Settings of finding people in colour images.

    Raises:
        ConfigError: if a field is outside its range.
    """

    least_score: Annotated[float, Field(ge=0, le=1)] = 0.5  # of a detection
    least_presence: Annotated[float, Field(ge=0, le=1)] = 0.5  # of a person in the square
    threads: Annotated[int, Field(ge=1, le=64)] = 1  # CPU threads of one net

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class PoseSighting(Sighting):
    """A sighting by the pose nets, with the square in which to look next."""

    square: RotatedSquare | None = None

    def moved(self, camera: NDArray[np.float64], shift: NDArray[np.float64]) -> PoseSighting:
        """The person after the camera and the person have moved; see `Sighting.moved`."""
        there = super().moved(camera, shift)
        assert isinstance(there, PoseSighting)
        return replace(there, square=None if self.square is None else self.square.moved(camera, shift))


class ColourFinder:
    """Finds people by the pose nets. See `Finder`; `pixels` may be anything but depth.

    Raises:
        PeopleError: if LiteRT or a net is missing or damaged.
    """

    each_image = False

    def __init__(self, config: ColourFinderConfig | None = None) -> None:
        self.config = config or ColourFinderConfig()
        self._detector = PoseDetector(self.config.least_score, self.config.threads)
        self._landmarker = PoseLandmarker(self.config.threads)

    def find(self, image: NDArray[Any], pixels: Pixels, stamp: int, known: Sequence[Sighting]) -> list[Sighting]:
        """Look at a whole image for people, the surest first."""
        rgb = to_rgb(image, pixels)
        found: list[Sighting] = []
        for detection in self._detector(rgb):
            sighting = self._look(rgb, detection.square)
            if sighting and not any(_same(sighting.box, other.box) for other in found):
                found.append(sighting)
        return sorted(found, key=lambda sighting: -sighting.score)

    def look(self, image: NDArray[Any], pixels: Pixels, last: Sighting) -> Sighting | None:
        """Look at the square of a person who was seen before; None: no person is there any longer."""
        square = last.square if isinstance(last, PoseSighting) else None
        return self._look(to_rgb(image, pixels), square or RotatedSquare.of_box(last.box))

    def _look(self, rgb: NDArray[np.uint8], square: RotatedSquare) -> Sighting | None:
        pose = self._landmarker(rgb, square)
        box = _around(pose.joints, pose.mask, rgb.shape)
        if pose.presence < self.config.least_presence or box is None:
            return None
        return PoseSighting(box, FoundBy.POSE, pose.presence, pose.mask, pose.joints, square=pose.square)


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


def _same(box: Box, other: Box) -> bool:
    return bool(overlap(np.reshape(box, (2, 2)), np.reshape(other, (1, 2, 2)))[0] > _SAME)
