"""What a training clip may look like: partial actions, other views, light, clothes and places; flow follows suit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.learn.backgrounds import ROOM, backgrounds, structure
from fluxformer_core.learn.camera import flicker, grain, monochrome, relight, soften, wander
from fluxformer_core.learn.datasets import FLOW_STEP, Sample
from fluxformer_core.learn.dressing import alone, dress, silhouette, spread
from fluxformer_core.stream.selection import select

MOVING = 0.25
"""Frame heights per second from which a frame counts as part of the action, for cutting partial ones."""
RATE = 20.0
"""Hz at which the frames of recordings follow each other, for movement that is added to them."""


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
    dressed: float = 0.5  # share of depth clips shown as a colour camera would see them; the others stay depth
    walled: float = 0.15  # share of depth clips that stay depth but get something behind the person
    contrast: float = 0.5  # share of depth clips that stay depth but show another range of it as black to white
    recolour: float = 0.6  # share of clips with another exposure, contrast and white balance
    grey: float = 0.3  # share of colour clips from a camera without colours
    flicker: float = 0.15  # share of clips during which the light changes
    soft: float = 0.25  # share of colour clips out of focus
    noise: float = 0.04  # of full brightness, at most
    restless: float = 0.3  # share of colour clips from a camera that moves
    pan: float = 0.2  # frame heights per second, at most
    shake: float = 0.02  # frame heights, at most
    backgrounds: tuple[str, ...] = ()  # folders of pictures and videos that join the painted places
    other: float = 0.1  # share of clips that show none of the actions, where the labels have a name for that


@dataclass(frozen=True)
class Take:
    """Chosen frames of a recording, before anything was done to them."""

    frames: NDArray[np.uint8]  # (T, S, S, 3) RGB
    flow: NDArray[np.float32]  # (T, S, S, 2) frame heights per second
    times: NDArray[np.float64]  # (T,) s
    depth: bool  # grey picture of depth, whose black is "no reading"


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
    flip = rng.random() < config.flip
    frames, flow = film(take(sample, chosen), config, rng, flip=flip)
    label = partner.get(sample.label, sample.label) if flip else sample.label
    return frames, flow, label


def whole_clip(sample: Sample, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """The clip of the whole recording as the recogniser would select it; same returns as `training_clip`."""
    chosen = select(sample.motion, sample.change, sample.descriptors, count)
    return sample.frames[chosen].astype(np.float32) / 255.0, sample.flow[chosen] * np.float32(FLOW_STEP), sample.label


def take(sample: Sample, chosen: NDArray[np.intp]) -> Take:
    """These frames of a recording."""
    flow = sample.flow[chosen].astype(np.float32) * np.float32(FLOW_STEP)
    return Take(np.asarray(sample.frames[chosen]), flow, chosen / RATE, sample.depth)


def film(
    shot: Take,
    config: AugmentConfig,
    rng: np.random.Generator,
    *,
    flip: bool = False,
    path: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    scale: tuple[float, float] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Show a take from another side, in another place, by another camera.

    Args:
        shot: what happens.
        config: how far to stray.
        rng: source of randomness.
        flip: whether to mirror it.
        path: where the person is carried besides, and how fast: each (T, 2), in frame heights and per second.
        scale: of the view, instead of the configured range.

    Returns:
        Frames (T, S, S, 3) in 0..1 and flow (T, S, S, 2) in frame heights per second.
    """
    side, count = shot.frames.shape[1], len(shot.frames)
    linear, offset = _view(side, config, rng, scale or config.scale, flip=flip)
    tempo = rng.uniform(*config.tempo)
    frames, cut_out = shot.frames, shot.depth and alone(shot.frames[..., 0])
    dressed = cut_out and rng.random() < config.dressed
    layered = cut_out and (dressed or rng.random() < config.walled)
    if shot.depth and not dressed and rng.random() < config.contrast:
        low = rng.uniform(64, 190)
        frames = spread(frames, low, rng.uniform(low + 20, 255))
    coloured = dressed or not shot.depth
    place, speed = np.zeros((count, 2)), np.zeros((count, 2))
    if coloured and rng.random() < config.restless:
        place, speed = wander(shot.times, 1 / RATE, config.pan, config.shake, rng)
    carried, drift = path if path is not None else (np.zeros((count, 2)), np.zeros((count, 2)))
    views = [np.column_stack([linear, offset + step]) for step in side * (place + carried)]
    turn = tempo * linear
    flow = np.empty_like(shot.flow)
    for i, view in enumerate(views):
        flow[i] = cv2.transform(cv2.warpAffine(shot.flow[i], view, (side, side)), turn)
    if layered:
        people = dress(frames[..., 0], rng) if dressed else silhouette(frames[..., 0])
        for i, view in enumerate(views):
            people[i] = cv2.warpAffine(people[i], view, (side, side))
        behind, seen = _behind(side, place, config, rng)
        if not dressed:  # a wall and what stands before it, farther than the person
            behind = monochrome(behind) * np.float32(rng.uniform(0.1, 0.5))
        shown, flow = _before(people, behind, flow, drift, speed, seen)
    else:
        border = cv2.BORDER_REPLICATE
        shown = np.empty(frames.shape, np.float32)
        for i, view in enumerate(views):
            shown[i] = cv2.warpAffine(frames[i], view, (side, side), borderMode=border)
        shown *= np.float32(1 / 255)
        if drift.any():
            flow += drift[:, None, None].astype(np.float32) * (shown.max(axis=3, keepdims=True) > 0.1)
        if speed.any():
            sure = structure(np.asarray(cv2.cvtColor(shown[0], cv2.COLOR_RGB2GRAY), dtype=np.float32))
            flow += speed[:, None, None].astype(np.float32) * sure[..., None]
    return _developed(shown, shot.times, config, rng, coloured=coloured, recorded=not shot.depth), flow


def _before(
    people: NDArray[np.uint8],
    behind: NDArray[np.float32],
    flow: NDArray[np.float32],
    drift: NDArray[np.float64],
    speed: NDArray[np.float64],
    seen: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """People (T, S, S, 4) before a background, and how all of it moves as a flow estimator would see it."""
    frames, moved = np.empty((*people.shape[:3], 3), np.float32), np.empty_like(flow)
    reach = np.ones((7, 7), np.uint8)
    for i, person in enumerate(people):
        place, structured = behind[i % len(behind)], seen[i % len(seen)]
        opacity = person[..., 3]
        free = cv2.cvtColor(255 - opacity, cv2.COLOR_GRAY2RGB)
        lit = cv2.multiply(place, free, scale=1 / 255, dtype=cv2.CV_32F)
        frames[i] = cv2.scaleAdd(person[..., :3].astype(np.float32), 1 / 255, lit)
        # Round a person the estimate spills over onto a plain wall, but not onto one whose rest it can see.
        spilt = np.maximum(cv2.dilate(opacity, reach) * np.float32(1 / 255), 1 - structured)
        own = opacity * np.float32(1 / 255)
        sure = own + structured * (1 - own)
        for axis in range(2):
            moved[i, ..., axis] = flow[i, ..., axis] * spilt + own * drift[i, axis] + sure * speed[i, axis]
    return frames, moved


def _developed(
    frames: NDArray[np.float32],
    times: NDArray[np.float64],
    config: AugmentConfig,
    rng: np.random.Generator,
    *,
    coloured: bool,
    recorded: bool,
) -> NDArray[np.float32]:
    """Light, colour and faults of the camera."""
    if rng.random() < config.recolour:
        frames = relight(frames, rng, tint=0.15 if coloured else 0.0)
        if recorded and rng.random() < 0.3:
            frames = frames[..., rng.permutation(3)]
    if coloured and rng.random() < config.grey:
        frames = monochrome(frames)
    if rng.random() < config.flicker:
        frames = flicker(frames, times, rng)
    if coloured and rng.random() < config.soft:
        frames = soften(frames, rng)
    frames = np.ascontiguousarray(frames)
    grain(frames, rng.uniform(0, config.noise), rng)
    return frames


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


def _view(
    side: int, config: AugmentConfig, rng: np.random.Generator, scale: tuple[float, float], *, flip: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Linear part and offset in px of one affine view for the whole clip."""
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation))
    size, aspect = rng.uniform(*scale), 1 + rng.uniform(-config.aspect, config.aspect)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([aspect, 1]) * size
    if flip:
        linear = np.diag([-1.0, 1.0]) @ linear
    centre = np.full(2, side / 2 - 0.5)
    return linear, centre - linear @ centre + rng.uniform(-config.shift, config.shift, 2) * side


def _behind(
    side: int, place: NDArray[np.float64], config: AugmentConfig, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A background as a camera at `place` (T, 2) sees it, (T or 1, S, S, 3), and where its motion shows."""
    stock = backgrounds(side, config.backgrounds)
    picture = stock[rng.integers(len(stock))]
    zoom = rng.uniform(1 / ROOM, 1.4)
    middle = 0.5 * (side - zoom * len(picture)) + rng.uniform(-0.5, 0.5, 2) * max(zoom * len(picture) - side, 0)
    turn = -1.0 if rng.random() < 0.5 else 1.0
    views = [
        np.array([[turn * zoom, 0, x + (zoom * len(picture) if turn < 0 else 0)], [0, zoom, y]])
        for x, y in (middle + place * side if place.any() else middle[None])
    ]
    shown = np.stack(
        [cv2.warpAffine(picture, view, (side, side), borderMode=cv2.BORDER_REFLECT_101) for view in views]
    ).astype(np.float32)
    shown *= np.float32(1 / 255)
    return np.ascontiguousarray(shown[..., :3]), np.ascontiguousarray(shown[..., 3])
