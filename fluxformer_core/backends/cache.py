"""Engines on disk. An engine is used only if every condition of its build still holds; otherwise it is rebuilt."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from fluxformer_core import __version__
from fluxformer_core.backends.base import Backend, BuildRequest
from fluxformer_core.weights_file import sha256_of

_RECORD = "key.json"

log = logging.getLogger(__name__)


def default_cache() -> Path:
    """Where engines are kept: FLUXFORMER_CACHE, or fluxformer/ in XDG_CACHE_HOME or ~/.cache."""
    if folder := os.environ.get("FLUXFORMER_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fluxformer"


@dataclass(frozen=True)
class Key:
    """Every condition under which an engine was built."""

    name: str  # of the net
    digest: str  # of its weights
    backend: str
    precision: str
    batch: int
    shapes: tuple[tuple[int, ...], ...]  # of each input at batch 1
    fluxformer: str  # version
    platform: Mapping[str, str]  # versions of libraries, and the device

    @property
    def folder(self) -> str:
        """Name of the engine's folder: the parts of the key that people look for, then a digest of the whole key."""
        whole = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]
        name = re.sub(r"[^\w.-]", "_", self.name)
        return f"{name}-{self.digest}-{self.backend}-{self.precision}-b{self.batch}-{whole}"


def key_of(backend: Backend, request: BuildRequest) -> Key:
    """The key of the engine that this backend would build now on this machine."""
    built = request.name, request.digest, backend.name, request.precision, request.batch, request.shapes
    return Key(*built, __version__, backend.identity())


class EngineCache:
    """A folder of engines, which is made when the first engine is stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self, key: Key) -> Iterator[Path]:
        """The place of this key's engine, locked against other processes that want the same engine.

        If the cache cannot be written, a warning is logged and a temporary folder takes its place.
        """
        lock = FileLock(self.folder / f"{key.folder}.lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock.acquire()
        except OSError as error:
            log.warning("engines cannot be kept in %s: %s; they are rebuilt each time", self.folder, error.strerror)
            with tempfile.TemporaryDirectory(prefix="fluxformer") as aside:
                yield Path(aside) / key.folder
            return
        try:
            yield self.folder / key.folder
        finally:
            lock.release()

    def find(self, place: Path, key: Key) -> Mapping[str, Any] | None:
        """The notes on an undamaged engine with this key, else None. A damaged or foreign engine causes a warning."""
        if not place.is_dir():
            return None
        try:
            record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
            if record["key"] != json.loads(json.dumps(asdict(key))):
                reason = "it was built for something else"
            elif record["files"] != _digests(place):
                reason = "its files have changed"
            else:
                return dict(record["notes"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"it is damaged ({type(error).__name__})"
        log.warning("the engine in %s is rebuilt: %s", place, reason)
        return None

    def store(self, place: Path, key: Key, build: Callable[[Path], Mapping[str, Any]]) -> None:
        """Let `build` fill a folder and return notes on the engine; move the folder to the place that `locked` gave."""
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".building-") as aside:
            whole = Path(aside) / "engine"
            whole.mkdir()
            notes = build(whole)
            record = {"key": asdict(key), "notes": dict(notes), "files": _digests(whole)}
            (whole / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            shutil.rmtree(place, ignore_errors=True)
            os.replace(whole, place)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file except the record, by file name."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != _RECORD}
