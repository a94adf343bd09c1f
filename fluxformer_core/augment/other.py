"""Clips that show none of the actions, made from recordings of them, so that a model knows what is not an action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.clip import MOVING, crossing
from fluxformer_core.augment.colour import alone
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.filming import RATE, Take, film
from fluxformer_core.data.clip_store import FLOW_STEP, ClipStore, Sample
from fluxformer_core.errors import ConfigError
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream.selection import select, uniform
from fluxformer_core.types import OTHER

ONE_WAY = frozenset({"basketball_shoot", "bowling", "pickup_and_throw", "tennis_serve", "throw"})
"""Actions that are none backwards, in pieces, or given up early. All others are left alone: a swipe, a circle and
sitting down become their partners, and waving, walking, pushing or squatting look the same from both ends."""
GAITS = {"walk": (0.4, 1.0), "jog": (1.1, 2.2)}
"""What is seen on the spot or on the way through the picture alike, and its pace there in body heights per second."""

REPEATED = frozenset({"boxing", "clap", *GAITS, "wave"})
"""What goes on for as long as one likes: any second of it tells what it is."""

CLOSE = 1.5, 2.8
"""Picture heights of passers-by who are too close for anybody to say how they walk; whoever is seen whole, walks."""

Clip = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Frames (T, S, S, 3) in 0..1 and flow (T, S, S, 2) in frame heights per second."""
_TRIES = 8  # recordings looked at to find a person who can be cut out
Kind = Callable[[int, AugmentConfig, np.random.Generator], Clip]
Order = NDArray[np.intp]
"""Numbers of the frames that follow each other."""


class _Pool:
    """Clips to draw from, each as likely as it is shown anyhow."""

    def __init__(self, clips: Sequence[tuple[int, int]], shown: Sequence[float]) -> None:
        self._clips, self._edges = clips, np.cumsum(shown)

    def __bool__(self) -> bool:
        return bool(self._clips)

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """Store and number of a clip."""
        place = int(np.searchsorted(self._edges, rng.random() * self._edges[-1], side="right"))
        return self._clips[min(place, len(self._clips) - 1)]


class OtherClips:
    """Endless clips of nothing: idle people, passers-by, empty places, things that move, actions cut up.

    They are made from each store as often as its actions are shown. Else what a picture looks like would tell whether
    it shows an action: of a few recordings that are shown often, next to nothing would be made.

    Args:
        stores: recordings to make them from; those labelled `other` are left alone, they need no making.
        shown: (clips,) how often each clip of the stores, one store after the other, is shown; None: all alike.
    """

    def __init__(self, stores: Sequence[ClipStore], shown: NDArray[np.float64] | None = None) -> None:
        self._stores = stores
        self._estimate = DisFlow()
        places = [(k, i, store.labels[c]) for k, store in enumerate(stores) for i, c in enumerate(store.classes)]
        weights = np.ones(len(places)) if shown is None else shown

        def pool(wanted: Callable[[str], bool]) -> _Pool:
            chosen = [(k, i, w) for (k, i, label), w in zip(places, weights, strict=True) if w > 0 and wanted(label)]
            return _Pool([(k, i) for k, i, _ in chosen], [w for *_, w in chosen])

        self._all = pool(lambda label: label != OTHER)
        self._one_way = pool(ONE_WAY.__contains__)
        self._gaits = pool(GAITS.__contains__)
        self._strokes = pool(lambda label: label not in (*GAITS, OTHER))
        kinds: list[tuple[float, Kind, _Pool]] = [
            (0.26, self.idle, self._all),
            (0.14, self.passing, self._gaits),
            (0.10, self.reversed, self._one_way),
            (0.06, self.shuffled, self._one_way),
            (0.24, self.glued, self._strokes),
            (0.04, self.given_up, self._one_way),
            (0.08, self.empty_place, self._all),
            (0.08, self.moving_things, self._all),
        ]
        possible = [(share, kind) for share, kind, sources in kinds if sources]
        self._kinds = [kind for _, kind in possible]
        self._shares = np.array([share for share, _ in possible]) / (sum(share for share, _ in possible) or 1)

    def draw(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """A clip of `count` frames, of any kind that the recordings allow.

        Raises:
            ConfigError: if there is no recording to make it from.
        """
        if not self._kinds:
            raise ConfigError(f"clips of {OTHER} are made from recordings of actions, but there are none")
        return self._kinds[int(rng.choice(len(self._kinds), p=self._shares))](count, config, rng)

    def idle(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """Somebody before or after an action, for as long as a window lasts."""
        sample = self._one_of(self._all, rng)
        n = len(sample.motion)
        moving = np.flatnonzero(sample.motion > MOVING)
        onset, offset = (int(moving[0]), int(moving[-1])) if len(moving) else (n, 0)
        # The first frames of a motion are slower than MOVING and would give it away.
        span = np.arange(max(2, onset - 3)) if rng.random() < 0.5 else np.arange(min(offset + 4, n - 2), n)
        span = span[(span >= 0) & (span < n)]
        to_and_fro = np.concatenate([span, span[-2:0:-1]])
        order = np.resize(np.roll(to_and_fro, -int(rng.integers(len(to_and_fro)))), int(rng.integers(count, 4 * count)))
        return self._filmed(sample, order, count, replace(config, flicker=max(config.flicker, 0.3)), rng)

    def reversed(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """An action backwards."""
        sample = self._one_of(self._one_way, rng)
        return self._filmed(sample, np.arange(len(sample.motion))[::-1], count, config, rng)

    def shuffled(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """An action in pieces of a few frames, in disorder."""
        sample = self._one_of(self._one_way, rng)
        n = len(sample.motion)
        pieces = np.array_split(np.arange(n), max(2, n // int(rng.integers(3, 9))))
        order = np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])
        return self._filmed(sample, order, count, config, rng)

    def given_up(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """An action that begins, stops and goes back."""
        sample = self._one_of(self._one_way, rng)
        begun = np.arange(_moment(sample, rng.uniform(0.12, 0.3)) + 1)
        pause = np.repeat(begun[-1:], rng.integers(0, 10))
        return self._filmed(sample, np.concatenate([begun, pause, begun[::-1]]), count, config, rng)

    def glued(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """The beginning of one action, then the end of another: a movement that is none of those known."""
        one = self._one_of(self._strokes, rng)
        tried = (self._one_of(self._strokes, rng) for _ in range(_TRIES))
        two = next((s for s in tried if s.label != one.label and s.depth == one.depth), None)
        if two is None:
            return self.idle(count, config, rng)
        one_end = _moment(one, rng.uniform(0.3, 0.5)) + 1
        two_start = _moment(two, rng.uniform(0.5, 0.7))
        joined = {
            name: np.concatenate([getattr(one, name)[:one_end], getattr(two, name)[two_start:]])
            for name in ("frames", "flow", "motion", "change", "descriptors")
        }
        joined["flow"][one_end] = np.clip(
            self._flow(joined["frames"][one_end - 1], joined["frames"][one_end]) / FLOW_STEP, -127, 127
        )
        sample = Sample(one.label, depth=one.depth and two.depth, **joined)
        return self._filmed(sample, np.arange(len(sample.motion)), count, config, rng)

    def passing(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """Somebody on their way past, close to the camera; nobody if no recording can be cut out."""
        tried = (self._one_of(self._gaits, rng) for _ in range(_TRIES))
        sample = next((s for s in tried if s.depth and alone(s.frames[..., 0])), None)
        if sample is None:
            return self.empty_place(count, config, rng)
        n = len(sample.motion)
        length = min(n, int(rng.uniform(1.0, 3.2) * RATE))
        chosen = int(rng.integers(n - length + 1)) + uniform(length, count)
        shot = self.along(sample, np.arange(n), chosen)
        size = rng.uniform(*CLOSE)
        place, velocity = crossing(shot.times, size * rng.uniform(*GAITS["walk"]), rng)
        place[:, 1] += rng.uniform(0.1, 0.35) * size - 0.1
        return film(shot, config, rng, flip=rng.random() < 0.5, path=(place, velocity), scale=(size, size))

    def empty_place(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """Nobody, before a camera that turns, trembles or has its light switched."""
        wilder = replace(config, dressed=0.9, restless=0.8, pan=0.7, shake=0.06, flicker=0.5)
        return film(self._nobody(count, rng), wilder, rng)

    def moving_things(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """Shapes that are nobody cross the picture."""
        scene = self._nobody(count, rng)
        side = scene.frames.shape[1]
        for _ in range(int(rng.integers(1, 4))):
            heading, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.8)
            velocity = speed * np.array([np.cos(heading), np.sin(heading)])
            middle = rng.uniform(0.2, 0.8, 2)
            extent = rng.uniform(0.05, 0.5, 2)
            grey, turn = float(rng.uniform(90, 250)), float(rng.uniform(0, 180))
            round_ = rng.random() < 0.5
            for frame, flow, time in zip(scene.frames, scene.flow, scene.times, strict=True):
                centre = (middle + (time - scene.times.mean()) * velocity) * side
                box = (centre.tolist(), (extent * side).tolist(), turn)
                if round_:
                    cv2.ellipse(frame, box, (grey, grey, grey), -1, cv2.LINE_AA)
                    cv2.ellipse(flow, box, (float(velocity[0]), float(velocity[1])), -1)
                else:
                    corners = np.round(cv2.boxPoints(box)).astype(np.int32)
                    cv2.fillConvexPoly(frame, corners, (grey, grey, grey), cv2.LINE_AA)
                    cv2.fillConvexPoly(flow, corners, (float(velocity[0]), float(velocity[1])))
        return film(scene, replace(config, dressed=0.7), rng, flip=rng.random() < 0.5)

    def _nobody(self, count: int, rng: np.random.Generator) -> Take:
        side = self._one_of(self._all, rng).frames.shape[1]
        times = np.linspace(0, rng.uniform(0.8, 3.2), count)
        frames, flow = np.zeros((count, side, side, 3), np.uint8), np.zeros((count, side, side, 2), np.float32)
        return Take(frames, flow, times, depth=True)

    def _one_of(self, pool: _Pool, rng: np.random.Generator) -> Sample:
        store, i = pool.draw(rng)
        return self._stores[store][i]

    def _filmed(
        self, sample: Sample, order: Order, count: int, config: AugmentConfig, rng: np.random.Generator
    ) -> Clip:
        chosen = select(sample.motion[order], sample.change[order], sample.descriptors[order], count)
        return film(self.along(sample, order, chosen), config, rng, flip=rng.random() < config.flip)

    def along(self, sample: Sample, order: Order, chosen: Order) -> Take:
        """The frames at the places `chosen` of an order, and how each follows from the one before it in that order."""
        flow = np.zeros((len(chosen), *sample.flow.shape[1:]), np.float32)
        for i, place in enumerate(chosen):
            here, before = int(order[place]), int(order[max(place - 1, 0)])
            if here == before + 1:
                flow[i] = sample.flow[here] * np.float32(FLOW_STEP)
            elif here == before - 1:
                flow[i] = sample.flow[before] * np.float32(-FLOW_STEP)
            elif here != before:
                flow[i] = self._flow(sample.frames[before], sample.frames[here])
        return Take(np.asarray(sample.frames[order[chosen]]), flow, chosen / RATE, sample.depth)

    def _flow(self, before: NDArray[np.uint8], here: NDArray[np.uint8]) -> NDArray[np.float32]:
        one, two = (np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), dtype=np.uint8) for f in (before, here))
        return self._estimate(one, two) * np.float32(RATE / len(here))


def _moment(sample: Sample, share: float) -> int:
    """The frame at which this share of the action is over."""
    moving = np.flatnonzero(sample.motion > MOVING)
    if len(moving) == 0:
        return len(sample.motion) // 2
    return int(moving[0] + share * (moving[-1] - moving[0]))
