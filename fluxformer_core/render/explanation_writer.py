"""Writing explanations while a stream runs: a picture of the clips with which actions start, change and end."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from fluxformer_core.errors import writing
from fluxformer_core.render.explanation import Explanation, draw_explanation
from fluxformer_core.render.overlay import readable
from fluxformer_core.types import SECOND, ActionEvent, EventKind, Recognition, State, Update

if TYPE_CHECKING:
    from fluxformer_core.stream.recognizer import Recognizer


class ExplanationWriter:
    """Writes a picture when an action starts, is renamed or retracted, and one of the last clip of a motion segment.

    A motion segment without a recognised action therefore has a picture, which helps to find out why an action was
    missed. A file name consists of a running number, the seconds since the first frame, and the content. The folder is
    created if it does not exist. If it holds more than `keep` pictures of this writer, the oldest are removed.

    Raises:
        ConfigError: if the folder cannot be written. All other methods raise this error, too.
    """

    def __init__(self, folder: Path, keep: int = 500) -> None:
        self.written = 0
        self._folder, self._keep = folder, keep
        self._files: deque[Path] = deque()
        self._origin: int | None = None
        self._newest: dict[str, Explanation] = {}  # of each person's current motion segment, if not written yet
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def update(self, update: Update, stamp: int, recognizer: Recognizer) -> None:
        """Write the pictures for a frame (stamp in ns); to be called after the recogniser's `push`."""
        self._origin = stamp if self._origin is None else self._origin
        explanations = (self._explain(recognition, recognizer) for recognition in update.recognitions)
        fresh = {made.recognition.person_id: made for made in explanations if made is not None}
        for event in update.events:
            explanation = fresh.get(event.person_id)
            if event.kind is EventKind.ENDED or (explanation is None and event.kind is EventKind.RETRACTED):
                self._finish(event.person_id, event)
            elif explanation is not None:
                self._write(explanation, event)
        self._newest |= fresh
        for event in update.events:
            if event.kind is not EventKind.ENDED and event.person_id in fresh:
                self._newest.pop(event.person_id, None)
        at_rest = {r.person_id for r in update.recognitions if r.state in (State.IDLE, State.WARMING_UP)}
        present = {view.person_id for view in recognizer.views}
        for person in [person for person in self._newest if person in at_rest or person not in present]:
            self._finish(person, None)

    def close(self, events: tuple[ActionEvent, ...]) -> None:
        """Write the pictures of the last clips; takes the result of the recogniser's `close`."""
        last = {event.person_id: event for event in events}
        for person in list(self._newest):
            self._finish(person, last.get(person))

    def _explain(self, recognition: Recognition, recognizer: Recognizer) -> Explanation | None:
        """What a recognition is based on; None if no clip was looked at."""
        stream = recognizer.stream_of(recognition.person_id)
        if recognition.state not in (State.UNKNOWN, State.ACTION) or stream is None or stream.last_clip is None:
            return None
        window = stream.window
        return Explanation(recognition, stream.last_clip, window.frames.copy(), window.change.copy())

    def _finish(self, person: str, event: ActionEvent | None) -> None:
        if person in self._newest:
            self._write(self._newest.pop(person), event)

    def _write(self, explanation: Explanation, event: ActionEvent | None) -> None:
        assert self._origin is not None
        name, title = "unknown", "the last clip of a motion segment without a recognised action"
        if event is not None:
            name = re.sub(r"[^\w-]+", "_", f"{event.kind.name.lower()}_{event.label}_{event.instance}")
            action = f"{readable(event.label)} #{event.instance}"
            title = {
                EventKind.STARTED: f"{action} starts with this clip",
                EventKind.UPDATED: f"{action} has this label since this clip",
                EventKind.ENDED: f"the last clip of {action}",
                EventKind.RETRACTED: f"{action} is retracted: no known action after all, or its score stayed too low",
            }[event.kind]
        self.written += 1
        seconds = (explanation.recognition.stamp - self._origin) / SECOND
        path = self._folder / f"{self.written:04d}_{seconds:.2f}s_{name}.png"
        picture = draw_explanation(explanation, name=title, origin=self._origin)
        with writing(path):
            Image.fromarray(picture).save(path)
            self._files.append(path)
            if len(self._files) > self._keep:
                self._files.popleft().unlink(missing_ok=True)
