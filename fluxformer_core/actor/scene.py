"""The scene around the actor: the camera, the background in colour and depth, the shadow, the camera's noise."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from fluxformer_core.actor.appearance import ActorStyle
from fluxformer_core.actor.pose import Array
from fluxformer_core.actor.render import PinholeCamera

Image = npt.NDArray[np.uint8]
_NOISE_MARGIN = 48  # px: largest shift of the noise from frame to frame


def camera_for(style: ActorStyle, size: tuple[int, int]) -> PinholeCamera:
    """The camera that shows the standing actor as the style asks, for images of size (height, width)."""
    height, width = size
    focal = 0.5 * height / math.tan(math.radians(0.5 * style.fov))
    distance = style.stature * focal / (style.fill * height)
    down, aside = (style.camera_height - 0.5 * style.stature) / distance, -style.lateral * width * distance / focal
    aimed = math.atan(down) - math.atan(style.vertical * height / focal)
    tilt = aimed if style.tilt is None else math.radians(style.tilt)
    return PinholeCamera(focal, (0.5 * (width - 1), 0.5 * (height - 1)), aside, style.camera_height, distance, tilt)


def light_direction(style: ActorStyle) -> tuple[float, float, float]:
    """Unit vector towards the lamp: to the image's right, up, towards the camera."""
    azimuth, elevation = (math.radians(angle) for angle in style.light)
    level = math.cos(elevation)
    return level * math.sin(azimuth), math.sin(elevation), level * math.cos(azimuth)


def background_depth(style: ActorStyle, camera: PinholeCamera, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Distance along the optical axis in metres of the wall behind the actor and the floor, (H, W)."""
    down = (np.arange(size[0]) - camera.centre[1]) / camera.focal
    sine, cosine = math.sin(camera.tilt), math.cos(camera.tilt)
    ahead, up = cosine - sine * down, -sine - cosine * down
    wall = (camera.distance + style.wall) / np.maximum(ahead, 0.05)
    floor = np.where(up < -1e-3, camera.height / np.maximum(-up, 1e-3), np.inf)
    return np.repeat(np.minimum(wall, floor)[:, None], size[1], axis=1).astype(np.float32)


def background_colour(style: ActorStyle, camera: PinholeCamera, size: tuple[int, int]) -> Image:
    """RGB (H, W, 3) of the place without the actor."""
    rng = np.random.default_rng([style.decor, 0xB6])
    painter = {"room": _room, "gradient": _gradient, "noise": _noise, "clutter": _clutter}[style.background]
    canvas = painter(style, camera, size, rng)
    return np.clip(cv2.GaussianBlur(canvas, (0, 0), 0.0022 * size[0]), 0, 255).astype(np.uint8)


def _pastel(rng: np.random.Generator, low: float, high: float, tint: float) -> Array:
    return np.clip(rng.uniform(low, high) + rng.uniform(-tint, tint, 3), 0, 255)


def _plate(camera: PinholeCamera, corners: Array) -> npt.NDArray[np.int32]:
    pixels, _ = camera.project(corners)
    return np.round(pixels).astype(np.int32)


def _on_wall(style: ActorStyle, left: float, right: float, bottom: float, top: float) -> Array:
    z = -style.wall
    return np.array([[left, bottom, z], [right, bottom, z], [right, top, z], [left, top, z]])


def _room(style: ActorStyle, camera: PinholeCamera, size: tuple[int, int], rng: np.random.Generator) -> Array:
    wall, floor = _pastel(rng, 165, 232, 16), _pastel(rng, 95, 190, 28)
    lit = 1.0 + 0.16 * np.linspace(-1, 1, size[1]) * np.sign(style.light[0] or 1.0)
    canvas: Array = wall * lit[None, :, None] * np.linspace(1.04, 0.92, size[0])[:, None, None]
    z, near, wide = -style.wall, camera.distance - 0.4, 9.0
    ground = np.array([[-wide, 0, z], [wide, 0, z], [wide, 0, near], [-wide, 0, near]])
    cv2.fillConvexPoly(canvas, _plate(camera, ground), floor.tolist())
    for plank in np.arange(z, camera.distance - 0.5, rng.uniform(0.25, 0.5)):
        line = _plate(camera, np.array([[-wide, 0, plank], [wide, 0, plank]]))
        cv2.line(canvas, line[0].tolist(), line[1].tolist(), (0.93 * floor).tolist(), 1)
    cv2.fillConvexPoly(canvas, _plate(camera, _on_wall(style, -wide, wide, 0.0, 0.09)), (0.72 * wall).tolist())
    for side in (-1.0, 1.0):
        _furnish(canvas, style, camera, rng, side)
    return canvas


def _furnish(canvas: Array, style: ActorStyle, camera: PinholeCamera, rng: np.random.Generator, side: float) -> None:
    """A door, a window, a shelf or a picture on one side of the wall."""
    kind, middle, colour = rng.integers(5), side * rng.uniform(0.75, 1.9), _pastel(rng, 70, 210, 50)

    def panel(left: float, right: float, bottom: float, top: float, fill: Array) -> None:
        corners = _on_wall(style, middle + left, middle + right, bottom, top)
        cv2.fillConvexPoly(canvas, _plate(camera, corners), fill.tolist())

    if kind == 0:
        panel(-0.47, 0.47, 0.0, 2.08, 0.7 * colour)
        panel(-0.42, 0.42, 0.0, 2.03, colour)
        panel(0.28, 0.36, 0.95, 1.02, 0.4 * colour)
    elif kind == 1:
        panel(-0.6, 0.6, 0.95, 2.1, np.full(3, 245.0))
        for left in (-0.55, 0.03):
            panel(left, left + 0.52, 1.0, 2.05, _pastel(rng, 190, 235, 20) + np.array([-25.0, 0.0, 18.0]))
    elif kind == 2:
        panel(-0.5, 0.5, 0.0, 1.8, 0.55 * colour)
        for level in (0.1, 0.52, 0.94, 1.36):
            panel(-0.46, 0.46, level, level + 0.36, 0.8 * colour)
            edge = -0.44
            while edge < 0.36:
                book = rng.uniform(0.03, 0.07)
                panel(edge, edge + book, level, level + rng.uniform(0.2, 0.32), _pastel(rng, 60, 200, 60))
                edge += book + (0.1 if rng.random() < 0.1 else 0.004)
    else:
        low, wide, tall = rng.uniform(1.0, 1.5), rng.uniform(0.2, 0.5), rng.uniform(0.3, 0.6)
        panel(-wide, wide, low, low + tall, 0.4 * colour)
        panel(-wide + 0.04, wide - 0.04, low + 0.04, low + tall - 0.04, _pastel(rng, 80, 220, 60))
        if kind == 4:
            panel(-0.6, 0.6, 0.0, 0.72, 0.6 * colour)
            panel(-0.64, 0.64, 0.68, 0.76, 0.9 * colour)


def _gradient(style: ActorStyle, camera: PinholeCamera, size: tuple[int, int], rng: np.random.Generator) -> Array:
    corners = np.stack([[_pastel(rng, 40, 220, 40) for _ in range(2)] for _ in range(2)])
    return cv2.resize(corners, (size[1], size[0]), interpolation=cv2.INTER_CUBIC).astype(np.float64)


def _noise(style: ActorStyle, camera: PinholeCamera, size: tuple[int, int], rng: np.random.Generator) -> Array:
    canvas, strength = np.tile(_pastel(rng, 60, 190, 25), (*size, 1)), rng.uniform(0.2, 1.0)
    for cells in (3, 6, 12, 24, 48):
        grey, tint = 80.0 * strength / cells**0.6, 12.0 * strength / cells**0.6
        coarse = rng.normal(0.0, grey, (cells, cells, 1)) + rng.normal(0.0, tint, (cells, cells, 3))
        canvas += cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return canvas


def _clutter(style: ActorStyle, camera: PinholeCamera, size: tuple[int, int], rng: np.random.Generator) -> Array:
    canvas = _gradient(style, camera, size, rng)
    for _ in range(int(rng.integers(8, 30))):
        middle = rng.uniform(0, 1, 2) * (size[1], size[0])
        extent = rng.uniform(0.03, 0.25, 2) * size[0]
        box = cv2.boxPoints((middle.tolist(), extent.tolist(), float(rng.choice((0.0, 0.0, 90.0, rng.uniform(0, 90))))))
        cv2.fillConvexPoly(canvas, np.round(box).astype(np.int32), _pastel(rng, 30, 230, 60).tolist())
    return canvas


class Shadow:
    """The soft shadow that the actor casts on the floor, drawn small and enlarged."""

    _SHRINK = 4

    def __init__(self, camera: PinholeCamera, light: tuple[float, float, float], size: tuple[int, int]) -> None:
        self._camera, self._size = camera, size
        lean = 1.0 / max(light[1], 0.7)  # a low lamp would throw the shadow out of the picture
        self._slant = np.array([light[0] * lean, 0.0, light[2] * lean])
        self._small = (max(8, size[0] // self._SHRINK), max(8, size[1] // self._SHRINK))

    def fall(self, ends: Array, radii: Array) -> npt.NDArray[np.float32]:
        """Light in the shadow, (H, W) in 0..1, of bones with ends (N, 2, 3) and radii (N,) in metres."""
        ground = ends - self._slant * ends[..., 1:2]
        ground[..., 1] = 0.0
        pixels, depth = self._camera.project(ground)
        factor = self._small[0] / self._size[0]
        widths = np.maximum(1, np.round(2 * radii * self._camera.focal / depth.mean(axis=1) * factor)).astype(int)
        mask = np.zeros(self._small, dtype=np.float32)
        for (a, b), width in zip(np.round(pixels * factor).astype(int).tolist(), widths.tolist(), strict=True):
            cv2.line(mask, a, b, 0.34, width)
        blurred = cv2.GaussianBlur(mask, (0, 0), 0.012 * self._small[0] + 0.4)
        return np.asarray(1.0 - cv2.resize(blurred, (self._size[1], self._size[0]), interpolation=cv2.INTER_LINEAR))


class SensorNoise:
    """The noise of a camera: one random field, shifted for every frame."""

    def __init__(self, size: tuple[int, int], channels: int, strength: float, seed: int) -> None:
        rng = np.random.default_rng([seed, 0x2015E])
        shape = (size[0] + _NOISE_MARGIN, size[1] + _NOISE_MARGIN, channels)
        self._field = rng.standard_normal(shape, dtype=np.float32) * np.float32(strength)
        self._size, self._seed = size, seed

    def field(self, index: int) -> npt.NDArray[np.float32]:
        """Noise of a frame, (H, W, channels)."""
        top, left = np.random.default_rng([self._seed, index]).integers(_NOISE_MARGIN, size=2)
        return self._field[top : top + self._size[0], left : left + self._size[1]]
