"""The recognitions and events of one stream of a bag, in compact arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.evaluation.bags.finding import BagFault, BagStream
from fluxformer_core.evaluation.metrics.intervals import PredictedEvent
from fluxformer_core.types import SECOND, Recognition


@dataclass(frozen=True)
class Track:
    """A part of a stream in which stamps grow, at the frames that have a recognition."""

    stamps: NDArray[np.int64]  # (m,) ns, ascending
    states: NDArray[np.uint8]  # (m,) State
    names: NDArray[np.int16]  # (m,) index of the label, -1: no label
    scores: NDArray[np.float32]  # (m, labels), 0 where the recognition lists no score
    unknown: NDArray[np.float32]  # (m,) unknown scores
    events: tuple[PredictedEvent, ...]
    motion_segments: tuple[tuple[int, int], ...] = ()  # ns: first and last motion of each; empty for recorded results

    @property
    def seconds(self) -> float:
        return float(self.stamps[-1] - self.stamps[0]) / SECOND


@dataclass(frozen=True)
class StreamResult:
    """One stream, to its end or to the point where it cannot be read further."""

    stream: BagStream
    labels: tuple[str, ...] = ()  # columns of the scores
    origin: int = 0  # ns: stamp of the first frame
    tracks: tuple[Track, ...] = ()  # empty if there is no result
    faults: tuple[BagFault, ...] = ()
    drops: dict[str, int] = field(default_factory=dict)  # images that were not used, by cause
    resets: dict[str, int] = field(default_factory=dict)  # by cause
    frames: int = 0  # images read
    latency: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # ms, by what is measured
    spent: float = 0.0  # s of computing; 0 for recorded results
    peak_memory: float = 0.0  # MiB, of the process that ran the recogniser

    @property
    def usable(self) -> bool:
        return bool(self.tracks)

    @property
    def seconds(self) -> float:
        """Duration of all tracks together, in camera time."""
        return sum(track.seconds for track in self.tracks)

    def with_fault(self, text: str, *, fatal: bool) -> StreamResult:
        return replace(self, faults=(*self.faults, BagFault(self.stream.bag, text, fatal)))


class TrackBuilder:
    """Collects recognitions into a track; `labels` are the columns of its scores, other labels are left out."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._column = {label: i for i, label in enumerate(labels)}
        self._heads: list[tuple[int, int, int, float]] = []  # stamp, state, name, unknown score
        self._rows: list[NDArray[np.float32]] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def newest(self) -> int:
        """Stamp of the last recognition, ns."""
        return self._heads[-1][0]

    def add(self, recognition: Recognition) -> None:
        """Append a recognition, whose stamp must be later than the last one."""
        row = np.zeros(len(self._column), np.float32)
        for entry in recognition.scores:
            if entry.label in self._column:
                row[self._column[entry.label]] = entry.score
        name = self._column.get(recognition.label, -1)
        self._heads.append((recognition.stamp, recognition.state, name, recognition.unknown_score))
        self._rows.append(row)

    def build(self, events: Sequence[PredictedEvent], motion_segments: Sequence[tuple[int, int]] = ()) -> Track:
        """The track, with the events and motion segments of the same time."""
        stamps, states, names, unknown = zip(*self._heads, strict=True)
        return Track(
            np.array(stamps, np.int64),
            np.array(states, np.uint8),
            np.array(names, np.int16),
            np.stack(self._rows),
            np.array(unknown, np.float32),
            tuple(events),
            tuple(motion_segments),
        )


def percentiles(values: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
    """p50, p90 and p99 of values; NaN without values."""
    for q in (50, 90, 99):
        yield f"p{q}", float(np.percentile(values, q)) if len(values) else float("nan")
