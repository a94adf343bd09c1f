"""What has happened to the frames of a recogniser, counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class ResetCause(str, Enum):
    """Why the window was emptied."""

    GAP = "gap"
    TIME_JUMP = "time_jump"
    SIZE_CHANGE = "size_change"
    REQUESTED = "requested"


@dataclass
class Counters:
    """Counts since construction. Each pushed frame is admitted, skipped, a duplicate or late."""

    frames: int = 0  # pushed
    admitted: int = 0  # entered the window
    skipped: int = 0  # not needed: the camera is faster than the model's rate
    duplicates: int = 0
    late: int = 0  # out of order
    flows: int = 0  # flow fields estimated, of all views
    recognitions: int = 0  # of all views
    forwards: int = 0  # forward passes; one pass serves all views that are due
    resets: dict[ResetCause, int] = field(default_factory=lambda: dict.fromkeys(ResetCause, 0))
