"""What is to be learnt from where: class folders, our own lists of clips, and lists of the actions in a bag.

The lists of public data sets are read by `public_lists`; both give the same `Recording`s.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

from fluxformer_core.clip import SECOND
from fluxformer_core.errors import ConfigError

PixelKind = Literal["", "depth", "colour"]
"""Whether a video shows colours or grey pictures of depth; empty where only the images themselves can tell."""

SINCE_1970 = 10**17
"""Times from here on (3 years in nanoseconds) are a clock's stamps, earlier ones count from the recording's start."""

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
    end: int | None = None  # ns, likewise; None: to the end


def read_data(path: Path, *, media: str | None = None) -> list[Recording]:
    """Read what a user names as data, whichever form it has.

    Args:
        path: a folder of class folders, a list of clips or of the actions in bags, or a public data set's list.
        media: folder, beside the list, to take the files from instead of the one that the list names.

    Raises:
        ConfigError: if it cannot be read, is empty, or has none of the known forms.
    """
    from fluxformer_core.learn import public_lists

    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a folder of class folders or a list of clips")
    if path.is_dir():
        return public_lists.read_hmdb(path, media) if public_lists.is_hmdb(path) else read_folders(path)
    if path.suffix == ".json":
        return public_lists.read_something(path, media)
    if public_lists.is_hmdb(path):
        return public_lists.read_hmdb(path, media)
    header = first_line(path).lower().split(",")
    if "youtube_id" in header:
        return public_lists.read_kinetics(path, media)
    if path.suffix != ".csv" or (len(header) == 2 and header[1].strip().isdecimal()):
        return public_lists.read_pairs(path, media)
    return read_index(path, media=media)


def read_index(path: Path, *, media: str | None = None) -> list[Recording]:
    """Read a list of clips: CSV with the columns path (or bag) and label.

    Optional columns: subject, split, pixels (depth or colour) and, for parts of a recording, topic, start and end, in
    seconds from its first image or as stamps of its own clock (in seconds or nanoseconds since 1970).

    Args:
        path: the list; paths in it are relative to its folder.
        media: folder, beside the list, to take the files from instead of the one that the list names.

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


def read_folders(path: Path) -> list[Recording]:
    """Clips that lie in folders named by their label, optionally below folders named train, val and test.

    A clip is a video file, a bag, or a folder of images.

    Raises:
        ConfigError: if there is no such clip.
    """
    if (path / "metadata.yaml").exists():
        raise ConfigError(f"{path} is a bag; give a CSV with the columns bag,label,start,end that names its actions")
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    splits = [folder for folder in folders if folder.name.lower() in _SPLIT_FOLDERS]
    if folders and len(splits) == len(folders):
        found = [
            Recording(str(clip), label.name, split=_SPLIT_FOLDERS[split.name.lower()])
            for split in splits
            for label in sorted(split.iterdir())
            for clip in _clips(label)
        ]
    else:
        found = [Recording(str(clip), label.name) for label in folders for clip in _clips(label)]
    if not found:
        raise ConfigError(f"{path} has no folders named by label that hold videos, bags or folders of images")
    return found


def read_rows(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV by column, columns in lower case; lines in which nothing stands are left out.

    Raises:
        ConfigError: if it cannot be read.
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
        ConfigError: if it cannot be read as text.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the list {path}: {error}") from None


def chosen(
    recordings: Iterable[Recording], *, splits: Iterable[str] | None, subjects: Iterable[str] | None
) -> list[Recording]:
    """The recordings of these splits and subjects; None stands for all."""
    some_splits, some_subjects = set(splits or ()), set(subjects or ())
    return [
        recording
        for recording in recordings
        if (not some_splits or recording.split in some_splits)
        and (not some_subjects or recording.subject in some_subjects)
    ]


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


def read_time(text: str, column: str) -> int | None:
    """Nanoseconds, from seconds or, where only those can be meant, from nanoseconds; None if nothing is written.

    Raises:
        ConfigError: naming the column, if it is neither.
    """
    if not text:
        return None
    if text.isdecimal() and int(text) >= SINCE_1970:
        return int(text)
    try:
        return round(Decimal(text) * SECOND)  # a float would lose the last digits of a stamp
    except (ArithmeticError, ValueError):
        raise ConfigError(f"{column} must be a number of seconds or a stamp in nanoseconds, not {text!r}") from None


def _clips(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        entry
        for entry in sorted(folder.iterdir())
        if not entry.name.startswith(".") and (entry.is_dir() or entry.suffix.lower() in VIDEO_SUFFIXES + _BAG_SUFFIXES)
    ]
