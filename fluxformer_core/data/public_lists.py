"""Lists of clips as public data sets publish them: Kinetics, Something-Something V2, HMDB51.

The data sets are not part of this project; `media` names the folder beside the list that holds the files.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from fluxformer_core.data.folders import VIDEO_SUFFIXES
from fluxformer_core.data.lists import read_rows
from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import ConfigError

_HMDB = re.compile(r"(?P<label>.+)_test_split(?P<number>\d)\.txt")
_HMDB_USE = {"0": "", "1": "train", "2": "test"}
_SPLITS = ("train", "val", "test")


def read_pairs(path: Path, media: str | None) -> list[Recording]:
    """Lines `path label`, separated by white space or a comma, as used with Kinetics; a label may be a number.

    Raises:
        ConfigError: if the list cannot be read or a line has another form.
    """
    recordings, split = [], _split_of(path.stem)
    for number, line in enumerate(_lines(path), start=1):
        words = re.fullmatch(r"(?P<path>.+?)(\s*,\s*|\s+)(?P<label>[^\s,]+)", line)
        if words is None:
            raise ConfigError(f"{path}, line {number}: expected a path and a label, found {line!r}")
        name = Path(words["path"])
        target = path.parent / media / name.name if media else path.parent / name
        recordings.append(Recording(str(target), words["label"], split=split))
    return _some(recordings, path)


def read_kinetics(path: Path, media: str | None) -> list[Recording]:
    """Kinetics' CSV: label, youtube_id, time_start, time_end, split; files are named as by the usual downloaders.

    Raises:
        ConfigError: if the list cannot be read, is empty, or has no labels.
    """
    folder, recordings = _media(path, media), []
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


def read_something(path: Path, media: str | None) -> list[Recording]:
    """Something-Something V2's JSON: entries with id and template (or label); the file's name tells the split.

    Raises:
        ConfigError: if the list cannot be read, is empty, or has no labels.
    """
    folder, split, recordings = _media(path, media), _split_of(path.stem), []
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


def is_hmdb(path: Path) -> bool:
    """Whether a path is one of HMDB51's split files, or the folder of these files."""
    return bool(any(path.glob("*_test_split1.txt")) if path.is_dir() else _HMDB.fullmatch(path.name))


def read_hmdb(path: Path, media: str | None) -> list[Recording]:
    """HMDB51's split files, one per label: lines `name.avi 1` (1: train, 2: test, 0: neither).

    Args:
        path: the folder of the split files, for the first of three splits; or any file of another split.
        media: folder with one folder of videos for each label.

    Raises:
        ConfigError: if a list cannot be read, is empty or has a line of another form.
    """
    root = path if path.is_dir() else path.parent
    number = "1" if path.is_dir() else str(path.name)[-5]
    folder, recordings = root / (media or "."), []
    for file in sorted(root.glob(f"*_test_split{number}.txt")):
        match = _HMDB.fullmatch(file.name)
        for line in _lines(file):
            name, _, use = line.rpartition(" ")
            if match is None or not name or use not in _HMDB_USE:
                raise ConfigError(f"{file}: expected a file's name and 0, 1 or 2, found {line!r}")
            target = folder / match["label"] / name.strip()
            recordings.append(Recording(str(target), match["label"], split=_HMDB_USE[use]))
    return _some([r for r in recordings if r.split], path)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the list {path}: {error}") from None


def _media(path: Path, media: str | None) -> Path:
    return path.parent / media if media else path.parent


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
