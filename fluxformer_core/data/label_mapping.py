"""The user's map of label names: labels renamed, merged or dropped, so that data sets fit together."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import ConfigError

_REST = "*"  # the row for every name that the map does not list


@dataclass(frozen=True)
class LabelMap:
    """From the label names of the data to those of the model; an empty name drops the clips."""

    names: Mapping[str, str]  # the model's name for a name of the data
    rest: str | None = None  # the model's name for all other names; None keeps their own names

    @staticmethod
    def read(path: Path) -> LabelMap:
        """Read a CSV of lines `name,label` (`*` is every other name), or a public data set's JSON of {name: number}.

        Raises:
            ConfigError: if it cannot be read or is neither.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
            if path.suffix == ".json":
                table = json.loads(text)
                return LabelMap({str(number): str(name) for name, number in table.items()})
            rows = [row for row in csv.reader(text.splitlines()) if row and not row[0].startswith("#")]
        except (OSError, ValueError, AttributeError, csv.Error) as error:
            raise ConfigError(f"cannot read the labels {path}: {error}") from None
        wrong = [",".join(row) for row in rows if len(row) != 2 or not row[0].strip()]
        if wrong or not rows:
            found = repr(wrong[0]) if wrong else "nothing"
            raise ConfigError(f"{path} must have lines `name,label` (an empty label drops the clips), found {found}")
        names = {name.strip(): label.strip() for name, label in rows if (name, label) != ("name", "label")}
        return LabelMap({k: v for k, v in names.items() if k != _REST}, names.get(_REST))

    def apply(self, recordings: Iterable[Recording]) -> list[Recording]:
        """The recordings under the model's names, without the dropped ones."""
        renamed = ((r, self.names.get(r.label, r.label if self.rest is None else self.rest)) for r in recordings)
        return [replace(recording, label=label) for recording, label in renamed if label]
