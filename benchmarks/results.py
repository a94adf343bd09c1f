"""Results of many trainings: kept in a file as they come, so that a comparison goes on; shown as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any


class Results:
    """Shares of clips that were named rightly, by row and column.

    Args:
        path: JSON file to keep them in; None keeps them in memory alone.
        setting: what all of them have in common; results of another setting are not continued.
    """

    def __init__(self, path: Path | None, setting: dict[str, Any]) -> None:
        self._path = path
        self._setting = json.loads(json.dumps(setting, default=str))
        self._shares: dict[str, dict[str, float]] = {}
        if path is not None and path.exists():
            kept = json.loads(path.read_text())
            if kept["setting"] != self._setting:
                raise SystemExit(f"{path} holds results of another setting: remove it or name another file")
            self._shares = kept["shares"]

    def add(self, row: str, column: str, measure: Callable[[], float]) -> None:
        """Measure, say and keep one result, unless it is there already."""
        cells = self._shares.setdefault(row, {})
        if column in cells:
            return
        cells[column] = measure()
        print(f"{row} | {column}: {cells[column]:.1%}", flush=True)
        if self._path is not None:
            self._path.write_text(json.dumps({"setting": self._setting, "shares": self._shares}, indent=1) + "\n")

    def table(self, columns: Sequence[str], notes: dict[str, str] | None = None) -> str:
        """Rows with their columns, mean, standard deviation and, perhaps, a note each; what is missing is a dash."""
        wide = max(map(len, self._shares)) + 2
        lines = [" " * wide + "".join(f"{column:>9}" for column in columns) + f"{'mean':>9}{'sd':>8}"]
        for row, cells in self._shares.items():
            values = [cells[column] for column in columns if column in cells]
            whole = len(values) == len(columns)
            average = f"{mean(values):9.1%}" if whole else f"{'-':>9}"
            spread = f"{stdev(values):8.1%}" if whole and len(values) > 1 else " " * 8
            note = "  " + notes[row] if notes and row in notes else ""
            shown = "".join(f"{cells[column]:9.1%}" if column in cells else f"{'-':>9}" for column in columns)
            lines.append(f"{row:<{wide}}{shown}{average}{spread}{note}")
        return "\n".join(lines)
