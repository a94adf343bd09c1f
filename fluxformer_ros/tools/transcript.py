"""What a recogniser said over ROS, as a file of JSON lines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from fluxformer_core.types import ActionEvent, EventKind, Recognition


@dataclass(frozen=True)
class Status:
    """One entry of /diagnostics."""

    level: int
    message: str
    values: dict[str, str]


@dataclass
class Transcript:
    """Everything that was heard, in the order of arrival."""

    recognitions: list[Recognition] = field(default_factory=list)
    events: list[ActionEvent] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)  # ns of the listener's clock: of the recognitions

    @property
    def ended(self) -> list[ActionEvent]:
        """The events of actions that are over and were not retracted."""
        return [event for event in self.events if event.kind is EventKind.ENDED]

    @property
    def last_values(self) -> dict[str, str]:
        """The newest diagnostics of an active recogniser; empty without such diagnostics."""
        active = (status.values for status in reversed(self.statuses) if status.values.get("state") == "active")
        return next(active, {})


class TranscriptWriter:
    """Writes every item at once, so that nothing is lost when the process is stopped."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)

    def write(self, item: Recognition | ActionEvent | Status, arrival: int) -> None:
        """Append what arrived at `arrival` (ns)."""
        line = {"type": type(item).__name__, "arrival": arrival, "item": asdict(item)}
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_transcript(path: Path) -> Transcript:
    """Read what a `TranscriptWriter` wrote."""
    transcript = Transcript()
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        item = _TYPES[line["type"]].validate_python(line["item"])
        if isinstance(item, Recognition):
            transcript.recognitions.append(item)
            transcript.arrivals.append(line["arrival"])
        else:
            (transcript.statuses if isinstance(item, Status) else transcript.events).append(item)
    return transcript


_TYPES: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in (Recognition, ActionEvent, Status)}
