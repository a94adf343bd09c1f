"""Optical flow as colours for people: the hue says where to, the saturation says how fast.

The colour wheel is that of the Middlebury flow benchmark (Baker et al., IJCV 2011). Its radius is fixed rather than
each image's own maximum, so that a colour means the same speed in every frame and rest stays white.
"""

from __future__ import annotations

import numpy as np

# How many steps the wheel takes from each of its six corner colours to the next: the eye tells more reds than greens.
_STEPS = {"RY": 15, "YG": 6, "GC": 4, "CB": 11, "BM": 13, "MR": 6}
_CORNERS = {"R": (1, 0, 0), "Y": (1, 1, 0), "G": (0, 1, 0), "C": (0, 1, 1), "B": (0, 0, 1), "M": (1, 0, 1)}


def _colour_wheel() -> np.ndarray:
    ends = np.cumsum([0, *_STEPS.values()])
    colours = np.array([_CORNERS[name] for name in "RYGCBMR"]).T
    return np.stack([np.interp(np.arange(ends[-1]), ends, channel) for channel in colours], axis=1).astype(np.float32)


_WHEEL = _colour_wheel()  # (55, 3) RGB, 0..1, counted from motion to the left through upward motion


def flow_colours(flow: np.ndarray, radius: float) -> np.ndarray:
    """Show a flow field as colours.

    Args:
        flow: (H, W, 2), u to the right and v down, in any unit.
        radius: length, in the same unit, of the flow that gets the full colour; longer flow gets it, too.

    Returns:
        (H, W, 3) uint8 RGB: white where nothing moves, black where the flow is not finite.
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
