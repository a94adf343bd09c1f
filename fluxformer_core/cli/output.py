"""Checks before a command's work, and the files that commands write."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fluxformer_core.errors import ConfigError, writing


def require_packages(purpose: str, *packages: str) -> None:
    """Refuse to start without optional packages: a ConfigError names the first package that is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise ConfigError(f"{purpose} needs {package}: pip install 'fluxformer[train]'")


def check_writable(*paths: Path | None) -> None:
    """Refuse files whose folder does not exist: a ConfigError names the first such file."""
    for path in paths:
        if path is not None and not path.resolve().parent.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no folder {path.parent}")


def write_text(path: Path, text: str) -> None:
    """Write a text file; a ConfigError if the file cannot be written."""
    with writing(path):
        path.write_text(text, encoding="utf-8")
