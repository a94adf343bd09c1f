"""One labelled clip, as every list and folder of recordings gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

PixelKind = Literal["", "depth", "colour"]
"""Whether a video shows colours or grey pictures of depth; empty where only the images themselves can tell."""

SINCE_1970 = 10**17
"""Times from here on (3 years in nanoseconds) are a clock's stamps, earlier ones count from the recording's start."""


@dataclass(frozen=True)
class Recording:
    """One labelled clip: a whole recording, or a part of it."""

    path: str
    label: str
    subject: str = ""
    split: str = ""
    pixels: PixelKind = ""
    topic: str = ""  # of a bag with several image topics
    start: int | None = None  # ns: from the recording's first image or, beyond SINCE_1970, by its own clock
    end: int | None = None  # ns, likewise; None: to the end


def chosen(
    recordings: Iterable[Recording], *, splits: Iterable[str] | None, subjects: Iterable[str] | None
) -> list[Recording]:
    """The recordings of these splits and subjects; None stands for all."""
    some_splits, some_subjects = set(splits or ()), set(subjects or ())
    return [
        recording
        for recording in recordings
        if (not some_splits or recording.split in some_splits)
        and (not some_subjects or recording.subject in some_subjects)
    ]
