"""Performances before a camera: a script becomes images, with the truth about what happens when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from fluxformer_core.errors import ConfigError
from fluxformer_core.learn.actor import scene
from fluxformer_core.learn.actor.appearance import ActorStyle
from fluxformer_core.learn.actor.body import LIMB_ENDS, flesh, outfit, palette, stool
from fluxformer_core.learn.actor.motions import ACTIONS, FLIPPED, motion
from fluxformer_core.learn.actor.pose import REST, SEATED, Array, Motion, Pose, Variation
from fluxformer_core.learn.actor.render import Camera, Part, ZBuffer
from fluxformer_core.learn.actor.skeleton import Joints, solve

Mode = Literal["colour", "depth"]
Frame = npt.NDArray[Any]
"""uint8 RGB (H, W, 3) in colour, uint16 millimetres (H, W) in depth."""
_SHADOW_RADIUS = 0.03  # m: thinner parts cast no shadow worth drawing
_DEPTH_NOISE = 0.0016  # m at 1 m; grows with the square of the distance, as a structured-light sensor's
_COLOUR_NOISE = 4.0  # of 255


@dataclass(frozen=True)
class Performance:
    """One action of a script: the first and the last moment of its movement, in seconds from the script's beginning."""

    label: str
    start: float
    end: float


DEMO_SCRIPT: tuple[Performance, ...] = (
    Performance("wave", 2.0, 4.9),
    Performance("clap", 6.1, 8.7),
    Performance("swipe_left", 10.0, 11.9),
    Performance("swipe_right", 13.2, 15.1),
    Performance("squat", 16.5, 19.6),
    Performance("walk", 20.9, 24.9),
    Performance("boxing", 26.2, 29.6),
    Performance("throw", 30.9, 33.0),
    Performance("arm_cross", 34.3, 36.8),
    Performance("draw_circle_cw", 38.1, 41.0),
)
"""Ten actions with standing between them: what the demonstration shows and what its answers are held against."""


class Stage:
    """A camera before which a script is performed; any frame can be asked for, in any order."""

    def __init__(
        self,
        script: Sequence[Performance],
        *,
        seed: int = 0,
        rate: float = 30.0,
        size: tuple[int, int] = (480, 640),
        mode: Mode = "colour",
        style: ActorStyle | None = None,
        duration: float | None = None,
    ) -> None:
        """Rehearse the script; nothing is drawn yet.

        Args:
            script: actions in the order of time; the actor stands between them.
            seed: of the performances: the same script differs from seed to seed.
            rate: frames per second.
            size: (height, width) of the images.
            mode: what the camera delivers.
            style: who performs where; the friendly default if None.
            duration: s; one second after the last action if None.

        Raises:
            ConfigError: if the script is not in order, has an unknown label, or asks a seated actor for anything but
                standing up.
        """
        style = style or ActorStyle()
        script = tuple(script)
        motions = _rehearse(script, style, seed)
        length = duration if duration is not None else (script[-1].end if script else 0.0) + 1.0
        self._build(list(zip(script, motions, strict=True)), style, seed, rate, size, mode, length)

    @classmethod
    def _of_motion(
        cls, label: str, acted: Motion | None, lead: float, tail: float, style: ActorStyle, seed: int, rate: float,
        size: tuple[int, int], mode: Mode,
    ) -> Stage:  # fmt: skip
        stage = cls.__new__(cls)
        cast = [(Performance(label, lead, lead + acted.duration), acted)] if acted else []
        stage._build(cast, style, seed, rate, size, mode, lead + tail + (acted.duration if acted else 0.0))
        return stage

    def _build(
        self, cast: list[tuple[Performance, Motion]], style: ActorStyle, seed: int, rate: float, size: tuple[int, int],
        mode: Mode, duration: float,
    ) -> None:  # fmt: skip
        if mode not in ("colour", "depth") or rate <= 0 or min(size) < 16:
            raise ConfigError(
                f"mode must be colour or depth, rate positive and size at least 16 px: {mode}, {rate}, {size}"
            )
        self.script = tuple(performance for performance, _ in cast)
        self.style, self.mode, self.size, self.rate = style, mode, size, rate
        self.times = np.arange(max(1, round(duration * rate))) / rate
        pose = _act(cast, self.times, style, seed)
        joints = solve(pose, style.proportions)
        points = flesh(joints, style)
        self._parts = outfit(style)
        if any(performance.label in ("sit_to_stand", "stand_to_sit") for performance in self.script):
            seat, legs = stool(style, SEATED["root"][2])
            points |= {name: np.repeat(place, len(self.times), axis=0) for name, place in seat.items()}
            self._parts += legs
        yaw = np.radians(style.yaw)
        view = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        world = {name: style.stature * values @ view.T for name, values in points.items()}
        self.limbs = np.stack([world[name] for name in LIMB_ENDS], axis=1)
        """World positions of fingers, feet and head, (frames, limbs, 3) in metres: the truth about movement."""
        self._flatness, broad = _seen_from_front(self._parts, joints, view)
        self._ends = np.stack([[world[part.a], world[part.b]] for part in self._parts]).transpose(2, 0, 1, 3)
        self._radii = broad[..., None] * np.array([[part.radius_a, part.radius_b] for part in self._parts])
        self._camera = scene.camera_for(style, size)
        self._capsules = self._project()
        if style.cropped:
            self._camera = _zoomed(self._camera, self._capsules, size, style)
            self._capsules = self._project()
        self._prepare_canvas(seed)

    def _project(self) -> Array:
        pixels, depth = self._camera.project(self._ends)
        radius = self._radii * self._camera.focal / depth
        return np.concatenate([pixels, radius[..., None], depth[..., None]], axis=-1).reshape(len(self.times), -1, 8)

    def _prepare_canvas(self, seed: int) -> None:
        style, size, colour = self.style, self.size, self.mode == "colour"
        light = scene.light_direction(style)
        self._buffer = ZBuffer(
            size, self._camera.focal, colour=colour, light=(light[0], -light[1], light[2]), ambient=style.ambient
        )
        self._shadow = scene.Shadow(self._camera, light, size)
        self._bulky = np.flatnonzero(self._radii[0].min(axis=1) > _SHADOW_RADIUS)
        strength = style.noise * (_COLOUR_NOISE if colour else _DEPTH_NOISE)
        self._noise = scene.SensorNoise(size, 3 if colour else 1, strength, seed) if style.noise > 0 else None
        if colour:
            self._backdrop = scene.background_colour(style, self._camera, size)
            self._palette = palette(style)
        elif style.depth_background == "wall":
            self._wall = scene.background_depth(style, self._camera, size)

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[tuple[float, Frame]]:
        """Yield (seconds from the beginning, image)."""
        for index, time in enumerate(self.times):
            yield float(time), self.frame(index)

    def frame(self, index: int) -> Frame:
        """The image with this number, counted from 0.

        Raises:
            IndexError: if the script is over by then.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of a performance of {len(self)} frames")
        self._buffer.clear()
        capsules, flatness = self._capsules[index].tolist(), self._flatness[index].tolist()
        for part, capsule, flat in zip(self._parts, capsules, flatness, strict=True):
            self._buffer.capsule(capsule, part, flat)
        image = self._in_colour(index) if self.mode == "colour" else self._in_depth(index)
        return np.ascontiguousarray(image[:, ::-1]) if self.style.mirrored else image

    def _in_colour(self, index: int) -> Frame:
        left = self._shadow.fall(self._ends[index, self._bulky], self._radii[index, self._bulky].mean(axis=1))
        image = cv2.multiply(self._backdrop, cv2.merge([left] * 3), dtype=cv2.CV_8U)
        top, west, bottom, east = self._buffer.box
        if top < bottom and west < east:
            area = image[top:bottom, west:east]
            depth = self._buffer.depth[top:bottom, west:east]
            assert self._buffer.code is not None
            np.copyto(area, self._palette[self._buffer.code[top:bottom, west:east]], where=(depth < 1e8)[..., None])
        softness = 0.0011 * self.size[0]
        image = cv2.GaussianBlur(image, (3, 3), max(softness, 0.35))
        if self._noise is not None:
            image = cv2.add(image, self._noise.field(index), dtype=cv2.CV_8U)
        return image

    def _in_depth(self, index: int) -> Frame:
        metres = self._buffer.depth
        there = metres < 1e8
        metres = np.where(there, metres, self._wall if self.style.depth_background == "wall" else np.float32(0))
        if self._noise is not None:
            field = self._noise.field(index)[..., 0]
            solid = there.astype(np.uint8)
            rim = solid - cv2.erode(solid, np.ones((3, 3), np.uint8))
            # A depth camera is blind at some points of an outline.
            metres = np.where((rim > 0) & (np.abs(field) > 1.6 * _DEPTH_NOISE), 0, metres + field * metres * metres)
        return np.round(np.clip(metres, 0, 65.0) * 1000.0).astype(np.uint16)


def perform(
    label: str,
    seed: int,
    *,
    rate: float = 20.0,
    size: tuple[int, int] = (128, 128),
    mode: Mode = "depth",
    style: ActorStyle | None = None,
) -> list[Frame]:
    """One clip like a recording: the actor stands, performs once, stands again.

    Args:
        label: one of ACTIONS, or `stand` for a clip without any action.
        seed: of everything that the style leaves open: length, tempo, repetitions, the hands' paths.
        rate: frames per second.
        size: (height, width) of the images.
        mode: `depth`: uint16 millimetres (H, W), 0 = no reading; `colour`: uint8 RGB (H, W, 3).
        style: who performs where; drawn by the seed as ActorStyle.sample_recording does if None.

    Raises:
        ConfigError: if no action has this label, or an argument is out of range.
    """
    return [image for _, image in rehearse(label, seed, rate=rate, size=size, mode=mode, style=style)]


def rehearse(
    label: str,
    seed: int,
    *,
    rate: float = 20.0,
    size: tuple[int, int] = (128, 128),
    mode: Mode = "depth",
    style: ActorStyle | None = None,
) -> Stage:
    """The stage of `perform`, for those who want the times of the action or the limbs' positions with the images."""
    style = style or ActorStyle.sample_recording(seed)
    rng = np.random.default_rng([seed, 0x9E])
    lead, tail = rng.uniform(0.2, 0.6, 2)
    if label == "stand":
        return Stage._of_motion(label, None, lead, tail + rng.uniform(1.5, 3.0), style, seed, rate, size, mode)
    acted = motion(_as_acted(label, style), _variation(style, rng, travels=True))
    acted.stretch(1.0 / style.tempo)
    return Stage._of_motion(label, acted, lead, tail, style, seed, rate, size, mode)


def _as_acted(label: str, style: ActorStyle) -> str:
    return FLIPPED.get(label, label) if style.mirrored else label


def _home(style: ActorStyle, rng: np.random.Generator) -> dict[str, tuple[float, ...]]:
    """How this person stands when idle."""
    wide, ahead = rng.normal(0.0, 0.8 * style.jitter, 2), rng.normal(0.0, 1.0 * style.jitter, 2)
    right, left = np.asarray(REST["right_hand"]), np.asarray(REST["left_hand"])
    return {
        "right_hand": tuple((right + np.array([abs(wide[0]), 0.0, ahead[0]])).tolist()),
        "left_hand": tuple((left - np.array([abs(wide[1]), 0.0, -ahead[1]])).tolist()),
        "roll": (float(rng.normal(0.0, 15.0 * style.jitter)),),
        "pitch": (float(rng.normal(1.0, 30.0 * style.jitter)),),
        "nod": (float(rng.normal(0.0, 60.0 * style.jitter)),),
    }


def _variation(
    style: ActorStyle, rng: np.random.Generator, *, seconds: float | None = None, travels: bool = False,
    home: dict[str, tuple[float, ...]] | None = None,
) -> Variation:  # fmt: skip
    return Variation(
        rng,
        amplitude=style.amplitude,
        jitter=style.jitter,
        seconds=seconds,
        travels=travels,
        home=home if home is not None else _home(style, rng),
    )


def _rehearse(script: tuple[Performance, ...], style: ActorStyle, seed: int) -> list[Motion]:
    """One motion for each performance of a script, of just its length."""
    wrong = []
    motions = []
    rng = np.random.default_rng([seed, 0x57A6E])
    home = _home(style, rng)
    before, seated = 0.0, script[:1] != () and script[0].label == "sit_to_stand"
    for performance in script:
        if performance.start < before or performance.end <= performance.start:
            wrong.append(f"{performance} must begin after the one before it and end after it began")
        if performance.label not in ACTIONS:
            wrong.append(f"{performance.label!r} is none of {', '.join(ACTIONS)}")
            continue
        if seated != (performance.label == "sit_to_stand"):
            wrong.append(f"{performance}: the actor {'sits' if seated else 'stands'} by then")
        seated = performance.label == "stand_to_sit"
        length, before = performance.end - performance.start, performance.end
        acted = motion(_as_acted(performance.label, style), _variation(style, rng, seconds=length, home=home))
        motions.append(acted.stretch(length / acted.duration))
    if wrong:
        raise ConfigError("the script cannot be performed: " + "; ".join(wrong))
    return motions


def _act(cast: list[tuple[Performance, Motion]], times: Array, style: ActorStyle, seed: int) -> Pose:
    """The pose at each time: the motions, the rest between them, and the small movements of anybody who stands."""
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
    pose["root"] = pose["root"] + np.stack([sway(5.0, 0.0014), 0 * times, sway(6.5, 0.001)], axis=1)
    pose["roll"] = pose["roll"] + sway(7.0, 0.3)[:, None]
    for _ in range(int(rng.poisson(0.22 * amount * times[-1]))):
        moment, length, size = rng.uniform(0, times[-1]), rng.uniform(0.5, 1.2), rng.normal(0.0, 14.0)
        pose["look"] = pose["look"] + (size * np.exp(-(((times - moment) / length) ** 4)))[:, None]


def _seen_from_front(parts: Sequence[Part], joints: Joints, view: Array) -> tuple[Array, Array]:
    """How flat and how broad each part looks as the trunk turns, (frames, parts): 1 for round ones."""
    frames = len(next(iter(joints.values())))
    flatness, broad = np.ones((frames, len(parts))), np.ones((frames, len(parts)))
    for column, part in enumerate(parts):
        if part.frame:
            sideways = (view @ joints[part.frame][:, :, :1])[:, 2, 0] ** 2  # 0: seen from the front, 1: from the side
            broad[:, column] = np.sqrt(1 - sideways + sideways * part.flatness**2)
            flatness[:, column] = np.sqrt(sideways + (1 - sideways) * part.flatness**2) / broad[:, column]
    return flatness, broad


def _zoomed(camera: Camera, capsules: Array, size: tuple[int, int], style: ActorStyle) -> Camera:
    """The same camera, its picture cut and enlarged so that all that is ever drawn fills the style's share of it."""
    x, y, radius = (capsules[..., [channel, channel + 4]] for channel in range(3))
    left, right, top, bottom = (x - radius).min(), (x + radius).max(), (y - radius).min(), (y + radius).max()
    zoom = 0.96 * style.fill * min(size[0] / (bottom - top), size[1] / (right - left))
    return replace(
        camera,
        focal=camera.focal * zoom,
        centre=(
            zoom * (camera.centre[0] - 0.5 * (left + right)) + (0.5 + style.lateral) * size[1],
            zoom * (camera.centre[1] - 0.5 * (top + bottom)) + (0.5 + style.vertical) * size[0],
        ),
    )
