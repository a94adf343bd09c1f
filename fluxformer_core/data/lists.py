"""Lists of clips and of the actions in bags: CSV files with the columns path (or bag) and label."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import get_args

from fluxformer_core.data.recordings import SINCE_1970, PixelKind, Recording
from fluxformer_core.errors import ConfigError
from fluxformer_core.types import SECOND


def read_index(path: Path, *, media: str | None = None) -> list[Recording]:
    """Read a list of clips: CSV with the columns path (or bag) and label.

    Optional columns: subject, split, pixels (depth or colour) and, for parts of a recording, topic, start and end, in
    seconds from its first image or as stamps of its own clock (in seconds or nanoseconds since 1970).

    Args:
        path: the list; paths in it are relative to its folder.
        media: folder beside the list to take files from, instead of the folder that the list names.

    Raises:
        ConfigError: if the list cannot be read, is empty, lacks a column or has an unusable line.
    """
    rows = read_rows(path)
    columns = rows[0].keys() if rows else ()
    name = "bag" if "bag" in columns else "path"
    if not rows or not {name, "label"} <= set(columns):
        raise ConfigError(f"{path} must have the columns path (or bag) and label, and at least one line")
    recordings, wrong = [], []
    for number, row in enumerate(rows, start=2):
        try:
            recordings.append(_recording(row, name, path.parent, media))
        except ConfigError as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ConfigError(f"{path}: {'; '.join(wrong[:5])}{more}")
    return recordings


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV by column, with the columns in lower case and without empty rows.

    Raises:
        ConfigError: if the file cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            rows = [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read the list {path}: {error}") from None
    return [row for row in rows if any(row.values())]


def first_line(path: Path) -> str:
    """The first line of a text file.

    Raises:
        ConfigError: if the file cannot be read as text.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the list {path}: {error}") from None


def read_time(text: str, column: str) -> int | None:
    """Nanoseconds, from seconds or from a stamp in nanoseconds since 1970; None if the text is empty.

    Raises:
        ConfigError: naming the column, if the text is neither.
    """
    if not text:
        return None
    if text.isdecimal() and int(text) >= SINCE_1970:
        return int(text)
    try:
        return round(Decimal(text) * SECOND)  # a float would lose the last digits of a stamp
    except (ArithmeticError, ValueError):
        raise ConfigError(f"{column} must be a number of seconds or a stamp in nanoseconds, not {text!r}") from None


def _recording(row: Mapping[str, str], name: str, root: Path, media: str | None) -> Recording:
    path, label, pixels = row[name], row["label"], row.get("pixels", "").lower()
    if not path or not label:
        raise ConfigError(f"{name} and label must not be empty")
    if pixels not in get_args(PixelKind):
        raise ConfigError(f"pixels must be depth, colour or empty, not {pixels!r}")
    start, end = (read_time(row.get(column, ""), column) for column in ("start", "end"))
    if start is not None and end is not None and end <= start:
        raise ConfigError(f"end ({row['end']}) must be later than start ({row['start']})")
    return Recording(
        str(root / media / Path(path).name if media else root / path),
        label,
        row.get("subject", ""),
        row.get("split", ""),
        pixels,  # type: ignore[arg-type]
        row.get("topic", ""),
        start,
        end,
    )
