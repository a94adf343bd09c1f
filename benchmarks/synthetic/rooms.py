"""Rooms without people: depth rooms with furniture, and pictures of real rooms, wider than the camera sees at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.data.recordings import VIDEO_SUFFIXES, read_rows
from fluxformer_core.errors import ConfigError
from fluxformer_core.images import to_rgb
from fluxformer_core.io.sources import open_source
from fluxformer_core.people.colour_finder import ColourFinder, closer_looks
from fluxformer_core.types import Pixels

SIZE = (480, 640)
"""px: height and width of what the camera sees."""

DEPTH_FIELD, COLOUR_FIELD = 95.0, 60.0
"""Degrees across. A narrower depth camera would show a person of a quarter of its height beyond 4.5 m, where models see
nothing."""

STATURE = 1.7
"""m: height of everybody."""

_SAMPLES = 48  # images of a video of which the median is taken
_FURNITURE = (3, 8)  # pieces for each picture width


def focal() -> float:
    """Focal length of the depth camera, px."""
    return SIZE[1] / 2 / float(np.tan(np.radians(DEPTH_FIELD / 2)))


def distance(share: float) -> float:
    """How far from the depth camera a person takes this share of the picture's height, m."""
    return focal() * STATURE / (share * SIZE[0])


def depth_room(width: int, eye: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Depth (H, width) in metres of a room with furniture that stands farther away than anybody.

    Args:
        width: px.
        eye: height of the camera above the floor, m.
        rng: decides about the room.
    """
    height = SIZE[0]
    farthest = distance(0.25)
    wall = farthest + float(rng.uniform(1.0, 2.5))
    below = np.maximum(np.arange(height) - height / 2, 1e-3)
    room = np.repeat(np.minimum(wall, focal() * eye / below)[:, None], width, axis=1).astype(np.float32)
    for _ in range(int(rng.integers(*_FURNITURE)) * width // SIZE[1]):
        away = float(rng.uniform(farthest + 0.5, wall - 0.1))
        wide, tall = (focal() * float(rng.uniform(*span)) / away for span in ((0.3, 1.4), (0.4, 2.0)))
        left, bottom = int(rng.integers(-50, width)), round(height / 2 + focal() * eye / away)
        piece = room[max(0, round(bottom - tall)) : max(0, bottom), max(0, left) : max(0, round(left + wide))]
        np.minimum(piece, np.float32(away), out=piece)
    return room


def colour_room(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """The middle of a picture of a room, RGB, enlarged to (H, width, 3).

    A picture that is continued by its mirror image would show limbs and bodies to the pose nets.
    """
    height, across = picture.shape[:2]
    zoom = max(SIZE[0] / height, width / across)
    size = max(width, round(across * zoom)), max(SIZE[0], round(height * zoom))
    room = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    left, top = (size[0] - width) // 2, (size[1] - SIZE[0]) // 2
    return room[top : top + SIZE[0], left : left + width]


def empty_pictures(videos: Sequence[Path], media: str | None = None) -> list[NDArray[np.uint8]]:
    """The median over time of each video, RGB; a median in which the pose nets find somebody is left out.

    Args:
        videos: files, folders of files, and lists (CSV files with the column path).
        media: folder that the paths of lists are relative to; None: the list's.

    Raises:
        ConfigError: if nothing is left.
        PeopleError: if the nets cannot be used.
    """
    films = [film for video in videos for film in _films(video, media)]
    pictures = [picture for picture in map(_median, films) if not _somebody(picture)]
    if not pictures:
        raise ConfigError("no video is free of people when its images are averaged")
    return pictures


def _films(video: Path, media: str | None) -> list[Path]:
    if video.suffix == ".csv":
        return [video.parent / (media or "") / row.get("path", "") for row in read_rows(video)]
    inside = sorted(video.iterdir()) if video.is_dir() else [video]
    return [path for path in inside if path.suffix.lower() in VIDEO_SUFFIXES]


def _median(video: Path) -> NDArray[np.uint8]:
    with open_source(str(video)) as source:
        images = [to_rgb(frame.image, frame.pixels) for frame in source]
    picked = np.unique(np.linspace(0, len(images) - 1, _SAMPLES).astype(int))
    return np.asarray(np.median([images[i] for i in picked], axis=0), np.uint8)


def _somebody(picture: NDArray[np.uint8]) -> bool:
    finder, large = ColourFinder(), colour_room(picture, SIZE[1])
    return any(finder.find(large, Pixels.RGB, 0) for _ in closer_looks(*SIZE))
