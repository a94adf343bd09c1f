"""Proposals of what was performed in a bag, from events and from motion; a person corrects the proposals."""

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
"""Shortest motion segment without an event that is proposed, in seconds."""

_COVERED = 0.5  # share of a motion segment; a segment that events cover more is not proposed


@dataclass(frozen=True, order=True)
class Proposal:
    """A segment in which an action may be performed. Times are stamps in ns."""

    start: int
    end: int
    label: str  # OPEN for motion without an event
    by: str  # "recogniser" or "motion"
    score: float  # of the event, or of the guess, 0..1
    guess: str  # the label with the highest mean score; empty without scores


def propose(track: Track, labels: Sequence[str]) -> list[Proposal]:
    """Every event, and every motion segment without an event, in the order of time."""
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
    """Write a truth file of proposals for `fluxformer evaluate`, and return the number of proposals.

    Raises:
        ConfigError: if the file exists already (a person may have corrected it), or cannot be written.
    """
    count = 0
    try:
        with path.open("x", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow((*COLUMNS, "by", "score", "guess"))
            for result in results:
                where = result.stream.bag, result.stream.topic
                found = [one for track in result.tracks for one in propose(track, result.labels)]
                for one in found:
                    times = (f"{(stamp - result.origin) / SECOND:.2f}" for stamp in (one.start, one.end))
                    writer.writerow((*where, *times, one.label, one.by, f"{one.score:.2f}", one.guess))
                if not found:
                    writer.writerow((*where, "", "", "", "", "", ""))
                count += len(found)
    except FileExistsError:
        raise ConfigError(f"{path} exists already, perhaps corrected by hand: remove it or name another file") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    return count
