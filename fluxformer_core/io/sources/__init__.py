"""Sources of images without ROS: video files, cameras, folders of images and bags, opened by one function."""

from __future__ import annotations

from pathlib import Path

from fluxformer_core.errors import ConfigError, SourceError
from fluxformer_core.io.sources.base import Source, SourceFrame

__all__ = ["Source", "SourceFrame", "open_source"]

_BAG_FILES = (".mcap", ".db3")


def open_source(spec: str, *, topic: str | None = None, rate: float | None = None) -> Source:
    """Open a source of images. The library for a kind of source is imported when it is needed.

    Args:
        spec: a video file; a bag (its folder, or one .mcap or .db3 file); a folder of images; a camera's
            index ("0") or device ("/dev/video0").
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
