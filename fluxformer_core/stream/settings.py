"""The recogniser's numbers by name, whichever configuration they belong to; the node's parameters are named alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.recognizer import RecognizerConfig

Config = TypeVar("Config")


def settings_of(config: RecognizerConfig) -> dict[str, float]:
    """Every number of a configuration and of those within it."""
    return {path.rpartition(".")[2]: value for path, value in _numbers(config, "").items()}


def with_settings(config: RecognizerConfig, changes: Mapping[str, float]) -> RecognizerConfig:
    """The configuration with other numbers.

    Args:
        config: what to start from.
        changes: by name; all of them count at once, so that those that belong together may move together.

    Raises:
        ConfigError: if a name is none of the settings, or a value is outside its range.
    """
    known = settings_of(config)
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise ConfigError(f"there is no setting {', '.join(unknown)}; known are {', '.join(known)}")
    broken = [f"{n}={v:g}" for n, v in changes.items() if isinstance(known[n], int) and not float(v).is_integer()]
    if broken:
        raise ConfigError(f"a whole number is needed, not {', '.join(broken)}")
    paths = {path.rpartition(".")[2]: path for path in _numbers(config, "")}
    return replaced(config, {paths[name]: type(known[name])(value) for name, value in changes.items()})


def replaced(config: Config, values: Mapping[str, Any], prefix: str = "") -> Config:
    """A copy of a nested dataclass with the values whose dotted path begins with the prefix."""
    changes: dict[str, Any] = {}
    for field in fields(config):  # type: ignore[arg-type]
        path, current = prefix + field.name, getattr(config, field.name)
        if is_dataclass(current):
            changes[field.name] = replaced(current, values, f"{path}.")
        elif path in values:
            changes[field.name] = values[path]
    return replace(config, **changes)  # type: ignore[type-var]


def _numbers(config: Any, prefix: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for field in fields(config):
        path, value = prefix + field.name, getattr(config, field.name)
        if is_dataclass(value):
            found |= _numbers(value, f"{path}.")
        elif isinstance(value, int | float):
            found[path] = value
    return found
