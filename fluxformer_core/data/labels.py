"""Names of actions: renamed, folded or dropped so that data sets fit together, and what a mirror makes of them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fluxformer_core.actor import FLIPPED
from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import ConfigError

_REST = "*"  # stands for every name that the map does not list
_MIRRORED_WORDS = {"left": "right", "right": "left", "cw": "ccw", "ccw": "cw"}
_WORD = re.compile("[a-z]+", re.IGNORECASE)


@dataclass(frozen=True)
class LabelMap:
    """From the data's names to those of the model.

    Args:
        names: the model's name for a name of the data; empty: such clips are left out.
        rest: the name for all others, empty likewise; None: they keep their own.
    """

    names: Mapping[str, str]
    rest: str | None = None

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
        """The recordings under the model's names, without those that are left out."""
        renamed = [
            (recording, self.names.get(recording.label, recording.label if self.rest is None else self.rest))
            for recording in recordings
        ]
        return [replace(recording, label=label) for recording, label in renamed if label]


def mirrored(labels: Sequence[str]) -> tuple[dict[int, int], frozenset[int]]:
    """What becomes of actions in a mirror.

    Returns:
        Class of the mirrored action where it is another one; classes that must not be mirrored because the mirrored
        action has no label.
    """
    partner, fixed = {}, set()
    for number, label in enumerate(labels):
        other = FLIPPED.get(label) or _WORD.sub(_mirror, label)
        if other == label:
            continue
        if other in labels:
            partner[number] = labels.index(other)
        else:
            fixed.add(number)
    return partner, frozenset(fixed)


def _mirror(word: re.Match[str]) -> str:
    return _MIRRORED_WORDS.get(word[0].lower(), word[0])
