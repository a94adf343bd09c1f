"""Scripts of performances, their motions, and the pose at each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fluxformer_core.actor.appearance import ActorStyle
from fluxformer_core.actor.motions import ACTIONS, FLIPPED, motion
from fluxformer_core.actor.pose import REST, Array, Channels, Motion, Pose, Variation
from fluxformer_core.errors import ConfigError


@dataclass(frozen=True)
class Performance:
    """One action of a script: the first and the last moment of its movement, in seconds from the script's beginning."""

    label: str
    start: float
    end: float


DEMO_SCRIPT: tuple[Performance, ...] = (
    Performance("wave", 2.0, 4.9), Performance("clap", 6.1, 8.7), Performance("swipe_left", 10.0, 11.9),
    Performance("swipe_right", 13.2, 15.1), Performance("squat", 16.5, 19.6), Performance("walk", 20.9, 24.9),
    Performance("boxing", 26.2, 29.6), Performance("throw", 30.9, 33.0), Performance("arm_cross", 34.3, 36.8),
    Performance("draw_circle_cw", 38.1, 41.0),
)  # fmt: skip
"""Ten actions with standing between them: the script and the ground truth of the demonstration."""


Cast = list[tuple[Performance, Motion]]
"""Every performance of a script with a motion of the same length."""


def _acted(label: str, style: ActorStyle, rng: np.random.Generator, home: Channels, seconds: float | None) -> Motion:
    """The motion of a performance; without a fixed length in seconds, the person may also leave the place."""
    variation = Variation(
        rng, amplitude=style.amplitude, jitter=style.jitter, seconds=seconds, travels=seconds is None, home=home
    )
    return motion(FLIPPED.get(label, label) if style.mirrored else label, variation)


def _home(style: ActorStyle, rng: np.random.Generator) -> Channels:
    """The channels in which a random person's standing pose differs from REST."""
    wide, ahead = rng.normal(0.0, 0.6 * style.jitter, 2), rng.normal(0.0, 1.0 * style.jitter, 2)
    right, left = np.asarray(REST["right_hand"]), np.asarray(REST["left_hand"])
    return {
        "right_hand": tuple((right + np.array([abs(wide[0]), 0.0, ahead[0]])).tolist()),
        "left_hand": tuple((left - np.array([abs(wide[1]), 0.0, -ahead[1]])).tolist()),
        "roll": (float(rng.normal(0.0, 15.0 * style.jitter)),),
        "pitch": (float(rng.normal(1.0, 30.0 * style.jitter)),),
        "nod": (float(rng.normal(0.0, 60.0 * style.jitter)),),
    }


def cast_script(script: Sequence[Performance], style: ActorStyle, seed: int) -> Cast:
    """Find a motion for every performance of a script, or raise the ConfigError that `Stage` describes."""
    wrong = []
    cast: Cast = []
    rng = np.random.default_rng([seed, 0x57A6E])
    home = _home(style, rng)
    before, seated = 0.0, len(script) > 0 and script[0].label == "sit_to_stand"
    for performance in script:
        if performance.start < before or performance.end <= performance.start:
            wrong.append(f"{performance} must begin after the one before it and end after it began")
        if performance.label not in ACTIONS:
            wrong.append(f"no action is called {performance.label!r}; known are {', '.join(ACTIONS)}")
            continue
        if seated != (performance.label == "sit_to_stand"):
            wrong.append(f"{performance}: the actor {'sits' if seated else 'stands'} by then")
        seated = performance.label == "stand_to_sit"
        length, before = performance.end - performance.start, performance.end
        acted = _acted(performance.label, style, rng, home, length)
        cast.append((performance, acted.stretch(length / acted.duration)))
    if wrong:
        raise ConfigError("the script cannot be performed: " + "; ".join(wrong))
    return cast


def cast_clip(label: str, style: ActorStyle, seed: int) -> tuple[Cast, float]:
    """One performance of free length between short pauses, and the whole length in seconds."""
    rng = np.random.default_rng([seed, 0x9E])
    lead, tail = rng.uniform(0.2, 0.6, 2)
    if label == "stand":
        return [], float(lead + tail + rng.uniform(1.5, 3.0))
    acted = _acted(label, style, rng, _home(style, rng), None).stretch(1.0 / style.tempo)
    performance = Performance(label, float(lead), float(lead) + acted.duration)
    return [(performance, acted)], performance.end + float(tail)


def poses(cast: Cast, times: Array, style: ActorStyle, seed: int) -> Pose:
    """The pose at each time: the motions, the rest between them, and the small movements of a standing person."""
    rng = np.random.default_rng([seed, 0x1D1E])
    pose: Pose = {}
    if not cast:
        home = _home(style, rng)
        pose = {name: np.tile(np.asarray(home.get(name, rest)), (len(times), 1)) for name, rest in REST.items()}
    for performance, acted in cast:
        now = acted.sample(times - performance.start)
        begun = (times >= performance.start)[:, None]
        pose = {name: np.where(begun, values, pose.get(name, values)) for name, values in now.items()}
    _idle(pose, times, style.idle, rng)
    return pose


def _idle(pose: Pose, times: Array, amount: float, rng: np.random.Generator) -> None:
    def sway(period: float, size: float) -> Array:
        return amount * size * np.sin(2 * np.pi * (times / (period * rng.uniform(0.8, 1.25)) + rng.random()))

    pose["pitch"] = pose["pitch"] + sway(3.6, 0.35)[:, None]
    pose["root"] = pose["root"] + np.stack([sway(6.0, 0.003), np.zeros_like(times), sway(8.0, 0.0015)], axis=1)
    pose["roll"] = pose["roll"] + sway(7.0, 0.3)[:, None]
    for _ in range(int(rng.poisson(0.22 * amount * times[-1]))):
        moment, length, size = rng.uniform(0, times[-1]), rng.uniform(0.5, 1.2), rng.normal(0.0, 14.0)
        pose["look"] = pose["look"] + (size * np.exp(-(((times - moment) / length) ** 4)))[:, None]
