"""Strips of thumbnails from a bag; only images that are shown are decoded."""

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
_EMPTY = 236  # grey level where there was no image
_QUALITY = 87  # of JPEG, 0..100


@dataclass(frozen=True)
class Stretch:
    """A stretch of time that is shown by evenly spread images."""

    start: int  # ns
    end: int  # ns
    count: int = 10

    @property
    def spacing(self) -> float:
        """Time between two thumbnails, ns."""
        return (self.end - self.start) / self.count

    def moments(self) -> list[int]:
        """The times of the thumbnails, ns: the middle of each part."""
        return [round(self.start + self.spacing * (i + 0.5)) for i in range(self.count)]


def strips(path: Path, topic: str, stretches: Sequence[Stretch], spec: ClipSpec) -> list[bytes]:
    """Show stretches of a bag, which may overlap, each as a row of thumbnails; `spec` tells how depth is shown.

    The result has a JPEG for each stretch, empty if the bag has no readable image in the stretch.
    """
    due = sorted(
        (moment, row, column) for row, one in enumerate(stretches) for column, moment in enumerate(one.moments())
    )
    rows: list[dict[int, NDArray[np.uint8]]] = [{} for _ in stretches]
    taken: set[int] = set()  # indices into `due`
    longest = max((stretch.spacing for stretch in stretches), default=0.0)

    def serves(stamp: int) -> list[int]:
        """Indices of the open moments that this image shows: the image comes at most one spacing after the moment."""
        found = []
        for i in range(bisect_left(due, (stamp + 1, -1, -1)) - 1, -1, -1):
            moment, row, _ = due[i]
            if stamp - moment > longest:
                break
            if i not in taken and stamp - moment <= stretches[row].spacing:
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
        pass  # The evaluation reports the damage. The strips show the images before the damage.
    return [_joined(row, one.count) for row, one in zip(rows, stretches, strict=True)]


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
        small = row.get(column, np.full((HEIGHT, width, 3), _EMPTY, np.uint8))
        left = column * (width + _GAP)
        page[:, left : left + small.shape[1]] = small
    return jpeg(page)


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """Encode an RGB image (H, W, 3)."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return data.tobytes()
