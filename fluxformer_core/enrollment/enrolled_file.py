"""A user's file of taught actions, which the node reads at its next start. The file lists the actions by model.

The file is JSON, so that a person can read it and remove actions from it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes, TypeAdapter, ValidationError

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import EnrolledAction, set_problems
from fluxformer_core.errors import ConfigError


@dataclass(frozen=True)
class _Entry:
    label: str
    prototype: Base64Bytes  # float16, little-endian
    threshold: float
    examples: int
    agreement: float  # the consistency of the examples; files have kept this key since format 1

    @property
    def values(self) -> NDArray[np.float32]:
        whole = self.prototype[: len(self.prototype) // _STORED.itemsize * _STORED.itemsize]
        return np.frombuffer(whole, _STORED).astype(np.float32)


@dataclass(frozen=True)
class _File:
    format: Literal[1]
    models: Mapping[str, tuple[_Entry, ...]]  # by the digest of the model's bundle


_FILE = TypeAdapter(_File)
_STORED = np.dtype("<f2")


def default_enrolled_file() -> Path:
    """The path of a user's file: in ROS_HOME if that variable is set, else in XDG_CONFIG_HOME or ~/.config."""
    home = os.environ.get("ROS_HOME") or os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "fluxformer" / "enrolled.json"


def load_enrolled(path: Path, bundle: Bundle) -> tuple[EnrolledAction, ...]:
    """The actions that were taught to this model; empty if there is no file.

    Raises:
        ConfigError: if the file cannot be read, is damaged, or holds actions that do not fit the model.
    """
    entries = _read(path).models.get(bundle.digest, ())
    actions = tuple(EnrolledAction(e.label, e.values, e.threshold, e.examples, e.agreement) for e in entries)
    if wrong := set_problems((*bundle.enrolled, *actions), bundle.labels, bundle.width):
        raise ConfigError(f"the taught actions in {path} do not fit the model: {'; '.join(wrong)}")
    return actions


def save_enrolled(path: Path, bundle: Bundle, actions: Sequence[EnrolledAction]) -> None:
    """Replace the actions that were taught to this model. Actions of other models stay. The write is atomic.

    Raises:
        ConfigError: if the file cannot be written, or is damaged: a new file would lose other models' actions.
    """
    entries = tuple(
        _Entry(a.label, a.prototype.astype(_STORED).tobytes(), a.threshold, a.examples, a.consistency) for a in actions
    )
    file = _read(path)
    models = {digest: others for digest, others in file.models.items() if digest != bundle.digest}
    if entries:
        models[bundle.digest] = entries
    text = json.dumps(_FILE.dump_python(replace(file, models=models), mode="json"), indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=path.name) as folder:
            whole = Path(folder) / path.name
            whole.write_text(text + "\n", encoding="utf-8")
            os.replace(whole, path)
    except OSError as error:
        raise ConfigError(f"cannot save taught actions in {path}: {error.strerror}") from None


def _read(path: Path) -> _File:
    try:
        return _FILE.validate_json(path.read_bytes())
    except FileNotFoundError:
        return _File(1, {})
    except OSError as error:
        raise ConfigError(f"cannot read the taught actions in {path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ConfigError(
            f"the taught actions in {path} cannot be used: {where}: {first['msg']}; repair the file, or move it away"
        ) from None
