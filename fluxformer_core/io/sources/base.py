"""What every source of images gives, whatever it reads from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from fluxformer_core.errors import SourceError
from fluxformer_core.types import Pixels

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class SourceFrame:
    """One image and when it was taken."""

    stamp: int  # ns of the source's own clock: a recording's time line, or the camera's
    image: np.ndarray  # (H, W) or (H, W, C)
    pixels: Pixels


class Source(ABC):
    """A sequence of stamped images; a context manager that holds what it reads from open.

    Iterating a recording starts at its beginning every time; iterating a live source gives the newest image each time.

    Attributes:
        name: what the user called it.
        rate: nominal frames per second in Hz, or None where the frames come as they come.
        length: number of frames, or None if unknown or endless.
        live: whether frames that are not taken in time are gone.
    """

    live = False

    def __init__(self, name: str, *, rate: float | None = None, length: int | None = None) -> None:
        self.name = name
        self.rate = rate
        self.length = length

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames in order.

        Raises:
            SourceError: if there is no frame at all, or the recording is damaged or cut short.
        """
        empty = True
        for frame in self._frames():
            empty = False
            yield frame
        if empty:
            raise SourceError(f"{self.name} holds no frame")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _frames(self) -> Iterator[SourceFrame]: ...

    def close(self) -> None:  # noqa: B027  # files are open only while somebody iterates: most have nothing to do
        """Let go of files and devices; a closed source gives no more frames."""
