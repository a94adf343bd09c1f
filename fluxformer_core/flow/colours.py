"""Optical flow as colours: the hue shows the direction, the saturation shows the speed.

The colour wheel is the one of the Middlebury flow benchmark (Baker et al., IJCV 2011). The speed of the full colour is
fixed, so that a colour means the same speed in every frame, and stillness is white.
"""

from __future__ import annotations

import numpy as np

# Steps from each of the six corner colours of the wheel to the next: the eye distinguishes more reds than greens.
_STEPS = {"RY": 15, "YG": 6, "GC": 4, "CB": 11, "BM": 13, "MR": 6}
_CORNERS = {"R": (1, 0, 0), "Y": (1, 1, 0), "G": (0, 1, 0), "C": (0, 1, 1), "B": (0, 0, 1), "M": (1, 0, 1)}


def _colour_wheel() -> np.ndarray:
    ends = np.cumsum([0, *_STEPS.values()])
    colours = np.array([_CORNERS[name] for name in "RYGCBMR"]).T
    return np.stack([np.interp(np.arange(ends[-1]), ends, channel) for channel in colours], axis=1).astype(np.float32)


_WHEEL = _colour_wheel()  # (55, 3) RGB, 0..1; starts at motion to the left and goes on through upward motion


def flow_colours(flow: np.ndarray, radius: float) -> np.ndarray:
    """A flow field (H, W, 2), u to the right and v down, as (H, W, 3) uint8 RGB.

    White is where nothing moves, black where the flow is not finite. From a length of `radius`, in the unit of the
    flow, the colour is full.
    """
    known = np.isfinite(flow).all(axis=-1)
    u, v = np.moveaxis(np.where(known[..., None], flow, 0.0).astype(np.float32), -1, 0)
    length = np.minimum(np.hypot(u, v) / np.float32(radius), 1.0)
    place = (np.arctan2(-v, -u) / np.float32(np.pi) + 1.0) * ((len(_WHEEL) - 1) / 2)
    before = place.astype(np.intp)
    low, high = _WHEEL[before], _WHEEL[(before + 1) % len(_WHEEL)]
    hue = low + (place - before).astype(np.float32)[..., None] * (high - low)
    colours = 255.0 * (1.0 - length[..., None] * (1.0 - hue))
    return np.where(known[..., None], colours, 0.0).astype(np.uint8)
