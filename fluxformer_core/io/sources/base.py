"""The interface of all sources of images."""

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
        self.name = name
        self.rate = rate
        self.length = length

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _frames(self) -> Iterator[SourceFrame]: ...

    def close(self) -> None:  # noqa: B027  # most sources open files only during an iteration
        """Close files and devices; a closed source gives no more frames."""
