"""A camera as a source: each step gives the newest image, stamped on arrival."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2

from fluxformer_core.errors import SourceError
from fluxformer_core.io.sources import Source, SourceFrame
from fluxformer_core.types import Pixels


class CameraSource(Source):
    """A camera that a separate thread reads, so that a slow user gets the newest image, not a queued one.

    Stamps are nanoseconds since 1970. The wall clock is read once, at the start, so that stamps always increase.

    Args:
        device: the camera's index, or its device file.

    Raises:
        SourceError: if there is no such camera, or it cannot be opened.
    """

    live = True

    def __init__(self, device: str) -> None:
        self._capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        if not self._capture.isOpened():
            raise SourceError(f"camera {device} cannot be opened; is it connected, and not in use by another program?")
        super().__init__(f"camera {device}", rate=self._capture.get(cv2.CAP_PROP_FPS) or None)
        self._epoch = time.time_ns() - time.monotonic_ns()
        self._newest: SourceFrame | None = None
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._grab, name=self.name, daemon=True)
        self._thread.start()

    def _grab(self) -> None:
        while self._open and self._capture.grab():
            stamp = self._epoch + time.monotonic_ns()
            taken, image = self._capture.retrieve()
            if taken:
                with self._changed:
                    self._newest = SourceFrame(stamp, image, Pixels.BGR)
                    self._changed.notify()
        with self._changed:
            self._open = False
            self._changed.notify()

    def _frames(self) -> Iterator[SourceFrame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or not self._open)
                frame, self._newest = self._newest, None
            if frame is None:
                raise SourceError(f"{self.name} stopped giving images; was it unplugged?")
            yield frame

    def close(self) -> None:
        """Stop reading and release the camera."""
        self._open = False
        self._thread.join()
        self._capture.release()
