"""Strips of thumbnails from a bag: only the images that are shown are decoded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.errors import SourceError
from fluxformer_core.io.sources.bag import BagSource
from fluxformer_core.render.overlay import visible
from fluxformer_core.types import ClipSpec

HEIGHT = 72
"""Pixels of a thumbnail."""

_GAP = 2  # px between thumbnails
_EMPTY = 236  # grey where there was no image


@dataclass(frozen=True)
class Stretch:
    """A stretch of time to be shown by some images, evenly spread."""

    start: int  # ns
    end: int  # ns
    count: int = 10

    def moments(self) -> list[int]:
        """When its thumbnails are due, ns."""
        part = (self.end - self.start) / self.count
        return [round(self.start + part * (i + 0.5)) for i in range(self.count)]


def strips(path: Path, topic: str, stretches: Sequence[Stretch], spec: ClipSpec) -> list[bytes]:
    """Show stretches of a bag, each as a row of thumbnails.

    Args:
        path: the bag.
        topic: of its images.
        stretches: to show; they may overlap.
        spec: says how depth is shown.

    Returns:
        A JPEG for each; empty if none of its images can be had.
    """
    due = sorted(
        (moment, row, column) for row, one in enumerate(stretches) for column, moment in enumerate(one.moments())
    )
    rows: list[dict[int, NDArray[np.uint8]]] = [{} for _ in stretches]
    taken: set[int] = set()  # places in `due`

    def serves(stamp: int) -> list[int]:
        """Moments, not served yet, that this image is the first one after; within half of their spacing."""
        last = bisect_left(due, (stamp + 1, -1, -1))
        found = []
        for i in range(last - 1, -1, -1):
            moment, row, _ = due[i]
            if stamp - moment > _longest(stretches):
                break
            if i not in taken and stamp - moment <= (stretches[row].end - stretches[row].start) / stretches[row].count:
                found.append(i)
        return found

    try:
        with BagSource(path, topic) as source:
            for frame in source.pick(lambda stamp: bool(serves(stamp))):
                small = _small(visible(frame.image, frame.pixels, spec.depth_range))
                for i in serves(frame.stamp):
                    taken.add(i)
                    rows[due[i][1]][due[i][2]] = small
    except SourceError:
        pass  # what was to be had before the damage is shown; the damage itself has been told before
    return [_joined(row, one.count) for row, one in zip(rows, stretches, strict=True)]


def _longest(stretches: Sequence[Stretch]) -> float:
    return max((one.end - one.start) / one.count for one in stretches)


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    size = (max(1, round(width * HEIGHT / height)), HEIGHT)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _joined(row: dict[int, NDArray[np.uint8]], count: int) -> bytes:
    if not row:
        return b""
    width = max(small.shape[1] for small in row.values())
    page = np.full((HEIGHT, count * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for column in range(count):
        left = column * (width + _GAP)
        small = row.get(column)
        if small is None:
            page[:, left : left + width] = _EMPTY
        else:
            page[:, left : left + small.shape[1]] = small
    done, data = cv2.imencode(".jpg", cv2.cvtColor(page, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done
    return data.tobytes()
