"""Long streams whose truth is known, put together from recordings of single actions; drawn frame by frame.

People come and go, which is walking: truth for as long as half of them or more is in the picture. Whoever is there
performs one recording after another, each put where they stand and beginning much as the one before it ended, and rests
in between; meanwhile others pass by too close to the camera for anybody to say what they do. Cuts that no camera would
show are declared gaps. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic import scenery
from benchmarks.synthetic.footage import RATE, SIDE, Footage, Picture, load, nanoseconds
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.data.label_table import read_label_table
from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.types import SECOND

ALIKE = 7.0
"""Mean grey levels by which the beginning of a recording may differ from what is shown, or there is a gap between."""

GAP = 2.0
"""Seconds of a declared gap."""

_VISIT = (8, 16)  # recordings that somebody performs before leaving
_REST = (1.0, 7.0)  # s: at least and at most at once
_PASSING = 0.25  # share of the rests in which somebody passes by
_SHIFT = (6, 12)  # frames from one recording's end to the next one's beginning


@dataclass(frozen=True)
class Performer:
    """Somebody with recordings."""

    name: str
    clips: tuple[Recording | ActorClip, ...]


@dataclass(frozen=True)
class Scene:
    """A stretch of the stream."""

    kind: str  # "action", "rest", "passing", "empty", "walking" or "shift"
    frames: int
    draw: Callable[[], Iterator[Picture]]
    label: str = ""  # of an action,
    first: int = 0  # which begins with this frame of the scene
    last: int = 0  # and ends with this one
    gap: bool = False  # the camera was away before it


@dataclass(frozen=True)
class Programme:
    """A stream, and the truth about it."""

    scenes: tuple[Scene, ...]
    begins: tuple[int, ...]  # ns: of each scene
    end: int  # ns: after the last frame

    @property
    def truth(self) -> tuple[Interval, ...]:
        """Every action performed, known or not."""
        return tuple(
            Interval(begin + nanoseconds(scene.first), begin + nanoseconds(scene.last + 1), scene.label)
            for scene, begin in zip(self.scenes, self.begins, strict=True)
            if scene.label
        )

    def share(self, *kinds: str) -> float:
        """Share of the frames that belong to scenes of these kinds."""
        total = sum(scene.frames for scene in self.scenes)
        return sum(scene.frames for scene in self.scenes if scene.kind in kinds) / total

    def play(self) -> Iterator[tuple[int, Picture]]:
        """Stamps in nanoseconds and pictures (SIDE, SIDE, 3), one after the other."""
        for scene, begin in zip(self.scenes, self.begins, strict=True):
            for i, picture in enumerate(scene.draw()):
                yield begin + nanoseconds(i), picture


IDLE = ("rest", "passing", "empty")
"""Scenes in which nobody does anything; the rests within recordings are not counted."""


def programme(scenes: Sequence[Scene], start: int = 1_700_000_000 * SECOND) -> Programme:
    """Put scenes one after the other."""
    begins, now = [], start
    for scene in scenes:
        now += round(GAP * SECOND) if scene.gap else 0
        begins.append(now)
        now += nanoseconds(scene.frames)
    return Programme(tuple(scenes), tuple(begins), now)


def compose(performers: Sequence[Performer], seconds: float, seed: int = 0, *, idle: float = 0.3) -> Programme:
    """Compose a stream from recordings; each is shown once at most.

    Args:
        performers: with recordings before nothing, as depth cameras make them.
        seconds: how long the stream is to last; it is shorter if the recordings run out.
        seed: of every choice.
        idle: share of the time in which nobody does anything.

    Raises:
        ConfigError: if there is no recording, or one shows more than people before nothing.
        SourceError: if a recording cannot be read.
    """
    if not any(performer.clips for performer in performers):
        raise ConfigError("there is no recording to make a stream from")
    return programme(_Composition(performers, seconds, seed, idle).scenes)


@dataclass(frozen=True)
class _Entry:
    """A recording that is still to be shown: what has to be known of it to choose it."""

    clip: Recording | ActorClip
    opening: Picture
    closing: Picture
    frames: int
    first: int
    last: int


class _Composition:
    def __init__(self, performers: Sequence[Performer], seconds: float, seed: int, idle: float) -> None:
        self._rng = np.random.default_rng(seed)
        self._idle, self._wanted = idle, round(seconds * RATE)
        self._frames = self._rested = 0
        self._owed = self._next_rest()
        self._nothing: Picture = np.zeros((SIDE, SIDE, 3), np.uint8)
        self.scenes: list[Scene] = []
        waiting = {performer.name: _entries(performer.clips) for performer in performers}
        gaits = {name: _walkers(entries) for name, entries in waiting.items()}
        last = ""
        while self._frames < self._wanted and any(waiting.values()):
            names = [name for name, entries in waiting.items() if entries]
            others = [name for name in names if name != last]
            last = str(self._rng.choice(others or names))
            self._visit(waiting[last], gaits[last])

    def _visit(self, waiting: list[_Entry], gaits: list[_Entry]) -> None:
        """Somebody comes, performs some recordings and leaves; what was shown is taken out of `waiting`."""
        rng = self._rng
        gait = load(gaits[int(rng.integers(len(gaits)))].clip) if gaits else None
        steps = _walking(gait) if gait is not None else []
        way = gait.label if gait is not None else ""
        self._empty(rng.uniform(1.0, 3.0))
        now: Picture | None = None
        if steps:
            now = gait.frames[0] if gait is not None else None
            assert now is not None
            self._walk(steps, now, way, leaving=False)
        for _ in range(int(rng.integers(*_VISIT))):
            if not waiting or self._frames >= self._wanted:
                break
            alike = [] if now is None else _most_alike(waiting, now)
            entry = (alike or waiting)[int(rng.integers(len(alike or waiting)))]
            waiting.remove(entry)
            view = np.eye(2, 3)
            if alike and now is not None:
                view = scenery.placement(entry.opening, now)
                count = int(rng.integers(*_SHIFT))
                opening = scenery.placed(entry.opening, view)
                self._add(Scene("shift", count, self._drawing(scenery.change_over, now, opening, count)))
            footage = partial(_frames_of, entry.clip, view)
            gap = not alike
            self._add(Scene("action", entry.frames, footage, entry.clip.label, entry.first, entry.last, gap))
            now = scenery.placed(entry.closing, view)
            self._rest(now, steps)
        if steps and now is not None and _unlike(steps[0], now) < ALIKE:
            view = scenery.placement(steps[0], now)
            self._walk([scenery.placed(step, view) for step in steps], now, way, leaving=True)
            self._empty(rng.uniform(1.0, 3.0))
        else:
            self._empty(rng.uniform(1.0, 3.0), gap=True)

    def _rest(self, now: Picture, steps: list[Picture]) -> None:
        due = self._idle * self._frames - self._rested
        if due < self._owed:
            return
        if steps and self._rng.random() < _PASSING:
            self._pass(steps, now)
            due = self._idle * self._frames - self._rested
        count = max(0, min(round(due), round(_REST[1] * RATE)))
        if count:
            self._add(Scene("rest", count, self._drawing(scenery.still, now, count)))
        self._owed = self._next_rest()

    def _next_rest(self) -> float:
        return float(self._rng.uniform(*_REST)) * RATE

    def _empty(self, seconds: float, *, gap: bool = False) -> None:
        count = round(seconds * RATE)
        self._add(Scene("empty", count, self._drawing(scenery.still, self._nothing, count), gap=gap))

    def _walk(self, steps: list[Picture], now: Picture, way: str, *, leaving: bool) -> None:
        side = int(self._rng.choice((-1, 1)))
        draw = self._drawing(scenery.walk_in, steps, now, side, leaving=leaving)
        count = sum(1 for _ in draw())
        # Who is in the picture by half or more can be seen to walk, and does.
        half = (count - scenery.SETTLING) // 2
        first, last = (scenery.SETTLING, scenery.SETTLING + half) if leaving else (half, count - scenery.SETTLING - 1)
        self._add(Scene("walking", count, draw, way, first, last))

    def _pass(self, steps: list[Picture], now: Picture) -> None:
        draw = self._drawing(scenery.pass_by, steps, now)
        self._add(Scene("passing", sum(1 for _ in draw()), draw))

    def _drawing(
        self, draw: Callable[..., Iterable[Picture]], *what: object, **how: object
    ) -> Callable[[], Iterator[Picture]]:
        """A scene that looks the same each time it is drawn."""
        seed = int(self._rng.integers(2**62))
        return lambda: iter(draw(*what, rng=np.random.default_rng(seed), **how))

    def _add(self, scene: Scene) -> None:
        self.scenes.append(scene)
        self._frames += scene.frames
        self._rested += scene.frames if scene.kind in IDLE else 0


def _entries(clips: Sequence[Recording | ActorClip]) -> list[_Entry]:
    entries = []
    for clip in clips:
        footage = load(clip)
        opening, closing = footage.frames[0], footage.frames[-1]
        if opening[:4, :4].max() > 60 and opening[:4, -4:].max() > 60:
            raise ConfigError(f"{clip} shows more than people before nothing: streams are made of depth recordings")
        entries.append(_Entry(clip, opening, closing, len(footage.frames), footage.first, footage.last))
    return entries


def _frames_of(clip: Recording | ActorClip, view: NDArray[np.float64]) -> Iterator[Picture]:
    return (scenery.placed(frame, view) for frame in load(clip).frames)


def _walkers(entries: Sequence[_Entry]) -> list[_Entry]:
    """Recordings of somebody walking, or at least jogging."""
    table = read_label_table()
    gaits = [entry for entry in entries if table[entry.clip.label].gait]
    return [entry for entry in gaits if entry.clip.label == "walk"] or gaits


def _walking(footage: Footage) -> list[Picture]:
    return list(footage.frames[footage.first : footage.last + 1])


def _most_alike(waiting: Sequence[_Entry], now: Picture) -> list[_Entry]:
    """The third that may best follow what is shown now."""
    unlike = {entry.clip: _unlike(entry.opening, now) for entry in waiting}
    nearest = sorted(waiting, key=lambda entry: unlike[entry.clip])[: max(3, len(waiting) // 3)]
    return [entry for entry in nearest if unlike[entry.clip] < ALIKE]


def _unlike(opening: Picture, now: Picture) -> float:
    """Mean grey levels between what is shown now and a picture that is put in its place."""
    there = scenery.placed(opening, scenery.placement(opening, now))
    return float(cv2.norm(there, now, cv2.NORM_L1)) / now.size


def stamps_of(stream: Programme) -> NDArray[np.int64]:
    """Stamps of all frames, (n,), without drawing them."""
    times = [
        begin + nanoseconds(i)
        for scene, begin in zip(stream.scenes, stream.begins, strict=True)
        for i in range(scene.frames)
    ]
    return np.array(times, np.int64)
