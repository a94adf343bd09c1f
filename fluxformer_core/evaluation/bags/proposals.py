"""What may have been performed in a bag, for a person to correct: by the recogniser, and by motion alone."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.bags.figures import mean_scores
from fluxformer_core.evaluation.bags.stream_result import StreamResult, Track
from fluxformer_core.evaluation.bags.truth import COLUMNS, OPEN
from fluxformer_core.evaluation.metrics.intervals import Interval, overlap
from fluxformer_core.types import SECOND

SHORTEST = 0.4
"""Seconds of motion without an event that are proposed at least."""

_COVERED = 0.5  # share of a motion that events may cover before it is none of its own


@dataclass(frozen=True, order=True)
class Proposal:
    """A stretch in which something may be performed. Times are ns stamps."""

    start: int
    end: int
    label: str  # OPEN where only motion speaks for it
    by: str  # "recogniser" or "motion"
    score: float  # of the event, or of the guess, 0..1
    guess: str  # the label with the highest score while it lasts; empty: none was said


def propose(track: Track, labels: Sequence[str]) -> list[Proposal]:
    """Every event, and every motion that has no event, in the order of time."""
    events = [event for event in track.events if event.label]
    found = [Proposal(e.start, e.end, e.label, "recogniser", e.score, e.label) for e in events]
    for start, end in track.motion_segments:
        if end - start < SHORTEST * SECOND:
            continue
        motion = Interval(start, end, OPEN)
        if sum(overlap(motion, event) for event in events) > _COVERED * (end - start):
            continue
        means = mean_scores(motion, track)
        best = int(np.argmax(means))
        found.append(Proposal(start, end, OPEN, "motion", float(means[best]), labels[best] if means[best] > 0 else ""))
    return sorted(found)


def write_proposals(path: Path, results: Iterable[StreamResult]) -> int:
    """Write a truth file of proposals, which `evaluate` takes once every label is filled in.

    Returns:
        How many there are.

    Raises:
        ConfigError: if the file is there already, since a person may have corrected it, or cannot be written.
    """
    count = 0
    try:
        with path.open("x", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow((*COLUMNS, "by", "score", "guess"))
            for result in results:
                rows = [
                    (
                        result.stream.bag,
                        result.stream.topic,
                        *_times(one, result.origin),
                        one.label,
                        one.by,
                        one.guess,
                        one,
                    )
                    for track in result.tracks
                    for one in propose(track, result.labels)
                ]
                for *row, by, guess, one in rows:
                    writer.writerow((*row, by, f"{one.score:.2f}", guess))
                if not rows:
                    writer.writerow((result.stream.bag, result.stream.topic, "", "", "", "", "", ""))
                count += len(rows)
    except FileExistsError:
        raise ConfigError(
            f"{path} is there already, perhaps corrected by hand: remove it or name another file"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    return count


def _times(one: Proposal, origin: int) -> tuple[str, str]:
    return f"{(one.start - origin) / SECOND:.2f}", f"{(one.end - origin) / SECOND:.2f}"
