"""Connected surfaces in depth images: pieces without a jump in depth, and pieces joined to whole people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST_PIECE = 6  # px: a smaller piece is noise
_PART_REACH = 0.9  # m between the middles of a person and of an arm held towards the camera
_STACKED_REACH = 0.6  # m between the middles of two parts of one person, one above the other
_STACKED_OVERLAP = 0.3  # share of the shorter part's rows that two such parts have in common at most
_STEEPEST = 1.5  # m of depth in 1 m of height: a steeper surface is a floor
_SLOPE_ROWS = 3  # rows over which a slope is measured
_PAIR_APART, _PAIR_TRUNKS = 0.4, 0.75  # m between the heads of two touching people, and breadth of their trunks
_VALLEY = 0.92  # height of the gap between two touching people, as a share of the shorter one's height

Pixelwise = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Surface:
    """A part of a depth image."""

    pixels: Pixelwise  # (H, W)
    box: tuple[int, int, int, int]  # left, top, right and bottom in px
    depth: float  # m, median
    focal: float  # px: width at a distance of 1 m of what is 1 m wide

    @property
    def area(self) -> float:
        """Square metres, as far as seen."""
        return float(self.pixels.sum()) * (self.depth / self.focal) ** 2

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in metres."""
        left, top, right, bottom = self.box
        return (right - left) * self.depth / self.focal, (bottom - top) * self.depth / self.focal

    def touches(self, other: Surface) -> bool:
        """Whether at most two pixels lie between two surfaces."""
        near = cv2.dilate(self.pixels.view(np.uint8), np.ones((5, 5), np.uint8))
        return bool((near.view(bool) & other.pixels).any())


def surface(pixels: Pixelwise, metres: NDArray[np.float32], focal: float) -> Surface:
    """The surface that some pixels (H, W), at least one, of a depth image in metres show."""
    left, top, width, height = cv2.boundingRect(pixels.view(np.uint8))
    return Surface(pixels, (left, top, left + width, top + height), float(np.median(metres[pixels])), focal)


def pieces(pixels: Pixelwise, metres: NDArray[np.float32], jump: float, focal: float) -> list[Surface]:
    """Cut pixels (H, W) where the depth jumps by more than `jump` metres; the largest piece first."""
    whole = pixels.view(np.uint8).copy()
    for axis in (0, 1):
        before = (slice(None, -1), slice(None))[:: 1 - 2 * axis]
        after = (slice(1, None), slice(None))[:: 1 - 2 * axis]
        step = metres[after] - metres[before]
        # The farther pixel is cut out, and the outline of what is in front stays.
        whole[after][step > jump] = 0
        whole[before][step < -jump] = 0
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(whole, connectivity=4)
    found = []
    for i in np.argsort(-statistics[:, cv2.CC_STAT_AREA], kind="stable"):
        if i == 0 or statistics[i, cv2.CC_STAT_AREA] < _SMALLEST_PIECE:
            continue
        own = labels == i
        rim = cv2.dilate(own.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool) & pixels & (labels == 0)
        cut = surface(own, metres, focal)
        rim &= np.abs(metres - cut.depth) < _PART_REACH
        found.append(replace(cut, pixels=own | rim) if rim.any() else cut)
    return found


def join_parts(found: list[Surface], smallest: float) -> tuple[list[Surface], list[Surface]]:
    """Give small pieces, and halves that lie one above the other, to the people they belong to.

    Returns:
        The surfaces of at least `smallest` m2, the largest first, and the pieces that touch none of these.
    """
    people: list[Surface] = []
    loose: list[Surface] = []
    for piece in found:
        whole = piece.area >= smallest
        owners = [i for i, person in enumerate(people) if _belongs(piece, person, whole) and person.touches(piece)]
        if owners:
            nearest = min(owners, key=lambda i: abs(people[i].depth - piece.depth))
            people[nearest] = joined(people[nearest], piece)
        else:
            (people if whole else loose).append(piece)
    return people, loose


def joined(person: Surface, piece: Surface) -> Surface:
    """One surface of two; the depth stays that of the person."""
    (a, b, c, d), (e, f, g, h) = person.box, piece.box
    return replace(person, pixels=person.pixels | piece.pixels, box=(min(a, e), min(b, f), max(c, g), max(d, h)))


def _belongs(piece: Surface, person: Surface, whole: bool) -> bool:
    apart = abs(piece.depth - person.depth)
    if not whole:
        return apart < _PART_REACH
    (left, top, right, bottom), (west, north, east, south) = piece.box, person.box
    beside = min(bottom, south) - max(top, north) > _STACKED_OVERLAP * min(bottom - top, south - north)
    return (
        apart < _STACKED_REACH
        and not beside
        and min(right, east) - max(left, west) > 0.5 * min(right - left, east - west)
    )


def upright(metres: NDArray[np.float32], focal: float) -> Pixelwise:
    """Pixels (H, W) with a reading that are no floor: the depth of a floor grows fast from row to row."""
    rows = _SLOPE_ROWS
    if len(metres) <= rows:
        return np.asarray(metres > 0)
    rise = np.abs(metres[rows:] - metres[:-rows])
    from_above, to_below = np.concatenate([rise[:rows], rise]), np.concatenate([rise, rise[-rows:]])
    slope = np.minimum(from_above[: len(metres)], to_below[-len(metres) :]) / np.maximum(metres * (rows / focal), 1e-3)
    return np.asarray((metres > 0) & (slope < _STEEPEST))


def split_pair(found: Surface) -> list[Surface]:
    """Two people who touch are two: a broad surface with a gap from above between two tall parts is cut there."""
    left, top, right, bottom = found.box
    inside = found.pixels[top:bottom, left:right]
    trunk = inside[round(0.35 * (bottom - top)) : round(0.65 * (bottom - top)) + 1]
    # One person with raised or spread arms has gaps from above, too, but no broad trunk.
    if np.median(trunk.sum(axis=1)) * found.depth / found.focal < _PAIR_TRUNKS:
        return [found]
    reach = np.where(inside.any(axis=0), bottom - top - inside.argmax(axis=0), 0).astype(np.float32)
    smooth = cv2.blur(reach[None], (5, 1))[0]
    apart = round(_PAIR_APART * found.focal / found.depth)
    first = int(smooth.argmax())
    others = smooth.copy()
    others[max(0, first - apart + 1) : first + apart] = 0
    second = int(others.argmax())
    low, high = sorted((first, second))
    shorter = min(smooth[first], others[second])
    if shorter < 0.6 * smooth[first] or high - low < apart:
        return [found]
    gap = low + int(smooth[low : high + 1].argmin())
    if smooth[gap] > _VALLEY * shorter:
        return [found]
    halves = []
    for begin, end in ((left, left + gap), (left + gap, right)):
        half = np.zeros_like(found.pixels)
        half[:, begin:end] = found.pixels[:, begin:end]
        rows = np.flatnonzero(half.any(axis=1))
        halves.append(replace(found, pixels=half, box=(begin, int(rows[0]), end, int(rows[-1]) + 1)))
    return halves
