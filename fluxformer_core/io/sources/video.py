"""A video file as a source. Each frame has its time from the file: phones and screen recorders vary their rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from fluxformer_core.errors import SourceError
from fluxformer_core.io.sources import Source, SourceFrame
from fluxformer_core.types import SECOND, Pixels

_MISSING_END = 1.0  # s: a video counts as cut short if more than this is missing at its end


class VideoSource(Source):
    """The frames of a video file, turned upright; 16-bit grey is depth in millimetres.

    Stamps are nanoseconds on the time line of the file.

    Raises:
        SourceError: if the file is not a video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with _open(path) as (_, stream):
                rate, length = stream.average_rate, stream.frames
        except (av.FFmpegError, OSError) as error:
            raise SourceError(f"{path} is not a video, or it is damaged or cut short: {error.strerror}") from error
        super().__init__(str(path), rate=float(rate) if rate else None, length=length or None)

    def _frames(self) -> Iterator[SourceFrame]:
        count = 0
        try:
            with _open(self._path) as (container, stream):
                stream.thread_type = "AUTO"
                for frame in self._decode(container, stream):
                    image, pixels = _pixels(frame)
                    yield SourceFrame(_stamp(frame, count, stream.average_rate), image, pixels)
                    count += 1
        except (av.FFmpegError, OSError) as error:
            raise SourceError(f"{self.name} is damaged or cut short after {count} frames: {error.strerror}") from error

    def _decode(self, container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        end: int | None = None
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise SourceError(f"{self.name} is cut short in the middle of a frame")
            if packet.pts is not None:
                end = max(end or 0, packet.pts + (packet.duration or 0))
            yield from packet.decode()
        # If a file is cut between two frames, only the duration in its header reveals the cut.
        if end is not None and stream.duration is not None and stream.time_base is not None:
            missing = float(((stream.start_time or 0) + stream.duration - end) * stream.time_base)
            if missing > _MISSING_END:
                raise SourceError(f"{self.name} is cut short: its last {missing:.1f} s are missing")


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    # A title in an unknown text encoding must not prevent reading.
    with av.open(str(path), metadata_errors="replace") as container:
        # FFmpeg opens text files as videos of the format "tty".
        if not container.streams.video or container.format.name == "tty":
            raise SourceError(f"{path} holds no video, or is cut short")
        yield container, container.streams.video[0]


def _stamp(frame: av.VideoFrame, count: int, rate: Fraction | None) -> int:
    if frame.pts is not None and frame.time_base is not None:
        return round(frame.pts * frame.time_base * SECOND)
    return round(count * SECOND / (rate or 30))  # raw streams (.h264) carry a rate but no times


def _pixels(frame: av.VideoFrame) -> tuple[np.ndarray, Pixels]:
    deep = frame.format.name in ("gray16le", "gray16be")
    image: np.ndarray = frame.to_ndarray(format="gray16le" if deep else "rgb24")
    if quarters := round(frame.rotation / 90) % 4:
        image = np.ascontiguousarray(np.rot90(image, quarters))
    return image, Pixels.DEPTH if deep else Pixels.RGB
