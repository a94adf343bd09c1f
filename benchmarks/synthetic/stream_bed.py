"""Synthetic scenes: long streams with a known truth, composed of recordings of single actions, frame by frame.

People walk in and out; the truth says "walk" while at least half of the person is in the picture. A person in the
picture performs one recording after another. Each recording starts at the person's place, in a similar pose.
Between recordings the person rests, and sometimes another person passes by close to the camera. Jumps that no camera
would show become gaps in the stamps. The seed determines everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic import scenery
from benchmarks.synthetic.scenery import RATE, SIDE, Picture, load, nanoseconds
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.data.label_table import read_label_table
from fluxformer_core.data.recordings import Recording
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.types import SECOND

ALIKE = 7.0
"""Largest mean difference, in grey levels, of a recording's first frame to the picture before it without a gap."""

GAP = 2.0
"""Duration of a gap in seconds."""

_VISIT = (8, 16)  # recordings that a person performs before leaving
_REST = (1.0, 7.0)  # s: shortest and longest rest
_PASSING = 0.25  # share of the rests in which another person passes by
_SHIFT = (6, 12)  # frames between two recordings


@dataclass(frozen=True)
class Performer:
    """A person and the person's recordings."""

    name: str
    clips: tuple[Recording | ActorClip, ...]


@dataclass(frozen=True)
class Scene:
    """A part of the stream."""

    kind: str  # "action", "rest", "passing", "empty", "walking" or "shift"
    frames: int
    draw: Callable[[], Iterator[Picture]]
    label: str = ""  # of an action
    first: int = 0  # first frame of the action within the scene
    last: int = 0  # last frame of the action within the scene
    gap: bool = False  # whether a gap in the stamps precedes the scene


@dataclass(frozen=True)
class Scenario:
    """A stream and its truth."""

    scenes: tuple[Scene, ...]
    begins: tuple[int, ...]  # ns: of each scene
    end: int  # ns: after the last frame

    @property
    def truth(self) -> tuple[Interval, ...]:
        """Every performed action, whether a model knows its label or not."""
        return tuple(
            Interval(begin + nanoseconds(scene.first), begin + nanoseconds(scene.last + 1), scene.label)
            for scene, begin in zip(self.scenes, self.begins, strict=True)
            if scene.label
        )

    def share(self, *kinds: str) -> float:
        """Share of the frames in scenes of these kinds."""
        total = sum(scene.frames for scene in self.scenes)
        return sum(scene.frames for scene in self.scenes if scene.kind in kinds) / total

    def play(self) -> Iterator[tuple[int, Picture]]:
        """Stamps in ns and pictures (SIDE, SIDE, 3)."""
        for scene, begin in zip(self.scenes, self.begins, strict=True):
            for i, picture in enumerate(scene.draw()):
                yield begin + nanoseconds(i), picture


IDLE = ("rest", "passing", "empty")
"""Kinds of scenes without any action; rests within recordings do not count."""


def scenario(scenes: Sequence[Scene], start: int = 1_700_000_000 * SECOND) -> Scenario:
    """Join scenes to a stream."""
    begins, now = [], start
    for scene in scenes:
        now += round(GAP * SECOND) if scene.gap else 0
        begins.append(now)
        now += nanoseconds(scene.frames)
    return Scenario(tuple(scenes), tuple(begins), now)


def compose(performers: Sequence[Performer], seconds: float, seed: int = 0, *, idle: float = 0.3) -> Scenario:
    """Compose a stream of some seconds; each recording is shown at most once, and too few make a shorter stream.

    The recordings must have no background, as depth cameras make them. `idle` is the share of the time without any
    action.

    Raises:
        ConfigError: if there is no recording, or a recording has a background.
    """
    if not any(performer.clips for performer in performers):
        raise ConfigError("a stream needs at least one recording")
    return scenario(_Composition(performers, seconds, seed, idle).scenes)


@dataclass(frozen=True)
class _Candidate:
    """What decides when a recording is shown."""

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

    def _visit(self, waiting: list[_Candidate], gaits: list[_Candidate]) -> None:
        """A person comes, performs some recordings and leaves; shown recordings are removed from `waiting`."""
        rng = self._rng
        steps, way, now = [], "", None
        if gaits:
            gait = load(gaits[int(rng.integers(len(gaits)))].clip)
            steps, way, now = list(gait.frames[gait.first : gait.last + 1]), gait.label, gait.frames[0]
        self._empty(rng.uniform(1.0, 3.0))
        if now is not None:
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
            draw = partial(_frames_of, entry.clip, view)
            self._add(Scene("action", entry.frames, draw, entry.clip.label, entry.first, entry.last, gap=not alike))
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
            draw = self._drawing(scenery.pass_by, steps, now)
            self._add(Scene("passing", sum(1 for _ in draw()), draw))
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
        # The truth says that a person walks while at least half of the person is in the picture.
        half = (count - scenery.SETTLING) // 2
        first, last = (scenery.SETTLING, scenery.SETTLING + half) if leaving else (half, count - scenery.SETTLING - 1)
        self._add(Scene("walking", count, draw, way, first, last))

    def _drawing(
        self, draw: Callable[..., Iterable[Picture]], *what: object, **how: object
    ) -> Callable[[], Iterator[Picture]]:
        """A scene with a fixed seed, which looks the same at each drawing."""
        seed = int(self._rng.integers(2**62))
        return lambda: iter(draw(*what, rng=np.random.default_rng(seed), **how))

    def _add(self, scene: Scene) -> None:
        self.scenes.append(scene)
        self._frames += scene.frames
        self._rested += scene.frames if scene.kind in IDLE else 0


def _entries(clips: Sequence[Recording | ActorClip]) -> list[_Candidate]:
    entries = []
    for clip in clips:
        one = load(clip)
        if one.frames[0][:4, :4].max() > 60 and one.frames[0][:4, -4:].max() > 60:
            raise ConfigError(f"{clip} has a background: streams are composed of depth recordings without one")
        entries.append(_Candidate(clip, one.frames[0], one.frames[-1], len(one.frames), one.first, one.last))
    return entries


def _frames_of(clip: Recording | ActorClip, view: NDArray[np.float64]) -> Iterator[Picture]:
    return (scenery.placed(frame, view) for frame in load(clip).frames)


def _walkers(entries: Sequence[_Candidate]) -> list[_Candidate]:
    """Recordings of walking or, without any, of other gaits."""
    table = read_label_table()
    gaits = [entry for entry in entries if table[entry.clip.label].gait]
    return [entry for entry in gaits if entry.clip.label == "walk"] or gaits


def _most_alike(waiting: Sequence[_Candidate], now: Picture) -> list[_Candidate]:
    """The third of the recordings whose first frames are most like the picture now."""
    unlike = {entry.clip: _unlike(entry.opening, now) for entry in waiting}
    nearest = sorted(waiting, key=lambda entry: unlike[entry.clip])[: max(3, len(waiting) // 3)]
    return [entry for entry in nearest if unlike[entry.clip] < ALIKE]


def _unlike(opening: Picture, now: Picture) -> float:
    """Mean difference in grey levels between the picture now and a first frame moved to the person's place."""
    there = scenery.placed(opening, scenery.placement(opening, now))
    return float(cv2.norm(there, now, cv2.NORM_L1)) / now.size


def stamps_of(stream: Scenario) -> NDArray[np.int64]:
    """Stamps of all frames, (n,), without drawing them."""
    parts = zip(stream.scenes, stream.begins, strict=True)
    return np.array([begin + nanoseconds(i) for scene, begin in parts for i in range(scene.frames)], np.int64)
