"""Find the joints and the outline of one person in a turned square: MediaPipe's pose landmark net."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.people.litert import Net, sigmoid
from fluxformer_core.people.person import JOINTS, Joints, Mask
from fluxformer_core.people.rotated_square import RotatedSquare

_LANDMARKS = 39  # the joints, the middle and the rim of the body's circle, and four that nobody uses
_MIDDLE, _RIM = len(JOINTS), len(JOINTS) + 1
_REACH = 4  # cells of the heat map to each side of a landmark that refine its place
_CLEAR = 0.5  # heat of the hottest of these cells, 0..1, from which the heat map is believed


@dataclass(frozen=True)
class Pose:
    """What the landmark net sees in a square."""

    presence: float  # 0..1: whether a person is there
    joints: Joints
    mask: Mask  # over the upright box of the square
    square: RotatedSquare  # round the person: where to look in the next image


class PoseLandmarker:
    """Finds the joints of the one person in a square.

    Args:
        threads: CPU threads.

    Raises:
        PeopleError: see `Net`.
    """

    def __init__(self, threads: int = 1) -> None:
        self._net = Net("pose_landmark_lite", threads)

    def __call__(self, image: NDArray[np.uint8], square: RotatedSquare) -> Pose:
        """Look at a square of an RGB image (H, W, 3)."""
        raw, presence, outline, heat, world = self._net(square.cut(image, self._net.size))
        landmarks = raw.reshape(_LANDMARKS, 5)
        places = square.places(refine(landmarks[:, :2].astype(np.float64) / self._net.size, heat))  # (39, 2)
        metres = world.reshape(_LANDMARKS, 3)[: len(JOINTS)].astype(np.float64)
        metres[:, :2] = metres[:, :2] @ square.turn.T
        joints = Joints(
            places[: len(JOINTS)].astype(np.float32), sigmoid(landmarks[: len(JOINTS), 3]), metres.astype(np.float32)
        )
        share = np.round(255 * sigmoid(outline[..., 0])).astype(np.uint8)
        mask = Mask(square.upright(share), square.box)
        return Pose(float(presence[0]), joints, mask, RotatedSquare.around(places[_MIDDLE], places[_RIM]))


def refine(places: NDArray[np.float64], heat: NDArray[np.float32]) -> NDArray[np.float64]:
    """Move each landmark to the middle of the heat round it, where some cell there is hot.

    Args:
        places: (n, 2) x and y as shares of the picture.
        heat: (h, w, n) logits.
    """
    size = np.array(heat.shape[1::-1])
    cells = np.floor(places * size).astype(int)
    near = cells[:, None] + np.arange(-_REACH, _REACH + 1)[:, None]  # (n, 9, 2)
    inside = (near >= 0) & (near < size)
    x, y = np.clip(near, 0, size - 1).transpose(2, 0, 1)
    warmth = sigmoid(heat[y[:, :, None], x[:, None, :], np.arange(len(places))[:, None, None]])
    warmth *= inside[:, :, None, 1] & inside[:, None, :, 0]  # (n, 9, 9)
    hot = ((cells >= 0) & (cells < size)).all(axis=1) & (warmth.max(axis=(1, 2)) >= _CLEAR)
    sums = np.stack([warmth.sum(axis=1), warmth.sum(axis=2)], axis=2)  # (n, 9, 2) of columns and of rows
    middles = (sums * near).sum(axis=1) / np.maximum(sums.sum(axis=1), np.finfo(np.float32).tiny)
    return np.where(hot[:, None], middles / size, places)
