"""How the camera itself moved between two images, estimated where no person is."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

_POINTS = 160  # most points that are followed
_APART = 9  # px between two points, so that a textured person has no more points than the room of the same size
_WINDOW = 15  # px: side of the patch round a point
_TOLERANCE = 1.0  # px that a followed point may differ from the motion of the camera
_LENS = 0.25  # share of the shift by which a turn moves the border of a wide picture farther than the middle
_FEWEST, _SHARE = 16, 0.5  # followed points, and their share, that must agree
_CELLS = 4  # the picture is divided into this many columns and rows
_SPREAD = 0.4  # share of the cells with points that must hold points that agree
_STILL = 0.15  # px: a camera that moves less stands still
_RESTING_POINT = 0.35  # px: a point that moves less is at rest
_RESTING_CELLS = 0.35  # share of the cells with points at rest from which the camera stands still
_FASTEST = 0.25  # of the picture's width between two images
_DETAIL = 40.0  # grey levels: standard deviation of the detail that is compared
_LEAST_DETAIL = 0.7  # grey levels: an image with less is empty or black
_PERSPECTIVE = 0.05  # weight that keeps the perspective small where points do not show it
_SURELY = 3.0  # standard errors that a motion must have, or the camera stands still
_DOUBT = 0.5  # px: largest standard error in the corners


@dataclass(frozen=True)
class CameraMotion:
    """Where each pixel of the earlier image is in the newer one, if only the camera moved."""

    matrix: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))  # (3, 3) homography, px
    trusted: bool = False  # False: not estimated, and the matrix is the identity

    @property
    def still(self) -> bool:
        """Whether the camera stands still, as far as is known."""
        return bool((self.matrix == np.eye(3)).all())

    def moved(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """The places (N, 2) in the newer image, in px, of points (N, 2) in the earlier image."""
        return np.asarray(
            cv2.perspectiveTransform(np.asarray(points, np.float64)[:, None], self.matrix)[:, 0], np.float64
        )


def camera_motion(
    before: NDArray[np.uint8], after: NDArray[np.uint8], people: NDArray[np.generic] | None = None
) -> CameraMotion:
    """Estimate the motion of the camera from what most of the picture does.

    Points are followed from the earlier to the newer image, and the motion on which most of them agree is the camera's:
    a shift, a turn and a zoom, and the perspective of a camera that turns sideways. A camera that moves by less
    than 0.15 px stands still, and so does one before whom much of the room rests. Equal images give equal results.

    Args:
        before: (H, W) grey, some 160 to 320 px wide.
        after: the same size.
        people: (H, W), nonzero where people are in either image; None: nowhere.

    Returns:
        The motion; the identity, untrusted, where too few points can be followed or the points disagree.
    """
    height, width = before.shape
    sharp = _detail(before), _detail(after)
    if sharp[0] is None or sharp[1] is None:
        return CameraMotion()
    room = None
    if people is not None:
        near = cv2.dilate((people != 0).astype(np.uint8), np.ones((_WINDOW, _WINDOW), np.uint8))
        room = np.asarray(1 - near, np.uint8)
    found = cv2.goodFeaturesToTrack(sharp[0], _POINTS, 0.02, _APART, mask=room, blockSize=5)
    if found is None or len(found) < _FEWEST:
        return CameraMotion()
    here, there = _followed(sharp[0], sharp[1], np.asarray(found, np.float32))
    if len(here) < _FEWEST:
        return CameraMotion()
    cells = (here * (_CELLS / width, _CELLS / height)).astype(int) @ (1, _CELLS)
    occupied = len(np.unique(cells))
    resting = np.linalg.norm(there - here, axis=1) < _RESTING_POINT
    if resting.sum() >= _FEWEST // 2 and len(np.unique(cells[resting])) >= _RESTING_CELLS * occupied:
        return CameraMotion(trusted=True)
    middle, unit = np.array([width / 2, height / 2]), width / 2
    here, there = (here - middle) / unit, (there - middle) / unit
    agree = _consensus(here, there, unit)
    enough = agree.sum() >= max(_FEWEST, _SHARE * len(found))
    if not enough or len(np.unique(cells[agree])) < _SPREAD * occupied:
        return CameraMotion()
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    model, doubt = _fit(here[agree], there[agree], (corners - middle) / unit)
    scale = np.array([[1 / unit, 0, -middle[0] / unit], [0, 1 / unit, -middle[1] / unit], [0, 0, 1]])
    motion = CameraMotion(np.linalg.inv(scale) @ model @ scale, trusted=True)
    farthest, doubt = np.linalg.norm(motion.moved(corners) - corners, axis=1).max(), doubt * unit
    if farthest < max(_STILL, _SURELY * doubt):
        return CameraMotion(trusted=True)
    return motion if farthest < _FASTEST * width and doubt < _DOUBT else CameraMotion()


def _detail(image: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """An image without its light: flicker and shadows are gone, and dark images have the contrast of bright ones."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    fine = smooth - cv2.blur(smooth, (31, 31))
    deviation = float(fine.std())
    if deviation < _LEAST_DETAIL:
        return None
    return np.asarray(np.clip(128 + fine * (_DETAIL / deviation), 0, 255), np.uint8)


def _followed(
    before: NDArray[np.uint8], after: NDArray[np.uint8], points: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points (N, 2) that lead to a place in the newer image and from there back, and these places."""
    there, seen, _ = cv2.calcOpticalFlowPyrLK(before, after, points, np.empty_like(points), winSize=(_WINDOW, _WINDOW))
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, points.copy(), winSize=(_WINDOW, _WINDOW))
    strayed = np.linalg.norm(np.subtract(back, points), axis=2) >= _TOLERANCE
    kept = np.asarray(seen, bool) & np.asarray(seen_back, bool) & ~strayed
    return points[kept].astype(np.float64), np.asarray(there, np.float64)[kept]


def _consensus(here: NDArray[np.float64], there: NDArray[np.float64], unit: float) -> NDArray[np.bool_]:
    """Which points (N,) move as most do; coordinates are half picture widths from the middle of the picture."""
    shift = float(np.median(np.linalg.norm(there - here, axis=1)))
    rough = _TOLERANCE / unit + _LENS * shift
    model, inliers = cv2.estimateAffinePartial2D(here, there, method=cv2.RANSAC, ransacReprojThreshold=rough)
    agree = np.zeros(len(here), bool) if model is None else np.asarray(inliers[:, 0] == 1, bool)
    for tolerance in (2 * _TOLERANCE, _TOLERANCE, _TOLERANCE):
        if agree.sum() < _FEWEST:
            break
        fitted, _ = _fit(here[agree], there[agree], here[:1])
        expected = cv2.perspectiveTransform(here[:, None], fitted)[:, 0]
        agree = np.asarray(np.linalg.norm(expected - there, axis=1) < tolerance / unit, bool)
    return agree


def _fit(
    here: NDArray[np.float64], there: NDArray[np.float64], ends: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The homography (3, 3) of a shift, turn, zoom and perspective, by least squares, and its standard error at `ends`.

    A free homography has eight numbers, and this one has six: a camera that turns has no shear. Without a shear, few
    points do not bend the part of the picture that has no points.
    """
    small = np.zeros((2, 6))
    small[0, 4] = small[1, 5] = _PERSPECTIVE * np.sqrt(len(here))
    rows, values = np.concatenate([_rows(here, there), small]), np.concatenate([there.T.ravel(), [0, 0]])
    inverse = np.linalg.inv(rows.T @ rows)
    right, lower, zoom, turn, p, q = found = inverse @ (rows.T @ values)
    variance = float(np.square(rows @ found - values).sum()) / (len(values) - 6)
    at = _rows(ends, ends)
    doubt = np.sqrt(variance * np.einsum("ij,jk,ik->i", at, inverse, at).max())
    return np.array([[zoom, -turn, right], [turn, zoom, lower], [-p, -q, 1]]), float(doubt)


def _rows(here: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each of the six numbers adds to x, and then to y, of points (N, 2): (2 N, 6)."""
    (x, y), (u, v), one, none = here.T, there.T, np.ones(len(here)), np.zeros(len(here))
    across = np.stack([one, none, x, -y, x * u, y * u], axis=1)
    return np.concatenate([across, np.stack([none, one, y, x, x * v, y * v], axis=1)])
