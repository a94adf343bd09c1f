"""Edit score and segmental F1 (Lea et al., CVPR 2017): order and extent of the actions of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from fluxformer_core.evaluation.metrics.intervals import Interval, jaccard

THRESHOLDS = (0.10, 0.25, 0.50)
"""Jaccard indices at which F1 is usually given."""


@dataclass(frozen=True)
class SegmentCounts:
    """Counts of right, false and missed segments; counts of several recordings add up."""

    right: int = 0
    false: int = 0
    missed: int = 0

    def __add__(self, other: SegmentCounts) -> SegmentCounts:
        return SegmentCounts(self.right + other.right, self.false + other.false, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 without any segment."""
        total = 2 * self.right + self.false + self.missed
        return 2 * self.right / total if total else 1.0


def segments(names: Sequence[str]) -> list[Interval]:
    """Runs of equal names as intervals in frames; frames with an empty name belong to no run."""
    found, first = [], 0
    for name, run in groupby(names):
        end = first + len(list(run))
        found += [Interval(first, end, name)] if name else []
        first = end
    return found


def edit_score(predicted: Sequence[str], truth: Sequence[str]) -> float:
    """1 less the Levenshtein distance between the sequences of segments, over the length of the longer sequence.

    Both arguments hold the label of each frame, empty for no action. The score is 0..1; 1 without any segment.
    """
    said, done = ([segment.label for segment in segments(names)] for names in (predicted, truth))
    longest = max(len(said), len(done))
    return 1.0 - _distance(said, done) / longest if longest else 1.0


def count_segments(predicted: Sequence[str], truth: Sequence[str], least: float) -> SegmentCounts:
    """Count the predicted segments that match a true segment; frames without an action have an empty label.

    In the order of time, each predicted segment is compared with the true segment of its label with the largest Jaccard
    index. The two match if the index is at least `least` and no earlier segment matches the true segment.
    """
    done = segments(truth)
    taken: set[int] = set()
    false = 0
    for segment in segments(predicted):
        best, index = max(
            ((jaccard(segment, other), -i) for i, other in enumerate(done) if other.label == segment.label),
            default=(0.0, 1),
        )
        if best >= least and -index not in taken:
            taken.add(-index)
        else:
            false += 1
    return SegmentCounts(len(taken), false, len(done) - len(taken))


def _distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
    return row[-1]
