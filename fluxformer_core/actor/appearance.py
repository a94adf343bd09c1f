"""Everything that varies between two recordings of the same action: the person, the clothes, the room, the camera."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fluxformer_core.actor.skeleton import Proportions

Colour = tuple[int, int, int]
"""RGB, 0..255."""

SKINS: tuple[Colour, ...] = (
    (244, 208, 177), (231, 180, 143), (210, 153, 108), (175, 118, 78), (135, 85, 55), (94, 60, 42), (66, 44, 34),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (28, 22, 20), (52, 36, 28), (92, 62, 40), (140, 100, 58), (196, 160, 100), (150, 70, 40), (150, 150, 152),
)  # fmt: skip


@dataclass(frozen=True)
class ActorStyle:
    """How the actor looks, moves and is filmed. The defaults give a clear picture."""

    proportions: Proportions = Proportions()
    stature: float = 1.72  # m
    bulk: float = 1.0  # of trunk radii
    limbs: float = 1.0  # of arm and leg radii
    skin: Colour = (231, 180, 143)
    hair: Colour = (62, 42, 32)
    shirt: Colour = (45, 120, 170)
    accent: Colour = (235, 235, 228)  # stripes of the shirt
    trousers: Colour = (62, 66, 84)
    shoes: Colour = (230, 226, 216)
    sleeves: Literal["long", "short", "none"] = "short"
    legs: Literal["trousers", "shorts", "skirt"] = "trousers"
    haircut: Literal["short", "long", "bald", "cap"] = "short"
    stripes: float = 0.0  # on the shirt, along the trunk; 0: plain

    background: Literal["room", "gradient", "noise", "clutter"] = "room"
    decor: int = 4  # seed of the background
    wall: float = 1.3  # m: from the person to the wall behind
    depth_background: Literal["none", "wall"] = "none"  # none: 0 = no reading behind the person
    light: tuple[float, float] = (-30.0, 40.0)  # degrees: from the image's left (negative) or right, above
    ambient: float = 0.45  # share of light that has no direction
    noise: float = 0.0  # relative to a typical sensor's noise

    yaw: float = 0.0  # degrees: the person turned from the camera, positive to the image's right
    fov: float = 50.0  # degrees: vertical
    fill: float = 0.75  # share of the image height that the standing person takes
    camera_height: float = 1.2  # m
    tilt: float | None = None  # degrees that the camera looks down; None: towards the person
    lateral: float = 0.0  # of the image width: the person's place from the middle
    vertical: float = 0.0  # of the image height: the person's place from the middle; positive is down
    cropped: bool = False  # centre and scale the picture so that all movement is inside, as in cut recordings

    tempo: float = 1.0  # speed of a performance whose length is free
    amplitude: float = 1.0  # of large movements
    jitter: float = 0.02  # arm lengths: standard deviation of the hands' places
    idle: float = 1.0  # of breathing, swaying and glancing
    mirrored: bool = False  # flip the picture, as for a left-handed person; labels say what the image shows

    @classmethod
    def sample(cls, seed: int) -> ActorStyle:
        """A random person, place and camera, anywhere in the picture."""
        rng = np.random.default_rng([seed, 0xAC7])

        def between(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        def near(middle: float, spread: float, limit: float) -> float:
            return middle + float(np.clip(rng.normal(0.0, spread), -limit, limit))

        base, leg, arm = Proportions(), near(1.0, 0.02, 0.045), near(0.98, 0.025, 0.05)
        proportions = replace(
            base,
            hip_width=base.hip_width * near(1.0, 0.08, 0.15),
            shoulder_width=base.shoulder_width * near(1.0, 0.06, 0.12),
            trunk=base.trunk - (leg - 1.0) * (base.thigh + base.shin),
            upper_arm=base.upper_arm * arm,
            forearm=base.forearm * arm,
            thigh=base.thigh * leg,
            shin=base.shin * leg,
            stance=base.stance * between(0.75, 1.5),
            head=base.head * near(1.07, 0.05, 0.1),
        )
        skin = SKINS[rng.integers(len(SKINS))]
        return cls(
            proportions=proportions,
            stature=near(1.70, 0.09, 0.2),
            bulk=near(1.18, 0.12, 0.28),
            limbs=near(1.2, 0.13, 0.3),
            skin=skin,
            hair=HAIRS[rng.integers(len(HAIRS))],
            shirt=_garment(rng),
            accent=_garment(rng),
            trousers=_garment(rng, lightest=0.6),
            shoes=_garment(rng),
            sleeves=("long", "long", "short", "none")[rng.integers(4)],
            legs=("trousers", "trousers", "trousers", "shorts", "skirt")[rng.integers(5)],
            haircut=("short", "short", "long", "long", "bald", "cap")[rng.integers(6)],
            stripes=float(rng.integers(3, 9)) if rng.random() < 0.3 else 0.0,
            background=("room", "room", "gradient", "noise", "clutter")[rng.integers(5)],
            decor=int(rng.integers(2**31)),
            wall=between(0.6, 3.0),
            depth_background="wall" if rng.random() < 0.25 else "none",
            light=(between(-70, 70), between(15, 70)),
            ambient=between(0.3, 0.65),
            noise=between(0.0, 1.2),
            yaw=near(0.0, 10.0, 25.0),
            fov=between(38.0, 62.0),
            fill=between(0.45, 0.95),
            camera_height=between(0.6, 1.6),
            lateral=near(0.0, 0.06, 0.15),
            vertical=near(0.02, 0.03, 0.06),
            tempo=float(np.exp(between(np.log(0.7), np.log(1.4)))),
            amplitude=near(1.0, 0.1, 0.25),
            jitter=between(0.02, 0.09),
            idle=between(0.3, 1.6),
        )

    @classmethod
    def sample_recording(cls, seed: int, *, roaming: bool = False) -> ActorStyle:
        """A random person, filmed like a clip of a data set.

        Most clips are cut so that all movement is near the middle. In the others, the majority if `roaming`, the camera
        is fixed and the person may walk away. Some persons are turned to the side, by up to 45 degrees.
        """
        rng = np.random.default_rng([seed, 0x5E7])
        aside = rng.random() < 0.3
        person = cls.sample(seed)
        if rng.random() < (0.7 if roaming else 0.45):
            return replace(
                person,
                # With a wide lens the person is never beyond the range of a depth camera.
                fov=float(rng.uniform(50.0, 62.0)),
                fill=float(rng.uniform(0.4, 0.95)),
                yaw=float(rng.uniform(-45.0, 45.0)) if aside else person.yaw,
            )
        return replace(
            person,
            fill=float(rng.uniform(0.84, 1.0)),
            fov=float(rng.uniform(38.0, 52.0)),
            camera_height=float(rng.uniform(0.9, 1.45)),
            tilt=float(rng.uniform(-3.0, 6.0)),
            lateral=float(np.clip(rng.normal(0.0, 0.02), -0.05, 0.05)),
            vertical=0.0,
            yaw=float(rng.uniform(-45.0, 45.0) if aside else np.clip(rng.normal(0.0, 7.0), -25.0, 25.0)),
            cropped=True,
        )


def _garment(rng: np.random.Generator, lightest: float = 1.0) -> Colour:
    hue, saturation, value = rng.random(), rng.random() ** 1.3, lightest * (0.12 + 0.83 * rng.random())
    red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, 0.85 * saturation, value))
    return red, green, blue
