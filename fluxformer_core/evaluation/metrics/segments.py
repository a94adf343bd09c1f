"""How well the order and the extent of a stream's actions are told: edit score and segmental F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

THRESHOLDS = (0.10, 0.25, 0.50)
"""Overlaps at which F1 is usually given."""


@dataclass(frozen=True)
class Segment:
    """A run of frames with one label."""

    label: str
    first: int
    end: int  # the frame after the last


@dataclass(frozen=True)
class Counts:
    """Segments that were found, invented and missed; those of several recordings add up."""

    right: int = 0
    false: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Both recordings together."""
        return Counts(self.right + other.right, self.false + other.false, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where there was nothing to find and nothing was found."""
        total = 2 * self.right + self.false + self.missed
        return 2 * self.right / total if total else 1.0


def segments(names: Sequence[str]) -> list[Segment]:
    """Runs of equal names; frames without one (empty) belong to none."""
    found, first = [], 0
    for name, run in groupby(names):
        end = first + len(list(run))
        if name:
            found.append(Segment(name, first, end))
        first = end
    return found


def edit_score(predicted: Sequence[str], truth: Sequence[str]) -> float:
    """Agreement of the order of segments, whatever their extent: 1 less their Levenshtein distance, of the longer one.

    Args:
        predicted: name of each frame, empty for none.
        truth: likewise.

    Returns:
        0..1; 1 if neither has a segment.
    """
    said, done = ([segment.label for segment in segments(names)] for names in (predicted, truth))
    longest = max(len(said), len(done))
    return 1.0 - _distance(said, done) / longest if longest else 1.0


def count_segments(predicted: Sequence[str], truth: Sequence[str], least: float) -> Counts:
    """Which predicted segments stand for a true one.

    One after the other, each predicted segment looks for the true segment of its label that it overlaps most, by the
    Jaccard index. It stands for that one if the index is at least `least` and no earlier segment does already; it does
    not look for another one.

    Args:
        predicted: name of each frame, empty for none.
        truth: likewise.
        least: above 0, up to 1.
    """
    done = segments(truth)
    taken: set[int] = set()
    false = 0
    for segment in segments(predicted):
        best, index = max(
            ((_jaccard(segment, other), -i) for i, other in enumerate(done) if other.label == segment.label),
            default=(0.0, 1),
        )
        if best >= least and -index not in taken:
            taken.add(-index)
        else:
            false += 1
    return Counts(len(taken), false, len(done) - len(taken))


def _jaccard(a: Segment, b: Segment) -> float:
    shared = max(0, min(a.end, b.end) - max(a.first, b.first))
    return shared / (a.end - a.first + b.end - b.first - shared)


def _distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Fewest insertions, deletions and replacements that make one of the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
    return row[-1]
