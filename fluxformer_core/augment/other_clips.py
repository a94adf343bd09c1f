"""Clips of the label `other`, made from recordings of actions, so that a model learns what is no known action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.augment_clip import Clip, RawClip, augment_clip
from fluxformer_core.augment.colourise import can_be_cut_out
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.pair_flow import PairFlow
from fluxformer_core.augment.training_clip import MOVING, crossing
from fluxformer_core.data.clip_store import FLOW_STEP, ClipStore, Sample
from fluxformer_core.data.label_table import LabelTable, LabelTraits, read_label_table
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.selection import choose, uniform
from fluxformer_core.types import OTHER, SECOND

CLOSE = 1.5, 2.8
"""Picture heights of people who pass too close to the camera for their gait to be seen."""
STROLL = 0.4, 1.0
"""Body heights per second, slowest and fastest, at which such people pass."""

_TRIES = 8  # recordings looked at to find a person who can be cut out
Kind = Callable[[int, AugmentConfig, np.random.Generator], Clip]
Order = NDArray[np.intp]
"""Indices of a recording's frames, in the order in which a clip shows them."""


class _Pool:
    """Clips to draw from, each with a probability proportional to its weight."""

    def __init__(self, clips: Sequence[tuple[int, int]], weights: Sequence[float]) -> None:
        self._clips, self._edges = clips, np.cumsum(weights)

    def __bool__(self) -> bool:
        return bool(self._clips)

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """Numbers of a store and of a clip in that store."""
        place = int(np.searchsorted(self._edges, rng.random() * self._edges[-1], side="right"))
        return self._clips[min(place, len(self._clips) - 1)]


class OtherClips:
    """Random clips of no action: idle people, passers-by, empty places, moving things, actions cut up.

    Clips are made from each store as often as the store's actions are shown. Otherwise the look of a picture would tell
    whether the picture shows an action.
    """

    def __init__(
        self,
        stores: Sequence[ClipStore],  # whose clips of the label `other` are not used
        sample_weights: NDArray[np.float64] | None = None,  # (clips,) how often each clip is shown; None: equally
        *,
        table: LabelTable | None = None,  # traits of the labels; None: the package's
        flow: str = "dis",  # estimator for frames that did not follow each other, as `create_flow` takes a name
    ) -> None:
        self._stores, self._pair_flow = stores, PairFlow(flow)
        traits = table or read_label_table()
        places = [(k, i, store.labels[c]) for k, store in enumerate(stores) for i, c in enumerate(store.classes)]
        weights = np.ones(len(places)) if sample_weights is None else sample_weights

        def pool(wanted: Callable[[LabelTraits], bool]) -> _Pool:
            actions = [(*p, w) for p, w in zip(places, weights, strict=True) if w > 0 and p[2] != OTHER]
            chosen = [(k, i, weight) for k, i, label, weight in actions if wanted(traits[label])]
            return _Pool([(k, i) for k, i, _ in chosen], [weight for *_, weight in chosen])

        self._all = pool(lambda action: True)
        self._one_way = pool(lambda action: action.one_way)
        self._gaits = pool(lambda action: action.gait is not None)
        self._strokes = pool(lambda action: action.gait is None)
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
            ConfigError: if there is no recording of an action.
        """
        if not self._kinds:
            raise ConfigError(f"clips of {OTHER} are made from recordings of actions, but there are none")
        return self._kinds[int(rng.choice(len(self._kinds), p=self._shares))](count, config, rng)

    def idle(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """A person before or after an action, for as long as a window lasts."""
        sample = self._one_of(self._all, rng)
        n = len(sample.motion)
        moving = np.flatnonzero(sample.motion > MOVING)
        onset, offset = (int(moving[0]), int(moving[-1])) if len(moving) else (n, 0)
        # The first frames of a motion are slower than MOVING and would show that an action begins.
        span = np.arange(max(2, onset - 3)) if rng.random() < 0.5 else np.arange(min(offset + 4, n - 2), n)
        span = span[(span >= 0) & (span < n)]
        to_and_fro = np.concatenate([span, span[-2:0:-1]])
        order = np.resize(np.roll(to_and_fro, -int(rng.integers(len(to_and_fro)))), int(rng.integers(count, 4 * count)))
        return self._augmented(sample, order, count, replace(config, flicker=max(config.flicker, 0.3)), rng)

    def reversed(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """An action backwards."""
        sample = self._one_of(self._one_way, rng)
        return self._augmented(sample, np.arange(len(sample.motion))[::-1], count, config, rng)

    def shuffled(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """An action in pieces of a few frames, in random order."""
        sample = self._one_of(self._one_way, rng)
        n = len(sample.motion)
        pieces = np.array_split(np.arange(n), max(2, n // int(rng.integers(3, 9))))
        order = np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])
        return self._augmented(sample, order, count, config, rng)

    def given_up(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """An action that begins, stops and goes back."""
        sample = self._one_of(self._one_way, rng)
        begun = np.arange(_moment(sample, rng.uniform(0.12, 0.3)) + 1)
        pause = np.repeat(begun[-1:], rng.integers(0, 10))
        return self._augmented(sample, np.concatenate([begun, pause, begun[::-1]]), count, config, rng)

    def glued(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """The beginning of one action, then the end of another action."""
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
        flow = self._pair_flow(joined["frames"][one_end - 1], joined["frames"][one_end], one.period)
        joined["flow"][one_end] = np.clip(flow / FLOW_STEP, -127, 127)
        later = two.stamps[two_start:] - two.stamps[two_start] + one.stamps[one_end - 1] + one.period
        stamps = np.concatenate([one.stamps[:one_end], later])
        sample = Sample(one.label, stamps=stamps, depth=one.depth and two.depth, **joined)
        return self._augmented(sample, np.arange(len(sample.motion)), count, config, rng)

    def passing(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """A person who passes close to the camera; an empty place if no recording can be cut out."""
        tried = (self._one_of(self._gaits, rng) for _ in range(_TRIES))
        sample = next((s for s in tried if s.depth and can_be_cut_out(s.frames[..., 0])), None)
        if sample is None:
            return self.empty_place(count, config, rng)
        n = len(sample.motion)
        length = min(n, max(1, int(rng.uniform(1.0, 3.2) * SECOND / sample.period)))
        chosen = int(rng.integers(n - length + 1)) + uniform(length, count)
        clip = self.reordered(sample, np.arange(n), chosen)
        size = rng.uniform(*CLOSE)
        place, velocity = crossing(clip.times, size * rng.uniform(*STROLL), rng)
        place[:, 1] += rng.uniform(0.1, 0.35) * size - 0.1
        return augment_clip(clip, config, rng, flip=rng.random() < 0.5, path=(place, velocity), scale=(size, size))

    def empty_place(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """A background without people, before a camera that pans or shakes, or while the light changes."""
        wilder = replace(config, colourised=0.9, moving_camera=0.8, pan=0.7, shake=0.06, flicker=0.5)
        return augment_clip(self._without_people(count, rng), wilder, rng)

    def moving_things(self, count: int, config: AugmentConfig, rng: np.random.Generator) -> Clip:
        """Ellipses and rectangles that cross the picture."""
        scene = self._without_people(count, rng)
        side = scene.frames.shape[1]
        for _ in range(int(rng.integers(1, 4))):
            heading, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.8)
            velocity = speed * np.array([np.cos(heading), np.sin(heading)])
            middle, extent = rng.uniform(0.2, 0.8, 2), rng.uniform(0.05, 0.5, 2)
            grey, turn = float(rng.uniform(90, 250)), float(rng.uniform(0, 180))
            round_ = rng.random() < 0.5
            for frame, flow, time in zip(scene.frames, scene.flow, scene.times, strict=True):
                centre = (middle + (time - scene.times.mean()) * velocity) * side
                box = (centre.tolist(), (extent * side).tolist(), turn)
                if round_:
                    cv2.ellipse(frame, box, (grey, grey, grey), -1, cv2.LINE_AA)
                    cv2.ellipse(flow, box, velocity.tolist(), -1)
                else:
                    corners = np.round(cv2.boxPoints(box)).astype(np.int32)
                    cv2.fillConvexPoly(frame, corners, (grey, grey, grey), cv2.LINE_AA)
                    cv2.fillConvexPoly(flow, corners, velocity.tolist())
        return augment_clip(scene, replace(config, colourised=0.7), rng, flip=rng.random() < 0.5)

    def _without_people(self, count: int, rng: np.random.Generator) -> RawClip:
        sample = self._one_of(self._all, rng)
        side = sample.frames.shape[1]
        times = np.linspace(0, rng.uniform(0.8, 3.2), count)
        frames, flow = np.zeros((count, side, side, 3), np.uint8), np.zeros((count, side, side, 2), np.float32)
        return RawClip(frames, flow, times, sample.period / SECOND, depth=True)

    def _one_of(self, pool: _Pool, rng: np.random.Generator) -> Sample:
        store, i = pool.draw(rng)
        return self._stores[store][i]

    def _augmented(
        self, sample: Sample, order: Order, count: int, config: AugmentConfig, rng: np.random.Generator
    ) -> Clip:
        chosen = choose(sample.motion[order], sample.change[order], sample.descriptors[order], count).indices
        return augment_clip(self.reordered(sample, order, chosen), config, rng, flip=rng.random() < config.flip)

    def reordered(self, sample: Sample, order: Order, chosen: Order) -> RawClip:
        """A recording's frames played in another order, of which the places `chosen` are shown.

        Each frame's flow is measured from the frame before it in that order. Frames that are neighbours in the
        recording are as far apart in time as they were; others are one period apart.
        """
        flow = np.zeros((len(chosen), *sample.flow.shape[1:]), np.float32)
        for i, place in enumerate(chosen):
            here, before = int(order[place]), int(order[max(place - 1, 0)])
            if here == before + 1:
                flow[i] = sample.flow[here] * np.float32(FLOW_STEP)
            elif here == before - 1:
                flow[i] = sample.flow[before] * np.float32(-FLOW_STEP)
            elif here != before:
                flow[i] = self._pair_flow(sample.frames[before], sample.frames[here], sample.period)
        steps = np.where(np.abs(np.diff(order)) == 1, np.abs(np.diff(sample.stamps[order])), sample.period)
        times = np.concatenate([[0], np.cumsum(steps)]) / SECOND
        return RawClip(sample.frames[order[chosen]], flow, times[chosen], sample.period / SECOND, sample.depth)


def _moment(sample: Sample, share: float) -> int:
    """The frame at which this share of the action is over."""
    moving = np.flatnonzero(sample.motion > MOVING)
    if len(moving) == 0:
        return len(sample.motion) // 2
    return int(moving[0] + share * (moving[-1] - moving[0]))
