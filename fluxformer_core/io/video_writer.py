"""Writing pictures to a video file, each with its own time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from fluxformer_core.errors import ConfigError
from fluxformer_core.types import SECOND

if TYPE_CHECKING:
    from typing_extensions import Self

_TICK = Fraction(1, 90_000)  # s: the usual clock of H.264
_NOMINAL_RATE = 30  # Hz: the rate that players expect; every frame still has its own time


class VideoRecorder:
    """An H.264 video in the container that the file's suffix names, preferably .mp4; a context manager.

    An existing file is replaced. The first picture sets the size of the video and has time 0. A picture is left out if
    it is not later than the picture before it.

    Raises:
        ConfigError: if the file cannot be written. All methods raise this error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._clear_error():
            path.open("wb").close()  # fails at once, whereas FFmpeg fails only after the first pictures
            self._container = av.open(str(path), "w")
            self._stream: Any = self._container.add_stream("libx264", rate=_NOMINAL_RATE, options={"crf": "20"})
        self._stream.pix_fmt = "yuv420p"  # the only pixel format that every player shows
        self._stream.codec_context.time_base = _TICK
        self._start: int | None = None
        self._last = -1

    def write(self, picture: np.ndarray, stamp: int) -> None:
        """Append a picture, (H, W, 3) uint8 RGB with even sides, of the same size every time; its stamp is in ns."""
        if self._start is None:
            self._start = stamp
            self._stream.height, self._stream.width = picture.shape[:2]
        ticks = round((stamp - self._start) / (SECOND * _TICK))
        if ticks <= self._last:
            return
        self._last = ticks
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = ticks, _TICK
        with self._clear_error():
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the frames that the encoder still holds, and close the file."""
        with self._clear_error():
            if self._start is not None:
                self._container.mux(self._stream.encode())
            self._container.close()

    @contextmanager
    def _clear_error(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ConfigError(f"{self._path} cannot be written: {error} (use a name that ends in .mp4)") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
