"""Finds the files that are installed beside the code."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory


def resource(name: str) -> Path:
    """A file of this package's share folder, or of the source tree when the package is not installed.

    Args:
        name: relative path, e.g. "config/fastdds.xml".

    Raises:
        FileNotFoundError: if it is in neither.
    """
    places = [Path(__file__).resolve().parents[1]]
    with suppress(PackageNotFoundError):
        places.append(Path(get_package_share_directory("fluxformer")))
    for place in places:
        if (place / name).is_file():
            return place / name
    raise FileNotFoundError(f"{name} is neither in {' nor in '.join(map(str, places))}: install the package again")
