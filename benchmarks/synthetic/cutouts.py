"""People cut out of depth recordings and of performances of the rendered actor, to be set into other scenes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic.scenery import RATE
from fluxformer_core.actor import ActorStyle, rehearse
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import ConfigError
from fluxformer_core.images import FAR_GREY, NEAR_GREY
from fluxformer_core.io.sources import open_source

SOLID = 128
"""Of 255: share of a pixel from which the pixel is the person's."""

_RELIEF = (2.4, 3.0)  # m: nearest and farthest depth of a recording whose list does not tell
_STAGE = (480, 1280)  # px: height and width in which the actor is drawn; a walking actor needs the width
_STEADY = {"cropped": True, "fill": 1.0, "fov": 45.0, "noise": 0.0, "lateral": 0.0, "vertical": 0.0}


@dataclass(frozen=True)
class Cutout:
    """A person without a background, at RATE."""

    label: str
    pictures: tuple[NDArray[Any], ...]  # (h, w, 3) uint8 RGB; depth: (h, w) m behind the middle
    shares: tuple[NDArray[np.uint8], ...]  # (h, w) how much of each pixel belongs to the person, 0..255

    @property
    def depth(self) -> bool:
        """Whether this is a person in depth."""
        return self.pictures[0].ndim == 2

    @property
    def tall(self) -> float:
        """Height of the person in the first picture, px."""
        return float(np.ptp(np.nonzero(self.shares[0] >= SOLID)[0])) + 1

    @property
    def reach(self) -> tuple[int, int]:
        """Height and width of the pictures, px: all movement is inside."""
        height, width = self.shares[0].shape
        return height, width

    def scaled(self, tall: float) -> Cutout:
        """The person in another size, px."""
        zoom = tall / self.tall
        height, width = (max(2, round(length * zoom)) for length in self.reach)

        def sized(image: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(cv2.resize(image, (width, height), interpolation=_way(zoom)))

        shares = tuple(np.asarray(sized(share), np.uint8) for share in self.shares)
        if not self.depth:
            return replace(self, pictures=tuple(map(sized, self.pictures)), shares=shares)
        # The depths of the background must not be mixed into those of the person's edge.
        whole = [(share >= SOLID).astype(np.float32) for share in self.shares]
        pairs = zip(self.pictures, whole, strict=True)
        reliefs = tuple(sized(relief * part) / np.maximum(sized(part), 1e-3) for relief, part in pairs)
        return replace(self, pictures=reliefs, shares=shares)

    def still(self) -> Cutout:
        """The person in the first pose, without any movement."""
        return replace(self, pictures=self.pictures[:1], shares=self.shares[:1])


@lru_cache(maxsize=4)
def cut_out(clip: Recording | ActorClip) -> Cutout:
    """Cut the person out of a recording of depth without background, or draw the actor without one.

    Raises:
        SourceError: if the recording cannot be read.
        ConfigError: if the recording shows nobody or has a background.
    """
    return _drawn(clip) if isinstance(clip, ActorClip) else _recorded(clip)


def _recorded(recording: Recording) -> Cutout:
    near, far = _depths(Path(recording.path))
    with open_source(recording.path) as source:
        greys = [np.asarray(frame.image if frame.image.ndim == 2 else frame.image[..., 1]) for frame in source]
    if not greys or greys[0].max() < FAR_GREY or np.mean(greys[0] > FAR_GREY / 2) > 0.5:
        raise ConfigError(f"{recording.path} is no depth recording of a person without a background")
    shares = [np.asarray(np.clip((grey.astype(np.float32) / FAR_GREY) * 255, 0, 255), np.uint8) for grey in greys]
    ahead = [np.clip((NEAR_GREY - grey.astype(np.float32)) / (NEAR_GREY - FAR_GREY), 0, 1) for grey in greys]
    middle = np.median(ahead[0][shares[0] >= SOLID])
    return _cropped(recording.label, [(far - near) * (relief - middle) for relief in ahead], shares)


def _drawn(clip: ActorClip) -> Cutout:
    """The actor's colours and, from the same performance in depth, the actor's outline."""
    style = replace(ActorStyle.sample_recording(clip.seed, roaming=True), **_STEADY, depth_background="none")
    films = {
        mode: rehearse(clip.label, clip.seed, rate=RATE, size=_STAGE, mode=mode, style=style)
        for mode in ("colour", "depth")
    }
    depths = [image for _, image in films["depth"]]
    # The colours of the outermost pixels are blurred with the actor's own room.
    outlines = [cv2.erode((depth > 0).astype(np.uint8) * 255, np.ones((3, 3), np.uint8)) for depth in depths]
    shares = [np.asarray(cv2.GaussianBlur(outline, (3, 3), 0), np.uint8) for outline in outlines]
    return _cropped(clip.label, [image for _, image in films["colour"]], shares)


def _cropped(label: str, pictures: Sequence[NDArray[Any]], shares: Sequence[NDArray[np.uint8]]) -> Cutout:
    rows, columns = np.nonzero(np.max(shares, axis=0) >= SOLID)
    where = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return Cutout(label, tuple(p[where].copy() for p in pictures), tuple(s[where].copy() for s in shares))


def _depths(path: Path) -> tuple[float, float]:
    """Depths (m) of the brightest and the darkest grey, as the data set's table beside the recordings tells."""
    table = path.parent.parent / "meta.csv"
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("clip") == path.stem and {"depth_p1", "depth_p99"} <= row.keys():
                    return float(row["depth_p1"]) / 1000, float(row["depth_p99"]) / 1000
    return _RELIEF


def _way(zoom: float) -> int:
    return cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
