"""What is known of one person in one image: where, how far, with which outline and joints, and how they were found."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fluxformer_core.types import Region

if TYPE_CHECKING:
    from typing_extensions import Self

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in px of the image."""

JOINTS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
"""Names of the joints in the order of BlazePose; left and right are the person's own."""


class FoundBy(str, Enum):
    """What found a person."""

    POSE = "pose"  # a pose net, in colour
    DEPTH = "depth"  # a surface that stands out of the background, in depth
    MOTION = "motion"  # something moves that could not be found as a person
    TOPIC = "topic"  # a detector outside this package


@dataclass(frozen=True)
class Mask:
    """The outline of a person, over a rectangle of the image."""

    share: NDArray[np.uint8]  # (h, w) how much of each pixel belongs to the person: 0 nothing .. 255 all
    box: Box  # the rectangle that `share` covers; it may reach beyond the image


@dataclass(frozen=True)
class Joints:
    """The joints of a person, in the order of JOINTS."""

    points: NDArray[np.float32]  # (33, 2) x and y in px of the image
    visibility: NDArray[np.float32]  # (33,) 0..1
    metres: NDArray[np.float32]  # (33, 3) from the middle of the hips: x to the right in the picture, y down, z away


@dataclass(frozen=True)
class Sighting:
    """One person in one image, as a finder reports them."""

    box: Box  # around what is seen of the person
    found_by: FoundBy
    score: float = 1.0  # 0..1
    mask: Mask | None = None
    joints: Joints | None = None
    distance: float = math.nan  # m, from depth
    id: str = ""  # given by an outside tracker; empty: the tracker of this package gives one

    def moved(self, camera: NDArray[np.float64], shift: NDArray[np.float64]) -> Self:
        """The person after the camera and the person have moved.

        Args:
            camera: (3, 3) homography from px of the old image to px of the new one.
            shift: how far the person has moved since, px to the right and down.
        """
        mask, joints = self.mask, self.joints
        if joints is not None:
            joints = replace(joints, points=(mapped(camera, joints.points) + shift).astype(np.float32))
        if mask is not None:
            mask = Mask(mask.share, _moved(mask.box, camera, shift))
        return replace(self, box=_moved(self.box, camera, shift), mask=mask, joints=joints)


def region_in(box: Box, shape: tuple[int, ...]) -> Region:
    """The whole px of a box that lie inside an image of a shape (H, W, ...), at least one."""
    height, width = shape[:2]
    left, top, right, bottom = map(round, box)
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


def mapped(camera: NDArray[np.float64], points: ArrayLike) -> NDArray[np.float64]:
    """Points (n, 2) in px under a homography (3, 3)."""
    there = np.column_stack([points, np.ones(len(np.asarray(points)))]) @ camera.T
    return np.asarray(there[:, :2] / there[:, 2:])


def _moved(box: Box, camera: NDArray[np.float64], shift: NDArray[np.float64]) -> Box:
    (left, top), (right, bottom) = mapped(camera, [box[:2], box[2:]]) + shift
    return float(left), float(top), float(right), float(bottom)
