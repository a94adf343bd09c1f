"""What a training clip may look like: partial actions, other views, light and backgrounds; flow follows suit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.learn.datasets import FLOW_STEP, Sample
from fluxformer_core.stream.selection import select

MOVING = 0.25
"""Frame heights per second from which a frame counts as part of the action, for cutting partial ones."""


@dataclass(frozen=True)
class AugmentConfig:
    """How far training clips stray from the recordings."""

    partial: float = 0.5  # share of clips that end before the action does
    least: float = 0.45  # of the action that a partial clip shows
    dropped: float = 0.4  # up to this share of frames is dropped before selection, as by a slow camera
    scale: tuple[float, float] = (0.72, 1.18)
    aspect: float = 0.1  # relative
    shift: float = 0.12  # of the image side
    rotation: float = 8.0  # degrees
    tempo: tuple[float, float] = (0.7, 1.4)  # factor on the flow: the same action, slower or faster
    flip: float = 0.5  # share of clips mirrored; direction-sensitive labels change to their partner
    recolour: float = 0.5  # share of clips with other brightness, tint and, for depth, background
    noise: float = 0.04  # of full brightness


def training_clip(
    sample: Sample, count: int, partner: Mapping[int, int], config: AugmentConfig, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """A random clip of a recording.

    Args:
        sample: the recording.
        count: T.
        partner: class of the mirrored action, for classes where it differs.
        config: how far to stray.
        rng: source of randomness.

    Returns:
        Frames (T, S, S, 3) in 0..1, flow (T, S, S, 2) in frame heights per second, class.
    """
    chosen = _choose(sample, count, config, rng)
    frames = sample.frames[chosen].astype(np.float32) / 255.0
    flow = sample.flow[chosen].astype(np.float32) * FLOW_STEP
    flip = rng.random() < config.flip
    frames, flow = _move(frames, flow, config, rng, flip=flip)
    flow *= rng.uniform(*config.tempo)
    if rng.random() < config.recolour:
        frames = _recolour(frames, rng, depth=sample.depth)
    # One field of noise, shifted from frame to frame: as good as fresh noise, and a sixteenth of its cost.
    noise = rng.standard_normal(frames.shape[1:], dtype=np.float32) * np.float32(rng.uniform(0, config.noise))
    for i in range(len(frames)):
        frames[i] += np.roll(noise, int(rng.integers(len(noise))), axis=i % 2)
    label = partner.get(sample.label, sample.label) if flip else sample.label
    return frames, flow, label


def whole_clip(sample: Sample, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """The clip of the whole recording as the recogniser would select it; same returns as `training_clip`."""
    chosen = select(sample.motion, sample.change, sample.descriptors, count)
    return sample.frames[chosen].astype(np.float32) / 255.0, sample.flow[chosen] * np.float32(FLOW_STEP), sample.label


def _choose(sample: Sample, count: int, config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.intp]:
    n = len(sample.motion)
    first, last = 0, n
    moving = np.flatnonzero(sample.motion > MOVING)
    if len(moving) and rng.random() < config.partial:
        onset, offset = int(moving[0]), int(moving[-1])
        last = int(rng.uniform(onset + config.least * (offset - onset), n)) + 1
        first = int(rng.uniform(0, max(min(onset, last - count), 0) + 1))
    kept = first + np.flatnonzero(rng.random(last - first) >= rng.uniform(0, config.dropped))
    if len(kept) < min(count, last - first):
        kept = np.arange(first, last)
    return kept[select(sample.motion[kept], sample.change[kept], sample.descriptors[kept], count)]


def _move(
    frames: NDArray[np.float32],
    flow: NDArray[np.float32],
    config: AugmentConfig,
    rng: np.random.Generator,
    *,
    flip: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One affine view for the whole clip; the flow vectors turn and grow with it."""
    side = frames.shape[1]
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation))
    scale, aspect = rng.uniform(*config.scale), 1 + rng.uniform(-config.aspect, config.aspect)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([aspect, 1]) * scale
    if flip:
        linear = np.diag([-1.0, 1.0]) @ linear
    centre = np.full(2, side / 2 - 0.5)
    offset = centre - linear @ centre + rng.uniform(-config.shift, config.shift, 2) * side
    matrix = np.column_stack([linear, offset])
    size = (side, side)
    moved = [cv2.warpAffine(f, matrix, size, borderMode=cv2.BORDER_REPLICATE) for f in frames]
    drifted = [cv2.warpAffine(f, matrix, size) for f in flow]
    return np.stack(moved).astype(np.float32), np.stack(drifted).astype(np.float32) @ linear.T.astype(np.float32)


def _recolour(frames: NDArray[np.float32], rng: np.random.Generator, *, depth: bool) -> NDArray[np.float32]:
    frames = np.clip(frames, 0, 1)
    gain = rng.uniform(0.4, 1.1, 3).astype(np.float32)
    lift = rng.uniform(0, 1 - np.minimum(gain, 1)).astype(np.float32)
    shown = frames ** np.float32(rng.uniform(0.6, 1.7))
    if not depth:
        return shown[..., rng.permutation(3)] * gain + lift
    # Depth shows the person alone: give them another brightness and set them before something.
    if rng.random() < 0.3:
        shown = 1 - shown
    person = np.clip((frames - 0.05) / 0.1, 0, 1)
    cells = int(rng.integers(2, 9))
    pattern = rng.random((cells, cells, 3), dtype=np.float32) * np.float32(rng.random())
    smooth = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_NEAREST
    ground = cv2.resize(pattern, frames.shape[1:3], interpolation=smooth) + np.float32(rng.uniform(-0.2, 0.5))
    composed: NDArray[np.float32] = (shown * gain + lift) * person + np.clip(ground, 0, 1) * (1 - person)
    return composed
