"""One labelled recording, or a part of one, as lists and folders give it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

PixelKind = Literal["", "depth", "colour"]
"""Whether a video shows colours or grey pictures of depth; empty if the list does not tell."""

SINCE_1970 = 10**17
"""Times from this value (3 years in nanoseconds) are stamps of a clock; smaller times count from the first image."""


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
    end: int | None = None  # ns, as `start`; None: to the end


def chosen(
    recordings: Iterable[Recording], *, splits: Iterable[str] | None, subjects: Iterable[str] | None
) -> list[Recording]:
    """The recordings of these splits and subjects; None or nothing means all."""
    some_splits, some_subjects = set(splits or ()), set(subjects or ())
    return [
        recording
        for recording in recordings
        if (not some_splits or recording.split in some_splits)
        and (not some_subjects or recording.subject in some_subjects)
    ]
