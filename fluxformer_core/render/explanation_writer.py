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
from fluxformer_core.types import SECOND, ActionEvent, EventKind, State, Update

if TYPE_CHECKING:
    from fluxformer_core.stream.clip import FrameSelection
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
        self._seen: FrameSelection | None = None
        self._newest: Explanation | None = None  # of the current motion segment, if not written yet
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def update(self, update: Update, stamp: int, recognizer: Recognizer) -> None:
        """Write the pictures for a frame (stamp in ns); to be called after the recogniser's `push`."""
        self._origin = stamp if self._origin is None else self._origin
        fresh = self._fresh(update, recognizer)
        for event in update.events:
            if event.kind is EventKind.ENDED or (fresh is None and event.kind is EventKind.RETRACTED):
                self._finish(event)
            elif fresh is not None:
                self._write(fresh, event)
        if fresh is not None:
            named = any(event.kind is not EventKind.ENDED for event in update.events)
            self._newest = None if named else fresh
        elif update.recognition is not None and update.recognition.state in (State.IDLE, State.WARMING_UP):
            self._finish(None)

    def close(self, events: tuple[ActionEvent, ...]) -> None:
        """Write the picture of the last clip; takes the result of the recogniser's `close`."""
        self._finish(events[-1] if events else None)

    def _fresh(self, update: Update, recognizer: Recognizer) -> Explanation | None:
        selection = recognizer.scene.last_clip
        if update.recognition is None or selection is None or selection is self._seen:
            return None
        self._seen = selection
        window = recognizer.scene.window
        return Explanation(update.recognition, selection, window.frames.copy(), window.change.copy())

    def _finish(self, event: ActionEvent | None) -> None:
        if self._newest is not None:
            self._write(self._newest, event)
        self._newest = None

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
