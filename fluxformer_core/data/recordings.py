"""Labelled recordings, as this project's lists (CSV files) and class folders give them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

from fluxformer_core.errors import ConfigError
from fluxformer_core.types import SECOND

PixelKind = Literal["", "depth", "colour"]
"""Whether a video shows colours or grey pictures of depth; empty if the list does not tell."""

SINCE_1970 = 10**17
"""Times from this value (3 years in nanoseconds) are stamps of a clock; smaller times count from the first image."""

VIDEO_SUFFIXES = (".mp4", ".avi", ".webm", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv")
_BAG_SUFFIXES = (".mcap", ".db3")
_SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Recording:
    """One labelled clip: a whole recording, or a part of it."""

    path: str
    label: str
    subject: str = ""
    split: str = ""
    pixels: PixelKind = ""
    topic: str = ""  # of a bag with several image topics
    start: int | None = None  # ns: from the recording's first image or, beyond SINCE_1970, by its own clock
    end: int | None = None  # ns, as `start`; None: to the end


def chosen(
    recordings: Iterable[Recording], *, splits: Iterable[str] | None, subjects: Iterable[str] | None
) -> list[Recording]:
    """The recordings of these splits and subjects; None or nothing means all."""
    some_splits, some_subjects = set(splits or ()), set(subjects or ())
    of_splits = [r for r in recordings if not some_splits or r.split in some_splits]
    return [r for r in of_splits if not some_subjects or r.subject in some_subjects]


def read_folders(path: Path) -> list[Recording]:
    """Clips (videos, bags, folders of images) in folders named by label, optionally below train, val and test.

    Raises:
        ConfigError: if there are no such folders with clips.
    """
    if (path / "metadata.yaml").exists():
        raise ConfigError(f"{path} is a bag; give a CSV with the columns bag,label,start,end that names its actions")
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    splits = [folder for folder in folders if folder.name.lower() in _SPLIT_FOLDERS]
    if folders and len(splits) == len(folders):
        labels = [(_SPLIT_FOLDERS[split.name.lower()], label) for split in splits for label in sorted(split.iterdir())]
    else:
        labels = [("", label) for label in folders]
    found = [Recording(str(clip), label.name, split=split) for split, label in labels for clip in _clips(label)]
    if not found:
        raise ConfigError(f"{path} has no folders named by label that hold videos, bags or folders of images")
    return found


def _clips(folder: Path) -> list[Path]:
    shown = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".") if folder.is_dir() else []
    return [entry for entry in shown if entry.is_dir() or entry.suffix.lower() in VIDEO_SUFFIXES + _BAG_SUFFIXES]


def read_index(path: Path, *, media: str | None = None) -> list[Recording]:
    """Read a list of clips: CSV with the columns path (or bag), relative to the list's folder, and label.

    Optional columns: subject, split, pixels (depth or colour) and, for parts of a recording, topic, start and end, in
    seconds from its first image or as stamps of its own clock (in seconds or nanoseconds since 1970). `media` names a
    folder beside the list to take files from, instead of the folder that the list names.

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
    subject, split, topic = (row.get(column, "") for column in ("subject", "split", "topic"))
    file = root / media / Path(path).name if media else root / path
    return Recording(str(file), label, subject, split, pixels, topic, start, end)  # type: ignore[arg-type]
