"""The rolling window: frames, flow and what is derived from both once for each frame, in preallocated memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.classical import FlowEstimator, normal_speed
from fluxformer_core.types import SECOND, ClipSpec

THUMBNAIL = 16  # px: side of the grey image in a descriptor
FLOW_THUMBNAIL = 8  # px: side of the flow field in a descriptor
FASTEST_SHARE = 0.02  # of the pixels: a frame's motion is the mean speed of the fastest pixels, so that one arm counts
ENERGY_SPAN = 0.1  # s: noise moves edges as far in a long time as in a short one, so a longer span lowers its speed


Earlier = Callable[[int], NDArray[np.uint8] | None]
"""What the image of a stamp (ns) shows in the newest square, (S, S, 3) uint8 RGB; None: that image is gone."""


@dataclass(frozen=True)
class Window:
    """What the buffer holds now, oldest first: views, valid until the next push."""

    stamps: NDArray[np.int64]  # (n,) ns
    frames: NDArray[np.uint8]  # (n, S, S, 3) RGB
    flow: NDArray[np.float32]  # (n, S, S, 2) frame heights per second; zero for the first frame after a reset
    motion: NDArray[np.float32]  # (n,) frame heights per second, of the fastest pixels
    energy: NDArray[np.float32]  # (n,) the same over ENERGY_SPAN and without flow, which separates motion from noise
    change: NDArray[np.float32]  # (n,) mean absolute brightness difference after motion compensation, 0..1
    descriptors: NDArray[np.float32]  # (n, d) small grey image and flow field, for clustering

    def __len__(self) -> int:
        return len(self.stamps)

    def since(self, first: int, stop: int | None = None) -> Window:
        """The frames from an index on, up to another index; views, too."""
        return Window(*(getattr(self, member.name)[first:stop] for member in fields(self)))


class RollingBuffer:
    """The newest `spec.window` frames, each with its flow against the frame before it.

    Memory is allocated once, for two windows. Frames are written one after the other; when the end is reached, the
    newest window moves to the front. A window is therefore always one contiguous view, and reading copies nothing.

    Args:
        spec: sizes.
        flow: estimator; called exactly once for each pushed frame but the first after a reset. None: flow is zero, and
            motion is measured from brightness.
    """

    def __init__(self, spec: ClipSpec, flow: FlowEstimator | None) -> None:
        self.spec, self._estimate = spec, flow
        size, room = spec.size, 2 * spec.window
        self._grey = np.zeros((room, size, size), np.uint8)
        self._store = Window(
            np.zeros(room, np.int64),
            np.zeros((room, size, size, 3), np.uint8),
            np.zeros((room, size, size, 2), np.float32),
            motion=np.zeros(room, np.float32),
            energy=np.zeros(room, np.float32),
            change=np.zeros(room, np.float32),
            descriptors=np.zeros((room, THUMBNAIL**2 + 2 * FLOW_THUMBNAIL**2), np.float32),
        )
        self._start = self._end = 0
        self.flows = 0  # flow fields estimated since construction
        row, column = np.mgrid[0:size, 0:size].astype(np.float32)
        self._column, self._row = column, row

    def __len__(self) -> int:
        return self._end - self._start

    def clear(self) -> None:
        """Forget every frame."""
        self._start = self._end = 0

    def push(self, frame: NDArray[np.uint8], stamp: int, earlier: Earlier | None = None) -> None:
        """Append a frame (S, S, 3), uint8 RGB, and estimate its flow.

        Args:
            frame: what is seen now.
            stamp: ns.
            earlier: shows an earlier image in the square of this frame, so that motion is measured relative to the
                scene and not to the square; None: the square has not moved.

        Raises:
            ValueError: if the stamp is not later than the newest one.
        """
        store = self._store
        if len(self) and stamp <= store.stamps[self._end - 1]:
            raise ValueError(f"stamp {stamp} is not later than {store.stamps[self._end - 1]}")
        if self._end == len(store):
            self._move_to_front()
        i = self._end
        store.frames[i], store.stamps[i] = frame, stamp
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY, dst=self._grey[i])
        if len(self):
            self._measure_motion(i, earlier)
        else:
            store.flow[i] = store.motion[i] = store.energy[i] = store.change[i] = 0.0
        self._describe(i)
        self._end += 1
        self._start = max(self._start, self._end - self.spec.window)

    def window(self) -> Window:
        """Views of all that is held."""
        return self._store.since(self._start, self._end)

    def _measure_motion(self, i: int, earlier: Earlier | None) -> None:
        store, aligned = self._store, self._grey[i]
        picture, before = self._earlier(i - 1, earlier)
        per_second = self._per_second(i - 1, i)
        if self._estimate is None:
            store.flow[i] = 0.0
            speed = per_second * normal_speed(before, aligned).ravel()
        else:
            pair = (picture, store.frames[i]) if self._estimate.colour else (before, self._grey[i])
            displacement = self._estimate(*pair)
            self.flows += 1
            u, v = displacement[..., 0], displacement[..., 1]
            aligned = cv2.remap(aligned, self._column + u, self._row + v, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
            np.multiply(displacement, per_second, out=store.flow[i])
            # The last digit of cv2.magnitude depends on where the arrays lie in memory: the same stream would not give
            # the same numbers twice.
            right, down = store.flow[i, ..., 0], store.flow[i, ..., 1]
            speed = np.sqrt(right * right + down * down).ravel()
        store.change[i] = cv2.norm(aligned, before, cv2.NORM_L1) / (255.0 * aligned.size)
        store.motion[i], store.energy[i] = _fastest(speed), self._measure_energy(i, earlier)

    def _earlier(self, i: int, earlier: Earlier | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A stored frame as it is seen in the newest square, in RGB and in grey."""
        picture = None if earlier is None else earlier(int(self._store.stamps[i]))
        if picture is None:
            return self._store.frames[i], self._grey[i]
        return picture, np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)

    def _measure_energy(self, i: int, earlier: Earlier | None) -> float:
        """Speed since the newest frame that is ENERGY_SPAN old or, from a slow camera, since the frame before."""
        stamps, span, first = self._store.stamps, ENERGY_SPAN * SECOND - self.spec.period // 2, i - 1
        while first > self._start and stamps[i] - stamps[first] < span:
            first -= 1
        _, before = self._earlier(first, earlier)
        return self._per_second(first, i) * _fastest(normal_speed(before, self._grey[i]).ravel())

    def _per_second(self, first: int, last: int) -> float:
        """Factor from pixels between two frames to frame heights per second."""
        return SECOND / (float(self._store.stamps[last] - self._store.stamps[first]) * self.spec.size)

    def _describe(self, i: int) -> None:
        split = THUMBNAIL**2
        small = cv2.resize(self._grey[i], (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel() / 255.0
        self._store.descriptors[i, :split] = small - small.mean()  # a change of the light must not look like motion
        flow = cv2.resize(self._store.flow[i], (FLOW_THUMBNAIL, FLOW_THUMBNAIL), interpolation=cv2.INTER_AREA)
        self._store.descriptors[i, split:] = flow.ravel() / self.spec.flow_scale

    def _move_to_front(self) -> None:
        keep = self.spec.window
        for array in (self._grey, *vars(self._store).values()):
            array[:keep] = array[self._end - keep : self._end]
        self._start, self._end = 0, keep


def _fastest(speed: NDArray[np.float32]) -> float:
    """Mean of the fastest pixels."""
    count = max(1, int(FASTEST_SHARE * speed.size))
    # The fastest pixels come in any order; a sum in double precision does not depend on the order.
    return float(np.partition(speed, speed.size - count)[-count:].mean(dtype=np.float64))
