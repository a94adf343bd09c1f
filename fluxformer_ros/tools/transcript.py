"""What a recogniser said over ROS, as a file of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fluxformer_core.types import ActionEvent, ActionScore, EventKind, Recognition, State


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
        """The newest diagnostics of an active recogniser; empty if there were none."""
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
        _READERS[line["type"]](transcript, line["item"], line["arrival"])
    return transcript


def _read_recognition(transcript: Transcript, item: dict[str, Any], arrival: int) -> None:
    scores = tuple(ActionScore(**score) for score in item.pop("scores"))
    transcript.recognitions.append(Recognition(state=State(item.pop("state")), scores=scores, **item))
    transcript.arrivals.append(arrival)


def _read_event(transcript: Transcript, item: dict[str, Any], _arrival: int) -> None:
    transcript.events.append(ActionEvent(kind=EventKind(item.pop("kind")), **item))


def _read_status(transcript: Transcript, item: dict[str, Any], _arrival: int) -> None:
    transcript.statuses.append(Status(**item))


_READERS: dict[str, Callable[[Transcript, dict[str, Any], int], None]] = {
    "Recognition": _read_recognition,
    "ActionEvent": _read_event,
    "Status": _read_status,
}
