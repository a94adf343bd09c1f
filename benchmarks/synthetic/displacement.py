"""The true optical flow of the rendered actor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fluxformer_core.actor.film import Film
from fluxformer_core.actor.pose import Array
from fluxformer_core.actor.render import FAR, ZBuffer, nearest

_SHORTEST = 1.0  # px: shorter projected axes (a head, a limb that points at the camera) count as not turning


def true_flow(film: Film, index: int) -> npt.NDArray[np.float32]:
    """Displacement of each pixel between an image and the next, (H, W, 2): pixels to the right and down.

    The surface moves with the capsules of the body, which do not roll about their axes; the background does not move.
    Points that are hidden in the next image have a displacement, too.

    Raises:
        IndexError: if there are no two such images.
    """
    if not 0 <= index < len(film) - 1:
        raise IndexError(f"frame {index} has no next one in a performance of {len(film)} frames")
    flow = np.zeros((*film.size, 2), np.float32)
    surface = ZBuffer(film.size, film.focal, colour=False, light=(0.0, 0.0, 1.0), ambient=1.0)
    for part, now, then, flatness in zip(
        film.parts, film.capsules[index], film.capsules[index + 1], film.flatness[index], strict=True
    ):
        before = surface.depth.copy()
        surface.capsule(now.tolist(), part, float(flatness))
        rows, columns = np.nonzero(surface.depth < np.minimum(before, FAR))
        flow[rows, columns] = _moved(columns, rows, now, then, film.focal)
    return flow[:, ::-1] * np.array([-1, 1], np.float32) if film.style.mirrored else flow


def _moved(columns: npt.NDArray[np.intp], rows: npt.NDArray[np.intp], now: Array, then: Array, focal: float) -> Array:
    """Displacements (n, 2) of pixels (n,) on a capsule given by x, y, radius and depth of its ends, twice."""
    start, along_axis = now[:3], now[4:7] - now[:3]
    x, y = (columns - start[0]).astype(np.float32), (rows - start[1]).astype(np.float32)
    slope = float((now[7] - now[3]) * 2.0 * focal / (now[3] + now[7]))
    along = nearest(x, y, (along_axis[0], along_axis[1], along_axis[2]), start[2], slope)[:, None].astype(float)
    circle = start + along * along_axis  # (n, 3): x, y and radius of the section that a pixel shows
    moved = then[:3] + along * (then[4:7] - then[:3])
    off_axis = np.stack([columns, rows], axis=1) - circle[:, :2]
    growth = moved[:, 2:] / np.maximum(circle[:, 2:], 1e-6)
    placed = moved[:, :2] + growth * off_axis @ _turn(along_axis[:2], then[4:6] - then[:2]).T
    return np.asarray(placed - np.stack([columns, rows], axis=1))


def _turn(before: Array, after: Array) -> Array:
    """The rotation from one direction to another, (2, 2)."""
    if min(np.hypot(*before), np.hypot(*after)) < _SHORTEST:
        return np.eye(2)
    angle = np.arctan2(after[1], after[0]) - np.arctan2(before[1], before[0])
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
