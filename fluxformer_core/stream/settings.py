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
    return dict(_numbers(config))


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
    return _changed(config, {name: type(known[name])(value) for name, value in changes.items()})


def _numbers(config: Any) -> list[tuple[str, float]]:
    found = []
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            found += _numbers(value)
        elif isinstance(value, int | float):
            found.append((field.name, value))
    return found


def _changed(config: Config, changes: Mapping[str, float]) -> Config:
    own: dict[str, Any] = {}
    for field in fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if is_dataclass(value):
            own[field.name] = _changed(value, changes)
        elif field.name in changes:
            own[field.name] = changes[field.name]
    return replace(config, **own)  # type: ignore[type-var]
