"""Sources of images without ROS: video files, cameras, folders of images and bags, opened by one function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fluxformer_core.errors import ConfigError, SourceError
from fluxformer_core.types import Pixels

if TYPE_CHECKING:
    from typing_extensions import Self

_BAG_FILES = (".mcap", ".db3")


@dataclass(frozen=True)
class SourceFrame:
    """One image and its stamp."""

    stamp: int  # ns on the source's own clock
    image: np.ndarray  # (H, W) or (H, W, C)
    pixels: Pixels


class Source(ABC):
    """A sequence of stamped images; a context manager that keeps its files or devices open.

    Each iteration of a recording starts at the first frame. Each step of an iteration of a live source gives the newest
    image.

    Attributes:
        name: name that the user gave.
        rate: nominal frames per second in Hz; None if the rate varies or is unknown.
        length: number of frames; None if unknown or endless.
        live: whether frames that are not read in time are lost.
    """

    live = False

    def __init__(self, name: str, *, rate: float | None = None, length: int | None = None) -> None:
        self.name, self.rate, self.length = name, rate, length

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames in order.

        Raises:
            SourceError: if the source holds no frame, or the recording is damaged or cut short.
        """
        empty = True
        for frame in self._frames():
            empty = False
            yield frame
        if empty:
            raise SourceError(f"{self.name} holds no frame")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @abstractmethod
    def _frames(self) -> Iterator[SourceFrame]: ...

    def close(self) -> None:  # noqa: B027  # most sources open files only during an iteration
        """Close files and devices; a closed source gives no more frames."""


def open_source(spec: str, *, topic: str | None = None, rate: float | None = None) -> Source:
    """Open a video file, a bag, a folder of images or a camera. The library for it is imported when it is needed.

    Args:
        spec: a file; a folder; a bag's folder, or its only file (.mcap, .db3); a camera's index ("0") or device
            ("/dev/video0").
        topic: image topic of a bag; needed if the bag has several image topics.
        rate: frames per second in Hz at which the images of a folder were taken.

    Raises:
        SourceError: if the source cannot be opened, with the reason.
        ConfigError: if `topic` is given for a source that is no bag, or `rate` for a source that is no folder.
    """
    path = Path(spec).expanduser()
    camera = spec.isdecimal() or spec.startswith("/dev/video")
    if not camera and not path.exists():
        raise SourceError(f"{spec} does not exist; give a video file, a bag, a folder of images or a camera's index")
    folder = not camera and path.is_dir()
    bag = (path / "metadata.yaml").exists() if folder else not camera and path.suffix in _BAG_FILES
    if topic is not None and not bag:
        raise ConfigError(f"{spec} is not a bag, so it has no topic {topic!r}")
    if rate is not None and (bag or not folder):
        raise ConfigError(f"{spec} has its own stamps; a rate is for folders of images only")

    if camera:
        from fluxformer_core.io.sources.camera import CameraSource

        return CameraSource(spec)
    if bag:
        from fluxformer_core.io.sources.bag import BagSource

        return BagSource(path, topic)
    if folder:
        from fluxformer_core.io.sources.folder import FolderSource

        return FolderSource(path) if rate is None else FolderSource(path, rate)
    from fluxformer_core.io.sources.video import VideoSource

    return VideoSource(path)
