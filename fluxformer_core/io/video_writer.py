"""Writing pictures to a video file with the time that each was taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from fluxformer_core.errors import ConfigError
from fluxformer_core.types import SECOND

if TYPE_CHECKING:
    from typing_extensions import Self

_TICK = Fraction(1, 90_000)  # s: the usual clock of H.264
_NOMINAL_RATE = 30  # Hz: what players expect; every frame still has its own time


class VideoRecorder:
    """An H.264 video in whatever container the file's suffix names; a context manager.

    The first picture sets the size and is at time 0. A picture that is not later than the one before it is left out.

    Args:
        path: the file, best .mp4; replaced if it exists.

    Raises:
        ConfigError: if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._clear_error():
            path.open("wb").close()  # FFmpeg itself would fail only after the first pictures
            self._container = av.open(str(path), "w")
            self._stream: Any = self._container.add_stream("libx264", rate=_NOMINAL_RATE, options={"crf": "20"})
        self._stream.pix_fmt = "yuv420p"  # the only format that every player shows
        self._stream.codec_context.time_base = _TICK
        self._start: int | None = None
        self._last = -1

    def write(self, picture: np.ndarray, stamp: int) -> None:
        """Append a picture.

        Args:
            picture: (H, W, 3) uint8 RGB of even sides, the same size every time.
            stamp: ns.

        Raises:
            ConfigError: if the file cannot be written any more.
        """
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
        """Write what is still held back and close the file."""
        with self._clear_error():
            if self._start is not None:
                self._container.mux(self._stream.encode())
            self._container.close()

    @contextmanager
    def _clear_error(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ConfigError(f"{self._path} cannot be written: {error} (a name ending in .mp4 is best)") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
