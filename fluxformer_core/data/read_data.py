"""Reading labelled recordings in any known form: class folders, this project's lists, and those of public data sets.

The lists of Kinetics, Something-Something V2 and HMDB51 are read as published. The data sets are not part of this
project; `media` names the folder beside the list that holds the files.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from fluxformer_core.data.recordings import VIDEO_SUFFIXES, Recording, read_folders, read_index, read_rows
from fluxformer_core.errors import ConfigError

_HMDB = re.compile(r"(?P<label>.+)_test_split(?P<number>\d)\.txt")
_HMDB_USE = {"0": "", "1": "train", "2": "test"}
_SPLITS = ("train", "val", "test")


def read_data(path: Path, *, media: str | None = None) -> list[Recording]:
    """Read a folder of class folders, a list of clips or of the actions in bags, or a public data set's list.

    Raises:
        ConfigError: if the data cannot be read, is empty, or has no known form.
    """
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a folder of class folders or a list of clips")
    if path.is_dir():
        return _read_hmdb(path, "1", media) if any(path.glob("*_test_split1.txt")) else read_folders(path)
    if path.suffix == ".json":
        return _read_something(path, media)
    if split := _HMDB.fullmatch(path.name):
        return _read_hmdb(path, split["number"], media)
    header = next(iter(_lines(path)), "").lower().split(",")
    if "youtube_id" in header:
        return _read_kinetics(path, media)
    if path.suffix != ".csv" or (len(header) == 2 and header[1].strip().isdecimal()):
        return _read_pairs(path, media)
    return read_index(path, media=media)


def _read_pairs(path: Path, media: str | None) -> list[Recording]:
    """Lines `path label`, separated by white space or a comma, as used with Kinetics; a label may be a number."""
    recordings, split = [], _split_of(path.stem)
    for number, line in enumerate(_lines(path), start=1):
        words = re.fullmatch(r"(?P<path>.+?)(\s*,\s*|\s+)(?P<label>[^\s,]+)", line)
        if words is None:
            raise ConfigError(f"{path}, line {number}: expected a path and a label, found {line!r}")
        name = Path(words["path"])
        target = path.parent / media / name.name if media else path.parent / name
        recordings.append(Recording(str(target), words["label"], split=split))
    return _some(recordings, path)


def _read_kinetics(path: Path, media: str | None) -> list[Recording]:
    """Kinetics' CSV: label, youtube_id, time_start, time_end, split; files are named as by the usual downloaders."""
    folder, recordings = path.parent / (media or ""), []
    for row in read_rows(path):
        label = row.get("label", "")
        if not label:
            raise ConfigError(f"{path} has no column label: only lists with labels can be used")
        try:
            cut = f"_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
        except (KeyError, ValueError):
            raise ConfigError(f"{path} needs whole seconds in time_start and time_end: {row}") from None
        places = [folder / label, folder / label.replace(" ", "_"), folder]
        file = _existing([place / (row["youtube_id"] + cut) for place in places])
        recordings.append(Recording(str(file), label, split=_split_of(row.get("split", ""))))
    return _some(recordings, path)


def _read_something(path: Path, media: str | None) -> list[Recording]:
    """Something-Something V2's JSON: entries with id and template (or label); the file's name tells the split."""
    folder, split, recordings = path.parent / (media or ""), _split_of(path.stem), []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        for entry in entries:
            label = re.sub(r"[\[\]]", "", entry["template"] if "template" in entry else entry["label"])
            recordings.append(Recording(str(_existing([folder / str(entry["id"])])), label, split=split))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"cannot read the list {path}: {error}") from None
    except (LookupError, TypeError):
        raise ConfigError(f"{path} must be a list of entries with id and template or label") from None
    return _some(recordings, path)


def _read_hmdb(path: Path, number: str, media: str | None) -> list[Recording]:
    """HMDB51's split files of one of three splits, one per label: lines `name.avi 1` (1: train, 2: test, 0: neither).

    `media` has one folder of videos for each label.
    """
    root, recordings = path if path.is_dir() else path.parent, []
    for file in sorted(root.glob(f"*_test_split{number}.txt")):
        match = _HMDB.fullmatch(file.name)
        for line in _lines(file):
            name, _, use = line.rpartition(" ")
            if match is None or not name or use not in _HMDB_USE:
                raise ConfigError(f"{file}: expected a file's name and 0, 1 or 2, found {line!r}")
            target = root / (media or "") / match["label"] / name.strip()
            recordings.append(Recording(str(target), match["label"], split=_HMDB_USE[use]))
    return _some([r for r in recordings if r.split], path)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the list {path}: {error}") from None


def _existing(stems: list[Path]) -> Path:
    """The existing video of one of these names with any suffix, or else the first name as an MP4, to be reported."""
    files = [Path(f"{stem}{suffix}") for stem in stems for suffix in VIDEO_SUFFIXES]
    return next((file for file in files if file.exists()), files[0])


def _split_of(name: str) -> str:
    """The split that a name contains: train, val (valid, validate, validation) or test; empty if none."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((split for word in words for split in _SPLITS if word.startswith(split)), "")


def _some(recordings: list[Recording], path: Path) -> list[Recording]:
    if not recordings:
        raise ConfigError(f"{path} names no clip")
    return recordings
