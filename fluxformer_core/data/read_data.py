"""Reading labelled recordings from class folders, from this project's lists, or from lists of public data sets."""

from __future__ import annotations

from pathlib import Path

from fluxformer_core.data import public_lists
from fluxformer_core.data.folders import read_folders
from fluxformer_core.data.lists import first_line, read_index
from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import ConfigError


def read_data(path: Path, *, media: str | None = None) -> list[Recording]:
    """Read labelled recordings in any known form.

    Args:
        path: a folder of class folders, a list of clips or of the actions in bags, or a public data set's list.
        media: folder beside the list to take files from, instead of the folder that the list names.

    Raises:
        ConfigError: if the data cannot be read, is empty, or has no known form.
    """
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
