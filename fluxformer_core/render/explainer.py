"""Writing the pictures of explain.py while a stream runs: what an action was named from, and what it ended with."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from fluxformer_core.errors import ConfigError
from fluxformer_core.render.explanation import Explanation, draw_explanation
from fluxformer_core.render.overlay import readable
from fluxformer_core.types import SECOND, ActionEvent, EventKind, State, Update

if TYPE_CHECKING:
    from fluxformer_core.stream.recognizer import Recognizer, Selection


class Explainer:
    """Writes a picture whenever an action starts or is renamed, and one of the last clip of each spell of motion.

    So a spell that got no name has a picture, too: it is the one to look at when an action was missed. Files are named
    by a running number, the seconds since the first frame, and what they show.

    Args:
        folder: made if it is not there.
        keep: pictures; when there are more, the oldest that were written here are removed.

    Raises:
        ConfigError: if nothing can be written there; so does every other method.
    """

    def __init__(self, folder: Path, keep: int = 500) -> None:
        self.folder = folder
        self.written = 0
        self._files: deque[Path] = deque()
        self._keep = keep
        self._origin: int | None = None
        self._seen: Selection | None = None
        self._newest: Explanation | None = None  # of the present spell, unless it has been written
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error

    def update(self, update: Update, stamp: int, recognizer: Recognizer) -> None:
        """Take in what a pushed frame led to.

        Args:
            update: what `push` returned.
            stamp: ns, of the frame.
            recognizer: has not been pushed to since.
        """
        self._origin = stamp if self._origin is None else self._origin
        fresh = self._fresh(update, recognizer)
        for event in update.events:
            if event.kind is EventKind.ENDED or (fresh is None and event.kind is EventKind.RETRACTED):
                self._finish(event)
            elif fresh is not None:
                self._write(fresh, event.kind.name.lower(), event)
        recognition = update.recognition
        if fresh is not None:
            named = any(event.kind is not EventKind.ENDED for event in update.events)
            self._newest = None if named else fresh
        elif recognition is not None and recognition.state in (State.IDLE, State.WARMING_UP):
            self._finish(None)

    def close(self, events: tuple[ActionEvent, ...]) -> None:
        """Write the last clip.

        Args:
            events: what closing the recogniser led to.
        """
        self._finish(events[-1] if events else None)

    def _fresh(self, update: Update, recognizer: Recognizer) -> Explanation | None:
        selection = recognizer.last_selection
        if update.recognition is None or selection is None or selection is self._seen:
            return None
        self._seen = selection
        window = recognizer.window
        return Explanation(update.recognition, selection, window.frames.copy(), window.change.copy())

    def _finish(self, event: ActionEvent | None) -> None:
        if self._newest is not None:
            what = "unknown" if event is None else event.kind.name.lower()
            self._write(self._newest, what, event)
        self._newest = None

    def _write(self, explanation: Explanation, what: str, event: ActionEvent | None) -> None:
        assert self._origin is not None
        name, title = what, "the last clip of a spell that got no name"
        if event is not None:
            name = "_".join(filter(None, (what, event.label, str(event.instance))))
            who = f"{readable(event.label)} #{event.instance}"
            title = {
                "started": f"{who} started with this clip",
                "updated": f"named {who} since this clip",
                "ended": f"the last clip of {who}",
                "retracted": f"{who} retracted: no known action after all, or too unsure",
            }[what]
        self.written += 1
        seconds = (explanation.recognition.stamp - self._origin) / SECOND
        name = re.sub(r"[^\w-]+", "_", name)
        path = self.folder / f"{self.written:04d}_{seconds:.2f}s_{name}.png"
        picture = draw_explanation(explanation, name=title, origin=self._origin)
        try:
            Image.fromarray(picture).save(path)
            self._files.append(path)
            if len(self._files) > self._keep:
                self._files.popleft().unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
