"""A folder of images as a source: sorted by the numbers in the names, a fixed time apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fluxformer_core.errors import ConfigError, ImageError, SourceError
from fluxformer_core.io.image_encodings import decode_compressed
from fluxformer_core.io.sources import Source, SourceFrame
from fluxformer_core.types import SECOND

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


class FolderSource(Source):
    """The images of a folder; 16-bit PNG of one channel is depth in millimetres.

    Args:
        path: the folder.
        rate: frames per second in Hz.

    Raises:
        SourceError: if the folder has no images.
        ConfigError: if the rate is not positive.
    """

    def __init__(self, path: Path, rate: float = 30.0) -> None:
        if not rate > 0:
            raise ConfigError(f"rate must be positive, not {rate}")
        try:
            files = [file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES]
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        if not files:
            raise SourceError(f"{path} holds neither images ({', '.join(sorted(_SUFFIXES))}) nor a bag's metadata.yaml")
        super().__init__(str(path), rate=rate, length=len(files))
        self._files = sorted(files, key=_natural)
        self._period = SECOND / rate

    def _frames(self) -> Iterator[SourceFrame]:
        for index, file in enumerate(self._files):
            try:
                image, pixels = decode_compressed("", file.read_bytes())
            except (ImageError, OSError) as error:
                raise SourceError(f"{file} cannot be read: {error}") from error
            yield SourceFrame(round(index * self._period), image, pixels)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key under which frame2 comes before frame10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]
