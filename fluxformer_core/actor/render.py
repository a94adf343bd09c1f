"""Drawing of tapered capsules into a z-buffer, as depth or as shaded colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fluxformer_core.actor.pose import Array

SHADES = 64
"""Brightness steps of a material: a pixel of the z-buffer's colour plane is material * SHADES + step."""
Plane = npt.NDArray[np.float32]
FAR = np.float32(1e9)
"""Metres: the depth of a z-buffer where nothing is drawn."""
_EDGE_ON = 1e-2  # px^2: below this, one end of a capsule is seen within the other
_SMALLEST = 0.45  # px: a smaller radius may miss every pixel centre


@dataclass(frozen=True)
class Capsule:
    """One capsule of the body: from a to b (names of points), radii in metres, painted with a material.

    The axis beyond `split` (0..1) is painted with `second`; with stripes > 0 the axis before `split` alternates with
    `accent` that many times. A capsule with flatness < 1 has an elliptic section: the radii are those along the x axis
    of its frame, and are multiplied by flatness across.
    """

    a: str
    b: str
    radius_a: float
    radius_b: float
    material: int
    second: int = 0
    split: float = 2.0
    accent: int = 0
    stripes: float = 0.0
    flatness: float = 1.0
    frame: str = ""


@dataclass(frozen=True)
class PinholeCamera:
    """A pinhole at (x, height, distance) that looks along -z, tilted down by tilt; metres, pixels, radians."""

    focal: float
    centre: tuple[float, float]
    x: float
    height: float
    distance: float
    tilt: float

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixel coordinates (..., 2) and distances along the optical axis (...) of world points (..., 3)."""
        right, up, ahead = points[..., 0] - self.x, points[..., 1] - self.height, self.distance - points[..., 2]
        sine, cosine = np.sin(self.tilt), np.cos(self.tilt)
        depth = np.maximum(ahead * cosine - up * sine, 0.05)
        scale = self.focal / depth
        down = -(up * cosine + ahead * sine)
        return np.stack([self.centre[0] + right * scale, self.centre[1] + down * scale], axis=-1), depth


class ZBuffer:
    """The nearest surface of a picture: its distance and, if colour is wanted, its material and brightness."""

    def __init__(
        self, size: tuple[int, int], focal: float, *, colour: bool, light: tuple[float, float, float], ambient: float
    ) -> None:
        self.depth = np.full(size, FAR, dtype=np.float32)
        self.code = np.zeros(size, dtype=np.uint16)  # means something where something is drawn, in colour
        self.box = (size[0], size[1], 0, 0)  # top, left, bottom, right of what is drawn
        self._colour, self._focal, self._ambient = colour, focal, ambient
        self._light = light  # towards the lamp: right, down, towards the camera; unit length
        self._columns = np.arange(size[1], dtype=np.float32)[None, :]
        self._rows = np.arange(size[0], dtype=np.float32)[:, None]

    def clear(self) -> None:
        """Erase the drawing."""
        top, left, bottom, right = self.box
        self.depth[top:bottom, left:right] = FAR
        self.box = (*self.depth.shape, 0, 0)

    def capsule(self, ends: list[float], part: Capsule, flatness: float = 1.0) -> None:
        """Draw the sphere that slides from a to b.

        Rays count as parallel within one capsule: perspective enters through the projected ends and radii. Of all the
        spheres that a ray meets, the one with the nearest surface has a closed form, which gives shaft and caps alike,
        and a limb that points at the camera comes out right. `ends` are x, y, radius in pixels and distance in metres
        of a, then of b; `flatness` is the extent along the optical axis as a share of the extent across it.
        """
        ax, ay, ar, az, bx, by, br, bz = ends
        height, width = self.depth.shape
        top, bottom = max(0, int(min(ay - ar, by - br))), min(height, int(max(ay + ar, by + br)) + 2)
        left, right = max(0, int(min(ax - ar, bx - br))), min(width, int(max(ax + ar, bx + br)) + 2)
        if top >= bottom or left >= right or max(ar, br) < _SMALLEST:
            return
        x = self._columns[:, left:right] - np.float32(ax)
        y = self._rows[top:bottom] - np.float32(ay)
        dx, dy, dr = bx - ax, by - ay, br - ar
        scale = 2.0 * self._focal / (az + bz)  # pixels per metre at the capsule
        slope = (bz - az) * scale
        along = nearest(x, y, (dx, dy, dr), ar, slope)
        radius = along * np.float32(dr) + np.float32(ar)
        px, py = x - along * np.float32(dx), y - along * np.float32(dy)
        bulge = radius * radius - px * px - py * py
        surface = np.sqrt(np.maximum(bulge, 0.0))
        depth = along * np.float32(bz - az) + np.float32(az) - surface * np.float32(flatness / scale)
        buffer = self.depth[top:bottom, left:right]
        seen = (bulge > 0) & (depth < buffer)
        np.copyto(buffer, depth, where=seen)
        if self._colour:
            lx, ly, lz = self._light
            steep = surface * np.float32(1.0 / flatness)
            norm = radius if flatness == 1.0 else np.sqrt(px * px + py * py + steep * steep)
            glow = (px * np.float32(lx) + py * np.float32(ly) + steep * np.float32(lz)) / norm
            shade = np.float32(self._ambient) + np.float32(1 - self._ambient) * np.maximum(glow, 0.0)
            code = np.minimum(shade * np.float32(SHADES), np.float32(SHADES - 1)).astype(np.uint16)
            np.copyto(self.code[top:bottom, left:right], code + _paint(part, along), where=seen)
        self.box = (min(self.box[0], top), min(self.box[1], left), max(self.box[2], bottom), max(self.box[3], right))


def nearest(x: Plane, y: Plane, step: tuple[float, float, float], ar: float, slope: float) -> Plane:
    """Where along a capsule, 0..1, is the sphere that each ray meets first.

    Rays pass through x (1, W) and y (H, 1), px from the end a. The step from a to b in x, y and radius, the radius ar
    at a, and the slope, by which b is farther than a, are in px too. At t the surface is slope * t - sqrt(q(t)),
    q(t) = (ar + t * dr)^2 - (x - t * dx)^2 - (y - t * dy)^2. With q(t) = free - spread * (t - foot)^2 the derivative
    of the surface vanishes where (t - foot)^2 is as below.
    """
    dx, dy, dr = step
    spread = dx * dx + dy * dy - dr * dr
    if abs(spread) < _EDGE_ON:
        spread = -_EDGE_ON
    foot = x * np.float32(dx / spread) + y * np.float32(dy / spread) + np.float32(ar * dr / spread)
    free = foot * foot * np.float32(spread) + np.float32(ar * ar) - (x * x + y * y)
    if spread > 0:
        slant = slope / (spread * (spread + slope * slope)) ** 0.5
        return np.asarray(np.clip(foot - np.sqrt(np.maximum(free, 0.0)) * np.float32(slant), 0.0, 1.0))
    # One end covers the other. The flank between them shows only beside a smaller end that is nearer.
    from_b = (x - np.float32(dx)) ** 2 + (y - np.float32(dy)) ** 2
    bulge_a, bulge_b = np.float32(ar * ar) - (x * x + y * y), np.float32((ar + dr) ** 2) - from_b
    b_first = np.float32(slope) - np.sqrt(np.maximum(bulge_b, 0.0)) < -np.sqrt(np.maximum(bulge_a, 0.0))
    along = ((bulge_b > 0) & (b_first | (bulge_a <= 0))).astype(np.float32)
    if slope * dr > 0 and slope * slope > -spread:
        slant = slope / (-spread * (slope * slope + spread)) ** 0.5
        flank = np.clip(foot + np.sqrt(np.maximum(-free, 0.0)) * np.float32(slant), 0.0, 1.0)
        along = np.where(free < 0, flank, along)
    return along


def _paint(part: Capsule, along: Plane) -> npt.NDArray[np.uint16] | np.uint16:
    paint: npt.NDArray[np.uint16] | np.uint16 = np.uint16(part.material * SHADES)
    if part.stripes:
        light = (along * np.float32(part.stripes)) % 1.0 > 0.5
        paint = np.where(light, np.uint16(part.accent * SHADES), paint)
    if part.split < 1.0:
        paint = np.where(along > part.split, np.uint16(part.second * SHADES), paint)
    return paint
