"""Ranges and choices of settings, declared once on the fields of frozen dataclasses and checked here.

A field declares its limits in its type: `Annotated[float, Field(gt=0, le=120)]`, or `Literal["a", "b"]` for a choice.
Pydantic checks the values. `limits` reads the same declaration for parameter tables and messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from fluxformer_core.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """What a setting may be; None where nothing is declared."""

    low: float | None = None  # inclusive, unless `low_excluded`
    high: float | None = None  # inclusive, unless `high_excluded`
    low_excluded: bool = False
    high_excluded: bool = False
    choices: tuple[Any, ...] = ()


def check(config: Any, further: Sequence[str] = ()) -> None:
    """Hold every field of a dataclass, usually in its `__post_init__`, against its declared type and limits.

    `further` says in words what is wrong between fields.

    Raises:
        ConfigError: naming every wrong field with its value and its limits.
    """
    from pydantic import ValidationError

    cls: type = type(config)
    wrong = []
    for name, adapter in _adapters(cls).items():
        value = getattr(config, name)
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            text = error.errors()[0]["msg"].replace("Input should be", "must be", 1)
            wrong.append(f"{name} {text[0].lower() + text[1:]}, not {value!r}")
    if wrong := [*wrong, *further]:
        raise ConfigError("; ".join(wrong))


@lru_cache
def limits(cls: type, name: str) -> Limits:
    """The declared limits of a dataclass's field."""
    hint = get_type_hints(cls, include_extras=True)[name]
    found: dict[str, Any] = {}
    for note in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        for limit in getattr(note, "metadata", [note]):
            for key, side in (("ge", "low"), ("gt", "low"), ("le", "high"), ("lt", "high")):
                if (value := getattr(limit, key, None)) is not None:
                    found |= {side: value, f"{side}_excluded": key in ("gt", "lt")}
    return Limits(**found, choices=_choices(hint))


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    nested = [_choices(argument) for argument in get_args(hint)]
    return tuple(dict.fromkeys(choice for choices in nested for choice in choices))


@lru_cache
def _adapters(cls: type) -> dict[str, Any]:
    from dataclasses import is_dataclass

    from pydantic import ConfigDict, TypeAdapter

    hints = get_type_hints(cls, include_extras=True)
    settings = ConfigDict(arbitrary_types_allowed=True)
    # A nested dataclass has checked itself.
    names = [field.name for field in fields(cls) if not is_dataclass(hints[field.name])]
    return {name: TypeAdapter(hints[name], config=settings) for name in names}
