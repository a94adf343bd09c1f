"""Finds the files that are installed beside the code."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory


def resource(name: str) -> Path:
    """A file of the source tree, or of this package's share folder when the code runs from an installation.

    Args:
        name: relative path, e.g. "config/fastdds.xml".

    Raises:
        FileNotFoundError: if it is in neither.
    """
    path = Path(__file__).resolve().parents[1] / name
    if path.is_file():
        return path
    try:
        path = Path(get_package_share_directory("fluxformer")) / name
    # ament raises the second one where no prefix is known at all.
    except (PackageNotFoundError, OSError) as error:
        raise FileNotFoundError(f"{name} is not installed: {error}") from error
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install the package again")
    return path
