"""Which camera frames enter the window. Stamps alone decide, so cameras of any rate feed the model the same motion."""

from __future__ import annotations

from enum import Enum

from fluxformer_core.types import SECOND, ClipSpec


class AdmissionResult(Enum):
    """What to do with a frame."""

    ADMIT = "admit"
    SKIP = "skip"  # the camera is faster than the model's rate
    DUPLICATE = "duplicate"  # the stamp of the newest frame again
    LATE = "late"  # a little older than the newest frame: out of order
    GAP = "gap"  # admit after a reset: too long since the newest frame
    TIME_JUMP = "time_jump"  # admit after a reset: much older than the newest frame, as when a bag starts again


def next_turn(due: int, stamp: int, period: int) -> int:
    """The next due time after the one that was served at `stamp`, in ns.

    Missed due times are skipped, and the rhythm keeps its phase. A stream that lost frames is soon read at the same
    stamps again as a stream that lost none.

    Args:
        due: ns, the due time that was served: on time, late or a little early.
        stamp: ns, when it was served.
        period: ns, between due times.
    """
    return due + max((stamp - due) // period + 1, 1) * period


class Rhythm:
    """When recognitions are due: at a rate, by stamp."""

    def __init__(self, spec: ClipSpec) -> None:
        self._early = spec.period // 2
        self.reset()

    def reset(self) -> None:
        """Begin with the next frame."""
        self._next: int | None = None

    def due(self, stamp: int, rate: float) -> bool:
        """Whether a recognition is due at a frame's stamp (ns), if `rate` (Hz) are wanted; to be asked once a frame."""
        if self._next is not None and stamp < self._next:
            return False
        # Half a frame early is on time: the frame rate need not divide by the recognition rate.
        due = stamp - self._early if self._next is None else self._next
        self._next = next_turn(due, stamp, round(SECOND / rate))
        return True


class Admission:
    """Admits frames at `spec.rate` or, from a slower camera, all of them.

    Args:
        spec: gives the rate.
        max_gap: seconds; after a longer gap, or a longer step back, the window starts anew.
    """

    def __init__(self, spec: ClipSpec, max_gap: float) -> None:
        self._period = spec.period
        # A frame may come a little before it is due: cameras jitter, and 30 Hz does not divide by 20.
        self._early = self._period // 4
        # Flow between frames that are closer than this would be mostly noise.
        self._closest = self._period // 2
        self.set_max_gap(max_gap)
        self.reset()

    def set_max_gap(self, seconds: float) -> None:
        """Change the longest gap that does not empty the window."""
        self._max_gap = round(seconds * SECOND)

    def reset(self) -> None:
        """Take the next frame as the first."""
        self._newest: int | None = None
        self._admitted = self._due = 0

    def judge(self, stamp: int) -> AdmissionResult:
        """Decide on a frame. ADMIT, GAP and TIME_JUMP admit the frame; later frames are compared with it.

        Args:
            stamp: ns.
        """
        if self._newest is None:
            self._due = stamp
            return self._admit(stamp, AdmissionResult.ADMIT)
        step = stamp - self._newest
        if step == 0:
            return AdmissionResult.DUPLICATE
        if step < 0:
            if -step <= self._max_gap:
                return AdmissionResult.LATE
            self._due = stamp
            return self._admit(stamp, AdmissionResult.TIME_JUMP)
        if step > self._max_gap:
            return self._admit(stamp, AdmissionResult.GAP)
        self._newest = stamp
        if stamp < max(self._due - self._early, self._admitted + self._closest):
            return AdmissionResult.SKIP
        return self._admit(stamp, AdmissionResult.ADMIT)

    def _admit(self, stamp: int, result: AdmissionResult) -> AdmissionResult:
        self._newest = self._admitted = stamp
        self._due = next_turn(self._due, stamp, self._period)
        return result
