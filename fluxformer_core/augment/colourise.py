"""People of depth clips as a colour camera might have seen them: clothes, skin and light on their surface."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.actor.appearance import HAIRS, SKINS

Planes = NDArray[np.float32]
"""(T, S, S), 0..1."""
Cutout = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""RGB times opacity (T, S, S, 3), and opacity (T, S, S)."""

SOLID = 56
"""Depth grey from which a pixel shows a person; below lie soft edges, then the background."""

_ABSENT = 12  # depth grey below which a pixel shows no person
_CLOTH = 64  # px: side of the texture that is wrapped around a body
_BODY_COLUMN = 0.05  # of the image side: half the width of the strip that holds head and trunk but no raised arm


def colourise(depth: NDArray[np.uint8], rng: np.random.Generator) -> Cutout:
    """Give the people of a depth clip (T, S, S) random clothes, skin and light, the same in all frames.

    Near is bright, and 0 is no reading; see `images.depth_to_grey`.
    """
    colour, opacity = np.zeros((*depth.shape, 3), np.uint8), np.zeros_like(depth)
    columns = np.flatnonzero((depth > _ABSENT).any(axis=(0, 1)))
    if len(columns) == 0:
        return colour, opacity
    # The picture is usually empty on both sides of a person.
    span = slice(max(0, int(columns[0]) - 3), int(columns[-1]) + 4)
    shown = contrast(np.ascontiguousarray(depth[:, :, span]), rng.uniform(80, 130), 250.0)
    share = _share(shown)
    surface = _surface(shown, share)
    light = _shading(surface, share, rng) * (share * np.float32(255))
    albedo = _albedo(surface, share, rng)
    albedo *= light[..., None]
    colour[:, :, span] = np.minimum(albedo, 255, out=albedo)
    opacity[:, :, span] = share * np.float32(255)
    return colour, opacity


def silhouette(depth: NDArray[np.uint8]) -> Cutout:
    """The people of a depth clip (T, S, S), unchanged."""
    share = _share(depth)
    colour = (depth * share).astype(np.uint8)
    return np.repeat(colour[..., None], 3, axis=3), (share * np.float32(255)).astype(np.uint8)


def can_be_cut_out(depth: NDArray[np.uint8]) -> bool:
    """Whether a depth clip (T, S, S) shows people without a background, so that they can be cut out."""
    side = depth.shape[1] // 8
    corners = depth[::4, [[0], [-1]], [0, -1]], depth[::4, [[side], [-side]], [side, -side]]
    return float((np.stack(corners) > _ABSENT).mean()) < 0.3


def contrast(depth: NDArray[np.uint8], low: float, high: float) -> NDArray[np.uint8]:
    """Change the contrast of depth: the farthest surface gets the brightness `low`, the nearest `high`.

    Cameras and recordings differ in the range of depth that they show from black to white.
    """
    sparse = depth[::3, ::2, ::2]
    seen = sparse[sparse >= SOLID]
    if len(seen) < 20:
        return depth
    far, near = (float(value) for value in np.percentile(seen, (2.0, 99.5)))
    near = max(near, far + 4.0)
    steps = np.interp(np.arange(256), (0.0, far, near, 256.0), (0.0, low, high, max(high, 255.0)))
    return np.asarray(cv2.LUT(depth, np.rint(steps).astype(np.uint8)))


def _share(depth: NDArray[np.uint8]) -> Planes:
    share = (depth.astype(np.float32) - _ABSENT) * np.float32(1 / (SOLID - _ABSENT))
    return np.asarray(np.clip(share, 0, 1), dtype=np.float32)


def _surface(depth: NDArray[np.uint8], opacity: Planes) -> Planes:
    """Depth brightness, continued smoothly beyond the outline, where pixels show the person only in part."""
    solid = (opacity > 0.95).astype(np.float32)
    stacked = (depth * solid * np.float32(1 / 255)).transpose(1, 2, 0), solid.transpose(1, 2, 0)
    # All frames are blurred at once, as channels of one image.
    seen, weight = (cv2.blur(np.ascontiguousarray(plane), (3, 3)) for plane in stacked)
    return np.ascontiguousarray((seen / np.maximum(weight, np.float32(0.02))).transpose(2, 0, 1))


def _shading(surface: Planes, opacity: Planes, rng: np.random.Generator) -> Planes:
    """Light from one side on a surface with the relief of the depth, rounded at the silhouette."""
    body = cv2.blur(np.ascontiguousarray(opacity.transpose(1, 2, 0)), (5, 5)).transpose(2, 0, 1)
    height = surface * np.float32(rng.uniform(4.0, 14.0)) + body * np.float32(rng.uniform(0.5, 2.5))
    right, down = np.zeros_like(height), np.zeros_like(height)
    right[:, :, 1:-1] = height[:, :, :-2] - height[:, :, 2:]
    down[:, 1:-1] = height[:, :-2] - height[:, 2:]
    azimuth, elevation = rng.uniform(-1.3, 1.3), rng.uniform(0.1, 1.2)
    x, y = np.cos(elevation) * np.sin(azimuth), -np.sin(elevation)
    z = np.cos(elevation) * np.cos(azimuth)
    steep = np.sqrt(right * right + down * down + 1)
    glow = np.maximum((right * np.float32(x) + down * np.float32(y) + np.float32(z)) / steep, 0)
    ambient = np.float32(rng.uniform(0.35, 0.75))
    return np.asarray((ambient + (1 - ambient) * glow) * np.float32(rng.uniform(0.8, 1.3)))


def _albedo(surface: Planes, opacity: Planes, rng: np.random.Generator) -> NDArray[np.float32]:
    cloth, arm = _clothes(rng)
    wrapped = np.empty((*surface.shape, 3), np.float32)
    for i, (top, bottom, centre) in enumerate(_extents(opacity)):
        scale = (bottom - top) / _CLOTH
        onto = np.array([[scale, 0.0, centre - 0.5 * _CLOTH * scale], [0.0, scale, top]])
        wrapped[i] = cv2.warpAffine(cloth, onto, surface.shape[2:0:-1], borderMode=cv2.BORDER_REPLICATE)
    # Pixels nearer than the body as a whole show a hand or a forearm.
    mean = (surface * opacity).sum(axis=(1, 2)) / np.maximum(opacity.sum(axis=(1, 2)), 1)
    ahead = surface - (mean + np.float32(rng.uniform(0.1, 0.2)))[:, None, None]
    share = np.clip(ahead * np.float32(14), 0, 1)[..., None]
    wrapped += (arm - wrapped) * share
    return wrapped


def _extents(opacity: Planes) -> list[tuple[float, float, float]]:
    """Top row, bottom row and column of head and trunk in each frame."""
    side = opacity.shape[2]
    # Squares weight the tall columns of the trunk more than the low columns of a stretched arm.
    weight = opacity.sum(axis=1) ** 2
    centres = (weight * np.arange(side, dtype=np.float32)).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
    half = max(1, round(_BODY_COLUMN * side))
    extents = []
    for plane, centre in zip(opacity, centres.tolist(), strict=True):
        left = max(0, round(centre) - half)
        rows = np.flatnonzero(plane[:, left : left + 2 * half + 1].mean(axis=1) > 0.4)
        top, bottom = (float(rows[0]), float(rows[-1] + 1)) if len(rows) > 1 else (0.0, float(side))
        extents.append((top, bottom, centre))
    return extents


def _clothes(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Texture of a standing person's front, as wide as the person is high, and the colour of a stretched arm."""
    skin, hair = (np.array(some[rng.integers(len(some))], np.float32) / 255 for some in (SKINS, HAIRS))
    shirt, trousers, shoes = (_cloth_colour(rng) for _ in range(3))
    if rng.random() < 0.15:
        trousers = shirt
    x = np.abs(np.linspace(-0.5, 0.5, _CLOTH, dtype=np.float32))[None, :, None]
    y = np.linspace(0, 1, _CLOTH, dtype=np.float32)[:, None, None]
    hem = rng.uniform(0.46, 0.6)
    sleeve = rng.choice((0.16, 0.3, 0.5))  # row at which the sleeve ends
    cloth = np.where(y < hem, _pattern(shirt, x, y, rng), np.where(y < 0.95, trousers, shoes))
    cloth = np.where((y >= sleeve) & (y < 0.56) & (x > 0.105), skin, cloth)
    if rng.random() < 0.2:  # shorts, a skirt
        cloth = np.where((y >= rng.uniform(0.62, 0.78)) & (y < 0.95), skin, cloth)
    cloth = np.where(y < 0.155, np.where(y < rng.uniform(0.02, 0.07), hair, skin), cloth)
    cloth += rng.normal(0, rng.uniform(0.0, 0.06), (_CLOTH, _CLOTH, 1)).astype(np.float32)
    arm = shirt if sleeve == 0.5 and rng.random() < 0.5 else skin
    return cloth.astype(np.float32), arm.astype(np.float32)


def _pattern(
    shirt: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    kind = rng.random()
    if kind < 0.6:
        return np.asarray(shirt + 0 * x + 0 * y)
    other = _cloth_colour(rng)
    if kind < 0.75:
        return np.asarray(np.where((y * rng.uniform(8, 40)) % 1 < 0.5, shirt, other) + 0 * x)
    if kind < 0.85:
        return np.asarray(np.where((x * rng.uniform(8, 40)) % 1 < 0.5, shirt, other) + 0 * y)
    if kind < 0.95:  # an open jacket, a print
        return np.asarray(np.where((x < rng.uniform(0.02, 0.07)) & (y > rng.uniform(0.1, 0.3)), other, shirt))
    return np.asarray(np.where((x * 25 % 1 < 0.3) | (y * 25 % 1 < 0.3), shirt, other))


def _cloth_colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """The colour of a cloth, seldom vivid."""
    value = rng.uniform(0.06, 0.95)
    vivid = 0.5 * rng.random() ** 1.5
    return np.asarray(np.clip(value * (1 + vivid * rng.uniform(-1.4, 1.4, 3)), 0.03, 1), dtype=np.float32)
