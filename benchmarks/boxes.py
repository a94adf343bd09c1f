"""Whether people are found where they are: boxes drawn by hand against what the person view finds.

The list has the columns video, time (s), left, top, right, bottom (px) and posture. benchmarks/gmdcsa_boxes.csv lists
154 frames of the 14 clips of gmdcsa_fall: of eleven equal parts of each clip, one frame at random. The boxes were drawn
by looking at the frames, before anything was found in them.

Example:
    python -m benchmarks.boxes benchmarks/gmdcsa_boxes.csv gmdcsa_fall/clips
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from benchmarks.options import parser
from fluxformer_core.errors import ConfigError
from fluxformer_core.io.sources import open_source
from fluxformer_core.people.finder import create_finder
from fluxformer_core.people.person import Box, FoundBy, Sighting
from fluxformer_core.people.tracker import PeopleConfig, overlap
from fluxformer_core.people.watch import PeopleWatch
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.types import SECOND, ClipSpec

THERE = 0.3
"""Overlap (IoU) from which a person is found."""

NOBODY = 0.05
"""Overlap below which what is found is somewhere else."""

GROUPS = {
    "upright": ("upright",),
    "sitting": ("sitting",),
    "falling": ("falling",),
    "lying": ("lying",),
    "falling or lying": ("falling", "lying"),
    "all": ("upright", "sitting", "falling", "lying"),
}


@dataclass(frozen=True)
class DrawnBox:
    """One line of the list."""

    video: str
    time: float  # s from the first image
    box: Box
    posture: str


@dataclass(frozen=True)
class Answer:
    """What was found in the frame of a drawn box."""

    time: float  # s
    posture: str
    person: float  # largest overlap of a person
    motion: float  # largest overlap of a square round motion
    elsewhere: int  # people who are found where nobody is


def read_boxes(path: Path) -> list[DrawnBox]:
    """Read a list of drawn boxes.

    Raises:
        ConfigError: if the list cannot be read, or a posture is unknown.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            boxes = [_drawn(row) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{path} is no list of boxes: {error}") from error
    if unknown := {box.posture for box in boxes} - set(GROUPS["all"]):
        raise ConfigError(f"{path}: unknown postures {', '.join(sorted(unknown))}")
    return sorted(boxes, key=lambda box: (box.video, box.time))


def _drawn(row: dict[str, str]) -> DrawnBox:
    left, top, right, bottom = (float(row[name]) for name in ("left", "top", "right", "bottom"))
    return DrawnBox(row["video"], float(row["time"]), (left, top, right, bottom), row["posture"])


def look(video: Path, boxes: Sequence[DrawnBox]) -> Iterator[Answer]:
    """Follow people through a video as the recogniser does, and compare them with the boxes, which are in order."""
    waiting, first = list(boxes), None
    admission, watch = Admission(ClipSpec(), RecognizerConfig().max_gap), None
    with open_source(str(video)) as source:
        for frame in source:
            first = frame.stamp if first is None else first
            watch = watch or PeopleWatch(create_finder(frame.pixels), PeopleConfig())
            if admission.judge(frame.stamp) in (AdmissionResult.ADMIT, AdmissionResult.GAP):
                watch.observe(frame.image, frame.pixels, frame.stamp)
            seen = [track.sighting for track in watch.people]
            while waiting and (frame.stamp - first) / SECOND > waiting[0].time - 1e-3:
                yield _compared(waiting.pop(0), seen)
    for box in waiting:
        yield _compared(box, [])


def _compared(drawn: DrawnBox, seen: Sequence[Sighting]) -> Answer:
    people = [overlap(s.box, drawn.box) for s in seen if s.found_by is not FoundBy.MOTION]
    motion = [overlap(s.box, drawn.box) for s in seen if s.found_by is FoundBy.MOTION]
    elsewhere = sum(share < NOBODY for share in people)
    return Answer(drawn.time, drawn.posture, max(people, default=0.0), max(motion, default=0.0), elsewhere)


def table(answers: Sequence[Answer]) -> str:
    """Shares of the frames by posture."""
    lines = [
        f"| posture | frames | person with IoU >= {THERE} | mean IoU of these | only a square round motion with IoU >= "
        f"{THERE} | a person where nobody is |",
        "| --- " * 6 + "|",
    ]
    for name, postures in GROUPS.items():
        some = [answer for answer in answers if answer.posture in postures]
        if not some:
            continue
        found = [answer.person for answer in some if answer.person >= THERE]
        motion = sum(answer.person < THERE <= answer.motion for answer in some)
        elsewhere = sum(answer.elsewhere > 0 for answer in some)
        mean = f"{np.mean(found):.2f}" if found else ""
        lines.append(
            f"| {name} | {len(some)} | {len(found) / len(some):.0%} | {mean} | {motion / len(some):.0%} "
            f"| {elsewhere / len(some):.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Compare and print."""
    made = parser(__doc__)
    made.add_argument("boxes", type=Path, help="CSV file of drawn boxes")
    made.add_argument("folder", type=Path, help="of the videos")
    made.add_argument("--videos", nargs="+", default=[], metavar="NAME", help="take these only (default: all)")
    options = made.parse_args()
    cv2.setNumThreads(1)
    boxes = [box for box in read_boxes(options.boxes) if not options.videos or box.video in options.videos]
    answers: list[Answer] = []
    for video, some in groupby(boxes, key=lambda box: box.video):
        found = list(look(options.folder / video, list(some)))
        answers += found
        missed = ", ".join(f"{one.time:.1f} s {one.posture}" for one in found if one.person < THERE) or "nobody"
        print(f"{video}: {len(found)} frames, missed {missed}", flush=True)
    print(f"\n{options.boxes}, {len(answers)} frames\n\n{table(answers)}")


if __name__ == "__main__":
    main()
