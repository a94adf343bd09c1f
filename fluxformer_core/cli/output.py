"""Files that commands write: refused before the work, not after it."""

from __future__ import annotations

from pathlib import Path

from fluxformer_core.errors import ConfigError


def check_writable(*paths: Path | None) -> None:
    """Refuse files whose folder is not there.

    Raises:
        ConfigError: naming the first of them.
    """
    for path in paths:
        if path is not None and not path.resolve().parent.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no folder {path.parent}")


def write_text(path: Path, text: str) -> None:
    """Write a text file.

    Raises:
        ConfigError: if it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
