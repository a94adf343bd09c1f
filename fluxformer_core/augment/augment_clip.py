"""One recorded clip seen in another place by another camera; the flow changes with the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.augment.backgrounds import ROOM, backgrounds, structure
from fluxformer_core.augment.cameras import STRAIGHT, expose, exposure, flicker, grain, monochrome, soften, wander
from fluxformer_core.augment.colourise import can_be_cut_out, colourise, contrast, silhouette
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.outline import disturb_outline, on_black, outlines

Clip = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Frames (T, S, S, 3) in 0..1 and flow (T, S, S, 2) in frame heights per second."""

LIT = 25
"""Grey level from which a pixel of a depth picture shows a person."""


@dataclass(frozen=True)
class RawClip:
    """Chosen frames of a recording before any augmentation."""

    frames: NDArray[np.uint8]  # (T, S, S, 3) RGB
    flow: NDArray[np.float32]  # (T, S, S, 2) frame heights per second
    times: NDArray[np.float64]  # (T,) s
    step: float  # s between two frames of the recording, from which flow is measured
    depth: bool  # grey picture of depth, whose black is "no reading"


def augment_clip(
    clip: RawClip,
    config: AugmentConfig,
    rng: np.random.Generator,
    *,
    flip: bool = False,
    path: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    scale: tuple[float, float] | None = None,
) -> Clip:
    """Show a clip in another view, before another background, through another camera.

    `flip` mirrors the clip. `path` is where the person is moved in addition, and how fast: each (T, 2), in frame
    heights and per second. `scale` is of the view, instead of the configured range.
    """
    side, count = clip.frames.shape[1], len(clip.frames)
    linear, offset = _view(side, config, rng, scale or config.scale, flip=flip)
    tempo = rng.uniform(*config.tempo)
    frames, cut_out = clip.frames, clip.depth and can_be_cut_out(clip.frames[..., 0])
    colourised = cut_out and rng.random() < config.colourised
    on_person = config.view == "person"
    layered = cut_out and (colourised or (not on_person and rng.random() < config.with_background))
    if clip.depth and not colourised and rng.random() < config.contrast:
        low = rng.uniform(64, 190)
        frames = contrast(frames, low, rng.uniform(low + 20, 255))
    coloured = colourised or not clip.depth
    place = speed = np.zeros((count, 2))
    if coloured and not on_person and rng.random() < config.moving_camera:
        place, speed = wander(clip.times, clip.step, config.pan, config.shake, rng)
    carried, drift = path or (np.zeros((count, 2)),) * 2
    if on_person:
        carried = np.zeros((count, 2))  # the square follows a person, who moves through the scene all the same
    views = [np.column_stack([linear, offset + shift]) for shift in side * (place + carried)]
    turn = tempo * linear
    flow = np.empty_like(clip.flow)
    for i, view in enumerate(views):
        flow[i] = cv2.transform(cv2.warpAffine(clip.flow[i], view, (side, side)), turn)
    if layered:
        people, opacity = colourise(frames[..., 0], rng) if colourised else silhouette(frames[..., 0])
        for i, view in enumerate(views):
            people[i] = cv2.warpAffine(people[i], view, (side, side))
            opacity[i] = cv2.warpAffine(opacity[i], view, (side, side))
        behind, seen = _black(side) if on_person else _background(side, place, config, rng)
        if not colourised:  # a wall and objects before the wall, farther than the person
            monochrome(behind)
            behind = (behind * np.float32(rng.uniform(0.1, 0.5))).astype(np.uint8)
        for i, person in enumerate(people):  # already multiplied by the opacity
            free = cv2.cvtColor(255 - opacity[i], cv2.COLOR_GRAY2RGB)
            people[i] = cv2.add(person, cv2.multiply(behind[i % len(behind)], free, scale=1 / 255))
        shown = people
        _mix_flow(flow, opacity, seen, drift, speed)
        if colourised:
            _disturb(flow, rng.uniform(0, config.flow_noise), rng)
    else:
        shown = np.empty_like(frames)
        for i, view in enumerate(views):
            shown[i] = cv2.warpAffine(frames[i], view, (side, side), borderMode=cv2.BORDER_REPLICATE)
        if drift.any():
            flow += drift[:, None, None].astype(np.float32) * (shown[..., :1] > LIT)
        if speed.any():
            grey = cv2.cvtColor(shown[0], cv2.COLOR_RGB2GRAY).astype(np.float32)
            flow += speed[:, None, None].astype(np.float32) * structure(grey / 255)[..., None]
    if not on_person:
        return _expose(shown, clip.times, config, rng, coloured=coloured, recorded=not clip.depth), flow
    outline = outlines(shown)
    disturb_outline(shown, flow, outline, config, rng)
    exposed = _expose(shown, clip.times, config, rng, coloured=coloured, recorded=not clip.depth)
    on_black(exposed, outline)
    return exposed, flow


def _mix_flow(
    flow: NDArray[np.float32],  # (T, S, S, 2) of the people
    opacity: NDArray[np.uint8],  # (T, S, S) of the people
    seen: NDArray[np.uint8],  # (T or 1, S, S) how well the background's motion can be seen, 0..255
    drift: NDArray[np.float64],  # (T, 2) frame heights per second at which people are moved
    speed: NDArray[np.float64],  # (T, 2) frame heights per second of the picture as a whole
) -> None:
    """Add, in place, the motion of moved people and of the camera, as far as a flow estimator would see them."""
    # The flow of a fast hand lies where the hand was one frame ago, and some pixels farther out.
    reach = np.ones((flow.shape[1] // 4 | 1,) * 2, np.uint8)
    moves = drift.any() or speed.any()
    for i, own in enumerate(opacity):
        structured = seen[i % len(seen)]
        # Estimators smear a person's flow onto a plain wall beside the person, but not onto a structured background.
        smeared = cv2.max(cv2.dilate(own, reach), 255 - structured)
        flow[i] = cv2.multiply(flow[i], cv2.merge((smeared, smeared)), scale=1 / 255, dtype=cv2.CV_32F)
        if moves:
            person = own * np.float32(1 / 255)
            sure = cv2.max(own, structured) * np.float32(1 / 255)
            flow[i] += cv2.merge([person * np.float32(drift[i, k]) + sure * np.float32(speed[i, k]) for k in range(2)])


def _disturb(flow: NDArray[np.float32], strength: float, rng: np.random.Generator) -> None:
    """Add errors to the flow, in place and by patches, like the errors that a camera's noise causes."""
    patches = max(1, flow.shape[1] // 8)
    errors = rng.normal(0, strength, (len(flow), patches, patches, 2)).astype(np.float32)
    for i, error in enumerate(errors):
        flow[i] += cv2.resize(error, flow.shape[2:0:-1], interpolation=cv2.INTER_LINEAR)


def _expose(
    frames: NDArray[np.uint8],
    times: NDArray[np.float64],
    config: AugmentConfig,
    rng: np.random.Generator,
    *,
    coloured: bool,
    recorded: bool,
) -> NDArray[np.float32]:
    """Change light and colours, and add the camera's faults."""
    grey = coloured and rng.random() < config.grey
    if grey:
        monochrome(frames)
    if coloured and rng.random() < config.soft:
        soften(frames, rng)
    table: NDArray[np.float32] = STRAIGHT
    if rng.random() < config.recolour:
        table = exposure(rng, tint=0.15 if coloured and not grey else 0.0)
        if recorded and rng.random() < 0.3:
            frames = np.ascontiguousarray(frames[..., ::-1])
    shown = expose(frames, table)
    if rng.random() < config.flicker:
        flicker(shown, times, rng)
    strength = rng.uniform(0, config.noise)
    if strength > 0:
        grain(shown, strength, rng)
    return shown


def _view(
    side: int, config: AugmentConfig, rng: np.random.Generator, scale: tuple[float, float], *, flip: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Linear part, and offset in px, of one affine view for the whole clip."""
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation))
    size, aspect = rng.uniform(*scale), 1 + rng.uniform(-config.aspect, config.aspect)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([aspect, 1]) * size
    if flip:
        linear = np.diag([-1.0, 1.0]) @ linear
    centre = np.full(2, side / 2 - 0.5)
    return linear, centre - linear @ centre + rng.uniform(-config.shift, config.shift, 2) * side


def _black(side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A background that is not there; see `_background`."""
    return np.zeros((1, side, side, 3), np.uint8), np.zeros((1, side, side), np.uint8)


def _background(
    side: int, place: NDArray[np.float64], config: AugmentConfig, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A background seen by a camera at `place` (T, 2): (T or 1, S, S, 3), and where its motion can be seen."""
    stock = backgrounds(side, config.backgrounds)
    picture = stock[rng.integers(len(stock))]
    zoom = rng.uniform(1 / ROOM, 1.4)
    middle = 0.5 * (side - zoom * len(picture)) + rng.uniform(-0.5, 0.5, 2) * max(zoom * len(picture) - side, 0)
    sign = -1.0 if rng.random() < 0.5 else 1.0
    views = [
        np.array([[sign * zoom, 0, x + (zoom * len(picture) if sign < 0 else 0)], [0, zoom, y]])
        for x, y in (middle + place * side if place.any() else middle[None])
    ]
    shown = np.stack([cv2.warpAffine(picture, view, (side, side), borderMode=cv2.BORDER_REFLECT_101) for view in views])
    return np.ascontiguousarray(shown[..., :3]), np.ascontiguousarray(shown[..., 3])
