"""Effects of the camera and the light: camera motion, exposure, flicker, blur, noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
"""Frames (T, S, S, 3) RGB."""
Clip = NDArray[np.float32]
"""Frames (T, S, S, 3) RGB, 0..1."""

STRAIGHT: NDArray[np.float32] = np.repeat(np.arange(256, dtype=np.float32)[:, None] / np.float32(255), 3, axis=1)
"""The exposure table that changes nothing."""


def wander(
    times: NDArray[np.float64], period: float, pan: float, shake: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How the picture of a moving camera shifts: an even pan, and the tremor of a hand.

    The times (T,) and the period between two frames of the recording are in seconds. `pan` (frame heights per second)
    and `shake` (frame heights) are the largest speed and the largest tremor.

    Returns:
        Offset of the picture's content, in frame heights, and its velocity since the previous frame, in frame heights
        per second: each (T, 2), x to the right and y down. The offset is about 0 on average.
    """
    speed, heading = rng.uniform(0, pan), rng.uniform(0, 2 * np.pi)
    even = speed * np.array([np.cos(heading), 0.3 * np.sin(heading)])  # cameras pan more to the sides than up and down
    place, before = ((moments - times.mean())[:, None] * even for moments in (times, times - period))
    for rate in rng.uniform(0.4, 5.0, 3):
        phase, size = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0, shake, 2) / (1 + rate)
        place += size * np.sin(2 * np.pi * rate * times[:, None] + phase)
        before += size * np.sin(2 * np.pi * rate * (times - period)[:, None] + phase)
    return place, (place - before) / period


def exposure(rng: np.random.Generator, *, tint: float) -> NDArray[np.float32]:
    """A random exposure, contrast and, within the relative tint, white balance: a table for `expose`."""
    shown = STRAIGHT ** np.float32(rng.uniform(0.6, 1.7))
    gain = (rng.uniform(0.5, 1.15) * rng.uniform(1 - tint, 1 + tint, 3)).astype(np.float32)
    lift = np.float32(rng.uniform(0, max(0.0, 0.9 - float(gain.max()))))
    return np.asarray(shown * gain + lift, dtype=np.float32)


def expose(frames: Pictures, table: NDArray[np.float32]) -> Clip:
    """Replace every value by its brightness in a table (256, 3)."""
    shown = np.empty(frames.shape, np.float32)
    for i, frame in enumerate(frames):
        shown[i] = cv2.LUT(frame, table[None])
    return shown


def flicker(frames: Clip, times: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Change the light within the clip, in place: a cloud, a switch, an automatic exposure."""
    change = rng.uniform(-0.5, 0.5)
    moment = rng.uniform(times[0], times[-1])
    pace = rng.choice((0.03, 0.3, 1.0))  # s
    course = 1 + change / (1 + np.exp(-np.clip((times - moment) / pace, -30, 30)))
    frames *= course[:, None, None, None].astype(np.float32)


def soften(frames: Pictures, rng: np.random.Generator) -> None:
    """Blur in place, as if out of focus or enlarged from fewer pixels."""
    sigma = rng.uniform(0.4, 1.2)
    for i, frame in enumerate(frames):
        frames[i] = cv2.GaussianBlur(frame, (0, 0), sigma)


def monochrome(frames: Pictures) -> None:
    """Remove the colours in place."""
    for i, frame in enumerate(frames):
        frames[i] = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def grain(frames: Clip, strength: float, rng: np.random.Generator) -> None:
    """Add noise in place: one field that is shifted from frame to frame, at a sixteenth of the cost of fresh noise."""
    side = len(frames[0])
    noise = rng.standard_normal(frames.shape[1:], dtype=np.float32) * np.float32(strength)
    for i in range(len(frames)):
        frames[i] += np.roll(noise, int(rng.integers(side)), axis=i % 2)
