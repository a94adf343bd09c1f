"""The worst mistakes of an evaluation of bags, and pictures of them from the bags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from fluxformer_core.evaluation.bags.confusion import NOTHING, pair_up
from fluxformer_core.evaluation.bags.figures import Judged, Scored, mean_scores
from fluxformer_core.evaluation.bags.finding import Job
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent
from fluxformer_core.evaluation.report.thumbnails import Stretch, strips
from fluxformer_core.types import SECOND, ClipSpec

MOST = 10
"""Mistakes that are shown."""

_MARGIN = round(0.3 * SECOND)  # shown before and after


@dataclass(frozen=True)
class Mistake:
    """Something that was performed and not said, said and not performed, or both at once."""

    job: Job
    origin: int  # ns: stamp of the stream's first image
    truth: Interval | None
    said: PredictedEvent | None
    instead: str  # what was the case where nothing was to be said
    severity: float  # 0..1

    @property
    def start(self) -> int:
        """When it begins, ns."""
        return min(one.start for one in (self.truth, self.said) if one is not None)

    @property
    def end(self) -> int:
        """When it ends, ns."""
        return max(one.end for one in (self.truth, self.said) if one is not None)


def worst_mistakes(streams: Sequence[Scored], most: int = MOST) -> list[Mistake]:
    """The mistakes that were made most surely, surest first.

    A false event is as severe as its score was high; an action that was missed without another event in its place as
    severe as its own label's mean score was low. An action that was taken for another one is one mistake.
    """
    found = [
        mistake
        for stream in streams
        for one in stream.judged
        for mistake in _of(one, stream.outcome.job, stream.outcome.origin, stream.outcome.labels)
    ]
    found.sort(key=lambda m: (-m.severity, m.job, m.start))
    return found[:most]


def _of(one: Judged, job: Job, origin: int, labels: Sequence[str]) -> list[Mistake]:
    mistakes = []
    for truth, said, instead in pair_up(one):
        if truth is not None and said is not None and truth.label == said.label:
            continue
        if said is not None:
            severity = said.score
        elif truth is not None:
            severity = 1.0 - float(mean_scores(truth, one.track)[list(labels).index(truth.label)])
        mistakes.append(Mistake(job, origin, truth, said, instead if truth is None else NOTHING, severity))
    return mistakes


def picture_mistakes(mistakes: Sequence[Mistake], spec: ClipSpec) -> list[bytes]:
    """A strip of thumbnails of each mistake as JPEG, empty where its bag has no images; each bag is read once more.

    Args:
        mistakes: to show.
        spec: says how depth is shown.
    """
    by_stream: dict[Job, list[int]] = defaultdict(list)
    for i, mistake in enumerate(mistakes):
        if not mistake.job.results:
            by_stream[mistake.job].append(i)
    found = [b""] * len(mistakes)
    for job, members in by_stream.items():
        wanted = [Stretch(mistakes[i].start - _MARGIN, mistakes[i].end + _MARGIN) for i in members]
        for i, jpeg in zip(members, strips(job.path, job.topic, wanted, spec), strict=True):
            found[i] = jpeg
    return found
