"""The channels of a pose, and key poses joined by smooth curves.

Lengths are in body heights (roots, feet) or arm lengths (hands), angles in degrees. The body's own frame is x towards
the image's right edge, y up, z towards the camera, for a person who faces the camera; "right" is the limb at the
image's right, as in a mirror.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Pose = dict[str, Array]
"""Channel name to values of shape (frames, width of the channel)."""

Channels = Mapping[str, tuple[float, ...]]

REST: Channels = {
    "place": (0.0, 0.0, 0.0),  # where the body stands
    "root": (0.0, 0.0, 0.0),  # of the pelvis from its standing place
    "turn": (0.0,),  # of the whole body about y; positive faces the image's right
    "pitch": (0.0,),  # of the trunk; positive bends towards the front
    "roll": (0.0,),  # of the trunk; positive leans to the image's right
    "twist": (0.0,),  # of the shoulders against the hips; positive takes the right shoulder back
    "nod": (0.0,),  # of the head; positive looks down
    "look": (0.0,),  # of the head about y; positive looks to the image's right
    "right_hand": (0.08, -0.985, 0.06),  # from the shoulder
    "left_hand": (-0.08, -0.985, 0.06),
    "right_elbow": (0.35, -1.0, -0.5),  # direction to which the elbow points
    "left_elbow": (-0.35, -1.0, -0.5),
    "right_foot": (0.0, 0.0, 0.0),  # from its standing place
    "left_foot": (0.0, 0.0, 0.0),
    "right_heel": (0.0,),  # positive lifts the heel above the toes
    "left_heel": (0.0,),
}
HANDS = ("right_hand", "left_hand")
SEATED: Channels = {
    "root": (0.0, -0.27, -0.22),
    "pitch": (6.0,),
    "right_hand": (-0.08, -0.62, 0.42),
    "left_hand": (0.08, -0.62, 0.42),
}
"""The channels in which sitting on a stool differs from standing before it."""


def mirrored(vector: tuple[float, float, float]) -> tuple[float, float, float]:
    """The same place on the other side of the body."""
    return (-vector[0], vector[1], vector[2])


def smooth_curve(times: Array, values: Array, at: Array) -> Array:
    """Interpolate keys so that the curve never overshoots and is at rest at both ends and wherever it turns back.

    Keys are `values` (K, C) at ascending `times` (K,). The curve is evaluated `at` times (T,), which are clamped to the
    keys' span, and is (T, C). It is a monotone cubic (Fritsch-Butland slopes): a plateau between two equal keys stays
    flat, a key on the way is passed without stopping, which is how people string strokes together.
    """
    spans = np.diff(times)
    rises = np.diff(values, axis=0) / spans[:, None]
    slopes = np.zeros_like(values)
    if len(times) > 2:
        before, after = rises[:-1], rises[1:]
        weight_before = (spans[:-1] + 2 * spans[1:])[:, None]
        weight_after = (2 * spans[:-1] + spans[1:])[:, None]
        onwards = before * after > 1e-300  # less would overflow below, and is no slope
        harmonic = (weight_before + weight_after) / (
            weight_before / np.where(onwards, after, 1.0) + weight_after / np.where(onwards, before, 1.0)
        )
        slopes[1:-1] = np.where(onwards, harmonic, 0.0)
    at = np.clip(at, times[0], times[-1])
    left = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(spans) - 1)
    span = spans[left][:, None]
    u = (at - times[left])[:, None] / span
    start, end = values[left], values[left + 1]
    blend = u * u * (3 - 2 * u)
    leave, arrive = u * (1 - u) ** 2, -u * u * (1 - u)
    return np.asarray(start + (end - start) * blend + span * (leave * slopes[left] + arrive * slopes[left + 1]))


class Variation:
    """The random variation of one performance, used by the motions while they add their keys."""

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        amplitude: float,
        jitter: float,
        seconds: float | None,
        travels: bool,
        home: Channels,
    ) -> None:
        self.rng, self.amplitude = rng, amplitude
        self.jitter = jitter  # arm lengths: standard deviation of a hand's key positions
        self.seconds = seconds  # fixed length, which decides the number of repetitions; None: free
        self.travels = travels  # whether the person may turn to the side and leave the place
        self.home = home  # channels in which this person's standing pose differs from REST
        # Most of the error is common to both hands: otherwise clapping hands would not meet.
        common, right, left = rng.normal(0.0, jitter, 3), *rng.normal(0.0, 0.4 * jitter, (2, 3))
        self._bias = {"right_hand": common + right, "left_hand": common * np.array([-1.0, 1.0, 1.0]) + left}

    def repetitions(self, least: int, most: int, period: float, overhead: float) -> int:
        """Number of repetitions: by the fixed length, or at random."""
        if self.seconds is not None:
            return max(1, round((self.seconds - overhead) / period))
        return int(self.rng.integers(least, most + 1))

    def uniform(self, low: float, high: float) -> float:
        """A random number from a range."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def hand(self, name: str) -> Array:
        """The error of one key of a hand, in arm lengths."""
        return np.asarray(self._bias[name] + self.rng.normal(0.0, 0.5 * self.jitter, 3))


class Motion:
    """One action as key poses in seconds; every channel starts and ends in the rest (or seated) pose, at rest."""

    def __init__(self, variation: Variation, *, start: Channels | None = None, end: Channels | None = None) -> None:
        self.variation = variation
        self.start = {**variation.home, **(start or {})}  # the channels that differ from REST before and after
        self.end = {**variation.home, **(end or {})}
        self.duration = 0.0
        self._walked = 0.0  # body heights: the way from the first place to the last, straight ahead
        self._keys: dict[str, list[tuple[float, Array]]] = {}

    def key(self, name: str, seconds: float, value: float | tuple[float, ...], *, precise: bool = False) -> None:
        """Add a key to one channel; keys of hands get a random error unless they are precise."""
        values = np.atleast_1d(np.asarray(value, dtype=np.float64))
        if name in HANDS and not precise:
            values = values + self.variation.hand(name)
        self._keys.setdefault(name, []).append((seconds, values))

    def at(self, seconds: float, **channels: float | tuple[float, ...]) -> Motion:
        """Add a key pose of the named channels; other channels are not affected."""
        for name, value in channels.items():
            self.key(name, seconds, value)
        return self

    def both(self, seconds: float, hand: tuple[float, float, float], *, precise: bool = False) -> Motion:
        """Add a key of the right hand, and the mirrored key of the left hand."""
        self.key("right_hand", seconds, hand, precise=precise)
        self.key("left_hand", seconds, mirrored(hand), precise=precise)
        return self

    def lasts(self, seconds: float) -> Motion:
        """Set the whole length; the last keys lie before it."""
        self.duration = seconds
        return self

    def stretch(self, factor: float) -> Motion:
        """Slow the motion down by a factor."""
        self._keys = {name: [(factor * time, key) for time, key in keys] for name, keys in self._keys.items()}
        self.duration *= factor
        return self

    def faces(self, heading: float) -> None:
        """Turn the whole motion to one side: degrees, positive to the image's right."""
        self.start["turn"] = self.end["turn"] = (heading,)

    def perhaps_aside(self, share: float, farthest: float = 100.0) -> None:
        """Show the motion from the side in a share (0 .. 1) of the performances that may turn.

        The heading is at most `farthest` degrees from the camera: 180 for motions that can be recognised from behind.
        """
        v = self.variation
        if v.travels and v.chance(share):
            self.faces((1.0 if v.chance(0.5) else -1.0) * v.uniform(25.0, farthest))

    def walks(self, heading: float, distance: float) -> None:
        """Keep a heading and walk straight ahead, through the middle of the stage."""
        self.faces(heading)
        self._walked = distance

    def _place(self, seconds: Array) -> Array:
        # Steady, but for the first and the last step.
        u = np.clip(seconds / self.duration, 0.0, 1.0)
        ramp = 0.12
        slow, late = u * u / (2 * ramp), 1 - ramp - (1 - u) ** 2 / (2 * ramp)
        share = np.where(u < ramp, slow, np.where(u > 1 - ramp, late, u - ramp / 2)) / (1 - ramp)
        heading = np.radians(self.start.get("turn", REST["turn"])[0])
        way = self._walked * np.array([np.sin(heading), 0.0, np.cos(heading)])
        return np.asarray((share - 0.5)[:, None] * way)

    def sample(self, seconds: Array) -> Pose:
        """The pose at each time (T,) from the motion's start."""
        pose = {}
        for name, rest in REST.items():
            first, last = (np.asarray(side.get(name, rest), dtype=np.float64) for side in (self.start, self.end))
            keys = {0.0: first, **dict(sorted(self._keys.get(name, []), key=lambda key: key[0])), self.duration: last}
            times = np.array(list(keys))
            values = np.stack(list(keys.values()))
            pose[name] = (_arc if name in HANDS else smooth_curve)(times, values, seconds)
        pose["place"] = self._place(seconds)
        return pose


def _arc(times: Array, values: Array, at: Array) -> Array:
    # Reach and direction are interpolated apart: a hand swings about its shoulder, not through the chest.
    reach = np.linalg.norm(values, axis=1, keepdims=True)
    curve = smooth_curve(times, np.hstack([values / reach, reach]), at)
    direction = curve[:, :3] / np.maximum(np.linalg.norm(curve[:, :3], axis=1, keepdims=True), 1e-6)
    return np.asarray(direction * curve[:, 3:])
