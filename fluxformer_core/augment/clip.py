"""What a training clip may look like: partial actions, people seen from another side or on their way, and `film`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.colour import alone
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.filming import LIT, RATE, Take, film
from fluxformer_core.augment.view import turn
from fluxformer_core.data.clip_store import FLOW_STEP, Sample
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream.selection import Selector, flow_guided

MOVING = 0.25
"""Frame heights per second from which a frame counts as part of the action, for cutting partial ones."""
MIDST = 16
"""Frames from the midst of an action that are enough to tell it, and that are left out at least before or behind."""


def training_clip(
    sample: Sample,
    count: int,
    partner: Mapping[int, int],
    config: AugmentConfig,
    rng: np.random.Generator,
    selector: Selector = flow_guided,
    *,
    gait: tuple[float, float] | None = None,
    repeated: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """A random clip of a recording.

    Args:
        sample: the recording.
        count: T.
        partner: class of the mirrored action, for classes where it differs.
        config: how far to stray.
        rng: source of randomness.
        selector: what selects the frames.
        gait: body heights per second, from and to, at which the action takes people through the picture, if it is
            one that may as well be seen on the way.
        repeated: whether it is done again and again, so that the midst of it tells what it is.

    Returns:
        Frames (T, S, S, 3) in 0..1, flow (T, S, S, 2) in frame heights per second, class.
    """
    flip = rng.random() < config.flip
    if gait is not None and rng.random() < config.crossing and _on_the_spot(sample):
        frames, flow = _on_the_way(sample, count, gait, config, rng, selector, flip=flip)
    else:
        chosen = _choose(sample, count, config, rng, selector, repeated=repeated)
        around = rng.random() < config.turned and sample.depth and alone(sample.frames[..., 0])
        shot = _from_another_side(sample, chosen, config, rng) if around else take(sample, chosen)
        frames, flow = film(shot, config, rng, flip=flip)
    label = partner.get(sample.label, sample.label) if flip else sample.label
    return frames, flow, label


def whole_clip(
    sample: Sample, count: int, selector: Selector = flow_guided
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """The clip of the whole recording as the recogniser would select it; same returns as `training_clip`."""
    chosen = selector(sample, count).indices
    return sample.frames[chosen].astype(np.float32) / 255.0, sample.flow[chosen] * np.float32(FLOW_STEP), sample.label


def take(sample: Sample, chosen: NDArray[np.intp]) -> Take:
    """These frames of a recording."""
    flow = sample.flow[chosen].astype(np.float32) * np.float32(FLOW_STEP)
    return Take(np.asarray(sample.frames[chosen]), flow, chosen / RATE, sample.depth)


def _from_another_side(
    sample: Sample, chosen: NDArray[np.intp], config: AugmentConfig, rng: np.random.Generator
) -> Take:
    """These frames as a camera beside the one that was there would have seen them, and their flow."""
    view = rng.uniform(-1, 1) * config.turn, rng.uniform(-0.5, 0.5) * config.turn, rng.uniform(*config.relief)
    wanted, place = np.unique(np.concatenate([chosen, np.maximum(chosen - 1, 0)]), return_inverse=True)
    turned = turn(np.ascontiguousarray(sample.frames[wanted, :, :, 0]), *view)
    here, before = turned[place].reshape(2, len(chosen), *turned.shape[1:])
    estimate = DisFlow()
    flow = np.stack([estimate(*pair) for pair in zip(before, here, strict=True)])
    return Take(np.repeat(here[..., None], 3, axis=3), flow * np.float32(RATE / here.shape[1]), chosen / RATE, True)


def _on_the_spot(sample: Sample) -> bool:
    """Whether somebody who can be cut out walks without getting anywhere."""
    if not sample.depth or not alone(sample.frames[..., 0]):
        return False
    columns = sample.frames[::4, :, :, 0].max(axis=1) > LIT
    middles = [float(np.median(np.flatnonzero(row))) for row in columns if row.any()]
    return np.ptp(middles) < 0.15 * columns.shape[1] if middles else False


def _on_the_way(
    sample: Sample,
    count: int,
    gait: tuple[float, float],
    config: AugmentConfig,
    rng: np.random.Generator,
    selector: Selector,
    *,
    flip: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A clip of somebody who walks on the spot, as if they went through the picture: while they are in it."""
    n, size = len(sample.motion), rng.uniform(0.4, 1.1)
    pace = size * rng.uniform(*gait)
    length = min(n, max(count, int((1 + 0.4 * size) / pace * RATE)))
    span = int(rng.integers(n - length + 1)) + np.arange(length)
    shot = take(sample, span[selector(sample.at(span), count).indices])
    return film(shot, config, rng, flip=flip, path=crossing(shot.times, pace, rng), scale=(size, size))


def crossing(
    times: NDArray[np.float64], pace: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where somebody who goes through the picture is at these times (T,), and how fast, as `film` takes it."""
    velocity = np.array([rng.choice((-1.0, 1.0)) * pace, rng.uniform(-0.1, 0.1)])
    middle = times[0] + rng.uniform(0.3, 0.7) * np.ptp(times)
    return (times - middle)[:, None] * velocity, np.tile(velocity, (len(times), 1))


def _choose(
    sample: Sample, count: int, config: AugmentConfig, rng: np.random.Generator, selector: Selector, *, repeated: bool
) -> NDArray[np.intp]:
    n = len(sample.motion)
    first, last = 0, n
    moving = np.flatnonzero(sample.motion > MOVING)
    onset, offset = (int(moving[0]), int(moving[-1])) if len(moving) else (0, 0)
    if repeated and offset - onset > 2 * MIDST and rng.random() < config.midway:
        # What somebody watches who comes along, and what most recordings of it show.
        length = int(rng.integers(MIDST, offset - onset - MIDST + 1))
        first = int(rng.integers(onset, offset - length + 1))
        last = first + length
    elif len(moving) and rng.random() < config.partial:
        last = int(rng.uniform(onset + config.least * (offset - onset), n)) + 1
        first = int(rng.uniform(0, max(min(onset, last - count), 0) + 1))
    kept = first + np.flatnonzero(rng.random(last - first) >= rng.uniform(0, config.dropped))
    if len(kept) < min(count, last - first):
        kept = np.arange(first, last)
    return kept[selector(sample.at(kept), count).indices]
