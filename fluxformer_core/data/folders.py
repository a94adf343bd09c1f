"""Class folders: clips in folders that are named by label, optionally below folders that are named by split."""

from __future__ import annotations

from pathlib import Path

from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import ConfigError

VIDEO_SUFFIXES = (".mp4", ".avi", ".webm", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv")
_BAG_SUFFIXES = (".mcap", ".db3")
_SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_folders(path: Path) -> list[Recording]:
    """Clips in folders that are named by label, optionally below folders named train, val and test.

    A clip is a video file, a bag, or a folder of images.

    Raises:
        ConfigError: if there are no such folders with clips.
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


def _clips(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        entry
        for entry in sorted(folder.iterdir())
        if not entry.name.startswith(".") and (entry.is_dir() or entry.suffix.lower() in VIDEO_SUFFIXES + _BAG_SUFFIXES)
    ]
