"""What is known of actions besides their names: their mirror action, and how training clips of them may be cut."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fluxformer_core.data.recordings import read_rows
from fluxformer_core.errors import ConfigError

COLUMNS = ("label", "mirror", "gait", "repeated", "one_way")

_DEFAULT = Path(__file__).parents[1] / "assets" / "labels" / "actions.csv"
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class LabelTraits:
    """One row of the table."""

    mirror: str = ""  # label of the action seen in a mirror; empty: the same label
    gait: tuple[float, float] | None = None  # body heights per second, slowest and fastest, of walking or running
    repeated: bool = False  # goes on for any length of time: every second of the action tells what it is
    one_way: bool = False  # is no known action when played backwards, in pieces or given up early


class LabelTable:
    """The traits of labels.

    The label of a row may also be a word within longer labels: the row `left,right` tells that the mirror label of
    `kick left` is `kick right`.
    """

    def __init__(self, rows: Mapping[str, LabelTraits]) -> None:
        self._rows = dict(rows)

    def __getitem__(self, label: str) -> LabelTraits:
        """The traits of a label; those of a label without a row are the defaults."""
        return self._rows.get(label, LabelTraits())

    def mirror_label(self, label: str) -> str:
        """The label of an action seen in a mirror: from its own row, or else word by word."""
        if label in self._rows:
            return self._rows[label].mirror or label
        return _WORD.sub(lambda word: self[word[0].lower()].mirror or word[0], label)

    def mirrors(self, labels: Sequence[str]) -> tuple[dict[int, int], frozenset[int]]:
        """`mirror_of`, classes whose mirrored action is another class; `unmirrorable`, those where it has no label."""
        mirrored = [self.mirror_label(label) for label in labels]
        mirror_of = {i: labels.index(m) for i, m in enumerate(mirrored) if m in labels and m != labels[i]}
        return mirror_of, frozenset(i for i, mirror in enumerate(mirrored) if mirror not in labels)


def read_label_table(path: Path | None = None) -> LabelTable:
    """Read the package's table of labels, and a table of the user's, if any, that adds rows or replaces rows.

    A table is a CSV with the columns label, mirror, gait (LOW:HIGH), repeated and one_way (yes or empty); any but the
    first column may be missing.

    Raises:
        ConfigError: if the table cannot be read, or a row is of another form.
    """
    rows: dict[str, LabelTraits] = {}
    for table in (_DEFAULT, *([path] if path else [])):
        for number, row in enumerate(read_rows(table), start=2):
            if not row.get("label") or row.keys() - set(COLUMNS):
                raise ConfigError(f"{table} must have the columns {', '.join(COLUMNS)} and a label in every row")
            try:
                rows[row["label"]] = _traits(row)
            except ValueError as error:
                raise ConfigError(f"{table}, line {number}: {error}") from None
    return LabelTable(rows)


def _traits(row: Mapping[str, str]) -> LabelTraits:
    gait: tuple[float, float] | None = None
    if text := row.get("gait", ""):
        try:
            low, high = (float(value) for value in text.split(":"))
        except ValueError:
            low = high = 0.0
        if not 0 < low <= high < float("inf"):
            raise ValueError(f"gait must be LOW:HIGH in body heights per second, not {text!r}")
        gait = (low, high)
    flags = {name: row.get(name, "").lower() for name in ("repeated", "one_way")}
    wrong = {name: value for name, value in flags.items() if value not in ("yes", "no", "")}
    if wrong:
        raise ValueError("; ".join(f"{name} must be yes, no or empty, not {value!r}" for name, value in wrong.items()))
    return LabelTraits(row.get("mirror", ""), gait, flags["repeated"] == "yes", flags["one_way"] == "yes")
