"""A training clip from a recording: which part of an action, seen from which side, on the spot or walking past."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.augment_clip import LIT, Clip, RawClip, augment_clip
from fluxformer_core.augment.colourise import can_be_cut_out
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.pair_flow import PairFlow
from fluxformer_core.augment.rotated_view import rotated_view
from fluxformer_core.data.clip_store import FLOW_STEP, Sample
from fluxformer_core.stream.selection import Selector, flow_guided
from fluxformer_core.types import SECOND

MOVING = 0.25
"""Frame heights per second from which a frame counts as part of the action."""
MIDST = 16
"""Frames: a clip from the midst of a repeated action has at least so many, and leaves out at least so many."""


def training_clip(
    sample: Sample,
    count: int,  # T
    mirror_of: Mapping[int, int],  # class of the mirrored action, for classes where that is another class
    config: AugmentConfig,
    rng: np.random.Generator,
    selector: Selector = flow_guided,
    *,
    gait: tuple[float, float] | None = None,  # slowest and fastest, in body heights per second, of people on their way
    repeated: bool = False,  # whether the action is repeated, so that its midst tells what it is
    pair_flow: PairFlow | None = None,  # estimates the flow of rotated views; None leaves their flow zero
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """A random clip: frames (T, S, S, 3) in 0..1, flow (T, S, S, 2) in frame heights per second, class."""
    flip = rng.random() < config.flip
    if gait is not None and rng.random() < config.crossing and _on_the_spot(sample):
        frames, flow = _walking_past(sample, count, gait, config, rng, selector, flip=flip)
    else:
        chosen = _choose(sample, count, config, rng, selector, repeated=repeated)
        rotate = rng.random() < config.rotated_view and sample.depth and can_be_cut_out(sample.frames[..., 0])
        clip = _rotated_clip(sample, chosen, config, rng, pair_flow) if rotate else raw_clip(sample, chosen)
        frames, flow = augment_clip(clip, config, rng, flip=flip)
    label = mirror_of.get(sample.label, sample.label) if flip else sample.label
    return frames, flow, label


def whole_clip(
    sample: Sample, count: int, selector: Selector = flow_guided
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """The clip that the recogniser would select from the whole recording; same returns as `training_clip`."""
    chosen = selector(sample, count).indices
    return sample.frames[chosen].astype(np.float32) / 255.0, sample.flow[chosen] * np.float32(FLOW_STEP), sample.label


def raw_clip(sample: Sample, chosen: NDArray[np.intp]) -> RawClip:
    """The chosen frames of a recording."""
    flow = sample.flow[chosen].astype(np.float32) * np.float32(FLOW_STEP)
    return RawClip(sample.frames[chosen], flow, sample.times[chosen], sample.period / SECOND, sample.depth)


def _rotated_clip(
    sample: Sample,
    chosen: NDArray[np.intp],
    config: AugmentConfig,
    rng: np.random.Generator,
    pair_flow: PairFlow | None,
) -> RawClip:
    """The chosen frames as a camera beside the recording one would have seen them, with the flow of that view."""
    angle = config.view_angle
    view = rng.uniform(-1, 1) * angle, rng.uniform(-0.5, 0.5) * angle, rng.uniform(*config.depth_relief)
    previous = np.maximum(chosen - 1, 0)
    wanted, place = np.unique(np.concatenate([chosen, previous]), return_inverse=True)
    rotated = rotated_view(np.ascontiguousarray(sample.frames[wanted, :, :, 0]), *view)
    here, before = rotated[place].reshape(2, len(chosen), *rotated.shape[1:])
    steps = np.where(chosen > 0, sample.stamps[chosen] - sample.stamps[previous], sample.period)
    flow = np.zeros((*here.shape, 2), np.float32)
    if pair_flow is not None:
        for i, step in enumerate(steps.tolist()):
            flow[i] = pair_flow(before[i], here[i], step)
    times = sample.times[chosen]
    return RawClip(np.repeat(here[..., None], 3, axis=3), flow, times, sample.period / SECOND, depth=True)


def _on_the_spot(sample: Sample) -> bool:
    """Whether a person who can be cut out walks without moving through the picture."""
    if not sample.depth or not can_be_cut_out(sample.frames[..., 0]):
        return False
    columns = sample.frames[::4, :, :, 0].max(axis=1) > LIT
    middles = [float(np.median(np.flatnonzero(row))) for row in columns if row.any()]
    return np.ptp(middles) < 0.15 * columns.shape[1] if middles else False


def _walking_past(
    sample: Sample,
    count: int,
    gait: tuple[float, float],
    config: AugmentConfig,
    rng: np.random.Generator,
    selector: Selector,
    *,
    flip: bool,
) -> Clip:
    """A clip of a person who walks on the spot, moved through the picture for as long as the person is in view."""
    n, size = len(sample.motion), rng.uniform(0.4, 1.1)
    pace = size * rng.uniform(*gait)
    length = min(n, max(count, int((1 + 0.4 * size) / pace * SECOND / sample.period)))
    span = int(rng.integers(n - length + 1)) + np.arange(length)
    clip = raw_clip(sample, span[selector(sample.at(span), count).indices])
    return augment_clip(clip, config, rng, flip=flip, path=crossing(clip.times, pace, rng), scale=(size, size))


def crossing(
    times: NDArray[np.float64], pace: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The path of a person through the picture at these times (T,), as `augment_clip` takes a path."""
    velocity = np.array([rng.choice((-1.0, 1.0)) * pace, rng.uniform(-0.1, 0.1)])
    middle = times[0] + rng.uniform(0.3, 0.7) * np.ptp(times)
    return (times - middle)[:, None] * velocity, np.tile(velocity, (len(times), 1))


def _choose(
    sample: Sample, count: int, config: AugmentConfig, rng: np.random.Generator, selector: Selector, *, repeated: bool
) -> NDArray[np.intp]:
    """Indices of the clip's frames: of the whole recording, of a part of it, or from the midst of the action."""
    n = len(sample.motion)
    first, last = 0, n
    moving = np.flatnonzero(sample.motion > MOVING)
    onset, offset = (int(moving[0]), int(moving[-1])) if len(moving) else (0, 0)
    if repeated and offset - onset > 2 * MIDST and rng.random() < config.midway:
        # An observer who arrives late, and most recordings of the action, show the midst alone.
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
