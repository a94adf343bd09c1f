"""Settings of the live path: defaults, units and ranges. Every other place reads them from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from fluxformer_core.backends.base import BackendName, InferencePrecision
from fluxformer_core.declared import check
from fluxformer_core.errors import ConfigError
from fluxformer_core.people.tracker import PeopleConfig
from fluxformer_core.types import SelectionName, ViewName

Config = TypeVar("Config")

Score = Annotated[float, Field(ge=0.01, le=1)]
Speed = Annotated[float, Field(ge=0.001, le=10)]  # frame heights per second
Seconds = Annotated[float, Field(ge=0.01, le=60)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class MotionConfig:
    """Thresholds between motion and rest.

    Raises:
        ConfigError: if a field is outside its range.
    """

    start_motion: Speed = 0.14  # speed of the fastest pixels at which a motion segment begins
    stop_motion: Speed = 0.09  # speed below which the scene is still
    relative_threshold: Annotated[float, Field(ge=0, le=0.9)] = 0.2  # of the segment's top speed: slower is still, too
    still_time: Seconds = 0.3  # stillness that ends a segment when the image is as it was before the segment
    max_still_time: Seconds = 1.0  # stillness that ends a segment whatever the image shows
    returned: Share = 0.4  # of the segment's largest image difference: a smaller difference counts as "as before"

    def __post_init__(self) -> None:
        check(
            self,
            [
                f"{low} ({getattr(self, low)}) must be at most {high} ({getattr(self, high)})"
                for low, high in (("stop_motion", "start_motion"), ("still_time", "max_still_time"))
                if getattr(self, low) > getattr(self, high)
            ],
        )


@dataclass(frozen=True)
class DecisionConfig:
    """Thresholds of the decision.

    Raises:
        ConfigError: if a field is outside its range.
    """

    start_score: Score = 0.5  # smoothed score at which an action starts
    keep_score: Score = 0.3  # smoothed score below which another label may replace that of a running action
    sure_score: Share = 0.0  # an action whose score never reached this is retracted when it ends; 0: no action is
    min_duration: Annotated[float, Field(ge=0, le=60)] = 0.2  # s: a shorter motion segment is no action
    smoothing: Annotated[float, Field(ge=0, le=10)] = 0.3  # s: time constant of the running mean of scores; 0: no mean
    motion: MotionConfig = field(default_factory=MotionConfig)

    def __post_init__(self) -> None:
        above = self.keep_score > self.start_score
        check(self, [f"keep_score ({self.keep_score}) must be at most start_score ({self.start_score})"] * above)


@dataclass(frozen=True)
class RecognizerConfig:
    """Settings of a recogniser.

    Raises:
        ConfigError: if a field is outside its range.
    """

    recognition_rate: Annotated[float, Field(ge=0.1, le=120)] = 7.5  # Hz, by stamp
    top_k: Annotated[int, Field(ge=1, le=1000)] = 5  # labels with scores that a recognition lists
    max_gap: Annotated[float, Field(ge=0.05, le=60)] = 0.5  # s: a longer gap between two frames empties the window
    selection: SelectionName | Literal[""] = ""  # how a clip's frames are selected; empty: as the model was trained
    backend: BackendName = "torch"  # what runs the model; read when the recogniser is made
    precision: InferencePrecision = "fp32"  # of the model's arithmetic; read when the recogniser is made
    view: ViewName | Literal["auto"] = "auto"  # what the model looks at; auto: as it was trained; read at the start
    people: PeopleConfig = field(default_factory=PeopleConfig)  # of the person view; read when the recogniser is made
    decision: DecisionConfig = field(default_factory=DecisionConfig)

    def __post_init__(self) -> None:
        check(self)


def settings_of(config: RecognizerConfig) -> dict[str, float]:
    """Every number of a configuration and of the configurations within it, by its name."""
    return {path.rpartition(".")[2]: value for path, value in _numbers(config, "").items()}


def with_settings(config: RecognizerConfig, changes: Mapping[str, float]) -> RecognizerConfig:
    """The configuration with other numbers.

    Args:
        config: what to start from.
        changes: by name; all of them are applied at once, so that dependent values may move together.

    Raises:
        ConfigError: if there is no setting of a name, or a value is outside its range.
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
    """A copy of a nested dataclass with other values, each given by its dotted path below the prefix."""
    changes: dict[str, Any] = {}
    for member in fields(config):  # type: ignore[arg-type]
        path, current = prefix + member.name, getattr(config, member.name)
        if is_dataclass(current):
            changes[member.name] = replaced(current, values, f"{path}.")
        elif path in values:
            changes[member.name] = values[path]
    return replace(config, **changes)  # type: ignore[type-var]


def _numbers(config: Any, prefix: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for member in fields(config):
        path, value = prefix + member.name, getattr(config, member.name)
        if is_dataclass(value):
            found |= _numbers(value, f"{path}.")
        elif isinstance(value, int | float):
            found[path] = value
    return found
