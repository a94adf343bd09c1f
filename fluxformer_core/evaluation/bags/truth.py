"""Truth files: CSV files of the actions performed in bags, in stamps or in seconds from the first image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fluxformer_core.data.label_mapping import LabelMap
from fluxformer_core.data.recordings import SINCE_1970, read_rows, read_time
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.bags.finding import BagFault, BagStream
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.types import SECOND

COLUMNS = ("bag", "topic", "start", "end", "label")
"""Columns of a truth file; a missing or empty topic stands for all cameras of the bag."""

OPEN = "?"
"""Label of a proposed segment that still needs a label."""


@dataclass(frozen=True)
class TruthLine:
    """One line of a truth file. Times are ns from the first image; times beyond SINCE_1970 are stamps."""

    bag: str  # as written in the file
    place: Path  # the same as a path from the file's folder
    topic: str  # empty: any
    label: str  # empty: nothing is performed in this bag
    start: int | None  # None: the first image
    end: int | None  # None: the last image

    @property
    def times(self) -> str:
        start, end = ("" if time is None else f"{time / SECOND:.1f}" for time in (self.start, self.end))
        return f"{start} .. {end} s"


@dataclass(frozen=True)
class Truth:
    """The lines of all truth files, by the names of the bags that are evaluated."""

    lines: Mapping[str, tuple[TruthLine, ...]]
    strangers: tuple[str, ...]  # bags that the files name but that are not evaluated

    def topics(self) -> dict[str, frozenset[str]]:
        """The topics that the truth names, of each bag."""
        return {bag: frozenset(line.topic for line in lines if line.topic) for bag, lines in self.lines.items()}

    def of(self, stream: BagStream) -> tuple[TruthLine, ...] | None:
        """The lines about a stream; None: the truth does not name the bag."""
        lines = self.lines.get(stream.bag)
        topic = stream.of_topic if stream.recorded else stream.topic
        return None if lines is None else tuple(line for line in lines if line.topic in ("", topic) or not topic)


def read_truth(
    files: Sequence[Path], bags: Mapping[str, Path], played: Mapping[str, str], labels: LabelMap | None = None
) -> tuple[Truth, list[BagFault]]:
    """Read truth files and find the bag of each line; also returns the faults of empty files.

    A line names its bag by a path from the file's folder, or by the bag's name. A line about a bag is also about the
    results that were recorded while this bag was played.

    Args:
        files: CSV with COLUMNS.
        bags: the evaluated bags by name.
        played: for each bag of results, the name of the played bag, if known.
        labels: renames labels, or drops their lines.

    Raises:
        ConfigError: if a file cannot be read, or naming the lines that cannot be used.
    """
    places = {path.resolve(): name for name, path in bags.items()}
    lines: dict[str, list[TruthLine]] = {}
    strangers: list[str] = []
    faults: list[BagFault] = []
    for file in files:
        rows = _read(file, labels)
        if not rows:
            text = "it has no line: write a line with the bag's name alone if nothing is performed in the bag"
            faults.append(BagFault(file.name, text, fatal=True))
        for line in rows:
            about = _about(line, places, played)
            if not about:
                strangers.append(line.bag)
            for name in about:
                lines.setdefault(name, []).append(line)
    return Truth({name: tuple(found) for name, found in lines.items()}, tuple(dict.fromkeys(strangers))), faults


def intervals(lines: Iterable[TruthLine], first: int, last: int, origin: int) -> tuple[list[Interval], list[TruthLine]]:
    """The actions performed in a track, clipped to the track, and the lines outside the track.

    `first` and `last` are the stamps of the track's first and last frame, `origin` the stamp that seconds count from,
    all in ns.
    """
    found: list[Interval] = []
    outside: list[TruthLine] = []
    for line in lines:
        if not line.label:
            continue
        start, end = (
            default if time is None else time if time >= SINCE_1970 else origin + time
            for time, default in ((line.start, first), (line.end, last + 1))
        )
        if start <= last and end > first and end > start:
            found.append(Interval(max(start, first), min(end, last + 1), line.label))
        else:
            outside.append(line)
    return sorted(set(found)), outside


def _about(line: TruthLine, places: Mapping[Path, str], played: Mapping[str, str]) -> set[str]:
    """Names of the bags of a line."""
    short = Path(line.bag).name
    replayed = {name for name, source in played.items() if source and source == short}
    exact = {name for path, name in places.items() if line.place == path or line.bag == name}
    if exact:
        return exact | replayed
    alike = {name for path, name in places.items() if short in (path.name, path.stem)} - replayed
    if len(alike) > 1:
        names = ", ".join(sorted(alike))
        raise ConfigError(f"the truth's bag {line.bag} may be any of {names}: write more of the path")
    return alike | replayed


def _read(file: Path, labels: LabelMap | None) -> list[TruthLine]:
    rows = read_rows(file)
    if not rows:
        return []
    if not {"bag", "label"} <= rows[0].keys():
        raise ConfigError(f"{file} must have the columns {', '.join(COLUMNS)}; it has {', '.join(rows[0])}")
    lines, wrong = [], []
    for number, row in enumerate(rows, start=2):
        try:
            lines.append(_line(row, file.parent, labels))
        except ConfigError as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ConfigError(f"{file}: {'; '.join(wrong[:5])}{more}")
    return lines


def _line(row: Mapping[str, str], folder: Path, labels: LabelMap | None) -> TruthLine:
    bag, label = row["bag"], row["label"]
    start, end = (read_time(row.get(column, ""), column) for column in ("start", "end"))
    if not bag:
        raise ConfigError("bag must not be empty")
    if label == OPEN:
        raise ConfigError(f"the label is still {OPEN}: write a label, or remove the line")
    if not label and (start is not None or end is not None):
        raise ConfigError("label must not be empty, unless start and end are: then nothing is performed in this bag")
    if start is not None and end is not None and end <= start:
        raise ConfigError(f"end ({row['end']}) must be later than start ({row['start']})")
    if labels is not None and label:
        label = labels.names.get(label, label if labels.rest is None else labels.rest)
        # A dropped line still names its bag, so that the bag counts as one in which nothing is performed.
        start, end = (start, end) if label else (None, None)
    return TruthLine(bag, (folder / bag).resolve(), row.get("topic", ""), label, start, end)
