"""The images of a performance: a script on a stage, or one clip like those of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from fluxformer_core.actor import scene
from fluxformer_core.actor.appearance import ActorStyle
from fluxformer_core.actor.body import LIMB_ENDS, flesh, outfit, palette, stool
from fluxformer_core.actor.pose import REST, SEATED, Array
from fluxformer_core.actor.render import FAR, Capsule, PinholeCamera, ZBuffer
from fluxformer_core.actor.script import Cast, Performance, cast_clip, cast_script, poses
from fluxformer_core.actor.skeleton import Joints, solve
from fluxformer_core.errors import ConfigError

Mode = Literal["colour", "depth"]
Size = tuple[int, int]  # height and width, px
Frame = npt.NDArray[Any]
"""uint8 RGB (H, W, 3) in colour, uint16 millimetres (H, W) in depth, 0 = no reading."""
_SHADOW_RADIUS = 0.03  # m: thinner capsules cast no visible shadow
_DEPTH_NOISE = 0.0016  # m at 1 m; grows with the square of the distance, as a structured-light sensor's
_COLOUR_NOISE = 4.0  # of 255
_ROAMING = ("walk", "jog")  # actions that cover ground: in pictures cut to the whole way, the person would be tiny


class Film:
    """The images of a performance, drawn on request in any order."""

    def __init__(
        self, cast: Cast, duration: float, *, style: ActorStyle, seed: int, rate: float, size: Size, mode: Mode
    ) -> None:
        """Compute all movement of a cast over a duration in seconds; images are drawn later. See `Stage`.

        Raises:
            ConfigError: if mode, rate or size is out of range.
        """
        if mode not in ("colour", "depth") or rate <= 0 or min(size) < 16:
            raise ConfigError(
                f"mode must be colour or depth, rate positive, size at least 16 px: got {mode!r}, {rate}, {size}"
            )
        self.script = tuple(performance for performance, _ in cast)
        self.style, self.mode, self.size, self.rate = style, mode, size, rate
        self.times: Array = np.arange(max(1, round(duration * rate))) / rate
        """Seconds of each frame from the beginning."""
        joints = solve(poses(cast, self.times, style, seed), style.proportions)
        points = flesh(joints, style)
        self.parts = outfit(style)
        seated = [motion for performance, motion in cast if performance.label in ("sit_to_stand", "stand_to_sit")]
        if seated:  # one stool suffices: in scripts seated people face the camera, and a clip has one performance
            seat, legs = stool(style, SEATED["root"][2], heading=seated[0].start.get("turn", REST["turn"])[0])
            points |= {name: np.repeat(place, len(self.times), axis=0) for name, place in seat.items()}
            self.parts += legs
        yaw = np.radians(style.yaw)
        view = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        world = {name: style.stature * values @ view.T for name, values in points.items()}
        self.limbs = _limbs(world, mirrored=style.mirrored)
        """World positions of LIMB_ENDS, (frames, limbs, 3) in metres: the truth about movement. x as in the image."""
        self.flatness, broad = _seen_from_front(self.parts, joints, view)
        self._ends = np.stack([[world[part.a], world[part.b]] for part in self.parts]).transpose(2, 0, 1, 3)
        self._radii = broad[..., None] * np.array([[part.radius_a, part.radius_b] for part in self.parts])
        self._camera = scene.camera_for(style, size)
        self.capsules = self._project()
        """x, y, radius in pixels and distance in metres of both ends of every part, (frames, parts, 8)."""
        if style.cropped:
            self._camera = _zoomed(self._camera, self.capsules, size, style)
            self.capsules = self._project()
        self._prepare_canvas(seed)

    def _project(self) -> Array:
        pixels, depth = self._camera.project(self._ends)
        radius = self._radii * self._camera.focal / depth
        return np.concatenate([pixels, radius[..., None], depth[..., None]], axis=-1).reshape(len(self.times), -1, 8)

    def _prepare_canvas(self, seed: int) -> None:
        style, size, colour = self.style, self.size, self.mode == "colour"
        right, up, ahead = light = scene.light_direction(style)
        lamp = (right, -up, ahead)
        self._buffer = ZBuffer(size, self._camera.focal, colour=colour, light=lamp, ambient=style.ambient)
        self._shadow = scene.Shadow(self._camera, light, size)
        self._bulky = np.flatnonzero(self._radii[0].min(axis=1) > _SHADOW_RADIUS)
        strength = style.noise * (_COLOUR_NOISE if colour else _DEPTH_NOISE)
        self._noise = scene.SensorNoise(size, 3 if colour else 1, strength, seed) if style.noise > 0 else None
        if colour:
            self._backdrop = scene.background_colour(style, self._camera, size)
            self._palette = palette(style)
        else:
            walled = style.depth_background == "wall"
            self._wall = scene.background_depth(style, self._camera, size) if walled else np.zeros(size, np.float32)

    @property
    def focal(self) -> float:
        """Pixels per metre at a distance of 1 m."""
        return self._camera.focal

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[tuple[float, Frame]]:
        """Yield (seconds from the beginning, image)."""
        for index, time in enumerate(self.times):
            yield float(time), self.frame(index)

    def frame(self, index: int) -> Frame:
        """The image with this number, counted from 0; an IndexError if there is no such image."""
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of a performance of {len(self)} frames")
        self._buffer.clear()
        capsules, flatness = self.capsules[index].tolist(), self.flatness[index].tolist()
        for part, capsule, flat in zip(self.parts, capsules, flatness, strict=True):
            self._buffer.capsule(capsule, part, flat)
        image = self._in_colour(index) if self.mode == "colour" else self._in_depth(index)
        return np.ascontiguousarray(image[:, ::-1]) if self.style.mirrored else image

    def _in_colour(self, index: int) -> Frame:
        left = self._shadow.fall(self._ends[index, self._bulky], self._radii[index, self._bulky].mean(axis=1))
        image = cv2.multiply(self._backdrop, cv2.merge([left] * 3), dtype=cv2.CV_8U)
        top, west, bottom, east = self._buffer.box
        if top < bottom and west < east:
            person = self._palette[self._buffer.code[top:bottom, west:east]]
            drawn = self._buffer.depth[top:bottom, west:east] < FAR
            np.copyto(image[top:bottom, west:east], person, where=drawn[..., None])
        image = cv2.GaussianBlur(image, (3, 3), max(0.0011 * self.size[0], 0.35))
        if self._noise is not None:
            image = cv2.add(image, self._noise.field(index), dtype=cv2.CV_8U)
        return image

    def _in_depth(self, index: int) -> Frame:
        drawn = self._buffer.depth < FAR
        metres = np.where(drawn, self._buffer.depth, self._wall)
        if self._noise is not None:
            field = self._noise.field(index)[..., 0]
            solid = drawn.astype(np.uint8)
            rim = solid - cv2.erode(solid, np.ones((3, 3), np.uint8))
            # Depth cameras have no reading at some points of an outline.
            metres = np.where((rim > 0) & (np.abs(field) > 1.6 * _DEPTH_NOISE), 0, metres + field * metres * metres)
        return np.round(np.clip(metres, 0, 65.0) * 1000.0).astype(np.uint16)


class Stage(Film):
    """The images of a script of performances."""

    def __init__(
        self,
        script: Sequence[Performance],
        *,
        seed: int = 0,
        rate: float = 30.0,
        size: Size = (480, 640),
        mode: Mode = "colour",
        style: ActorStyle | None = None,
        duration: float | None = None,
    ) -> None:
        """Compute the movement of the script; images are drawn later.

        Args:
            script: performances in the order of time; the actor stands between them.
            seed: of the random variation of the performances, of idle movement and of the camera's noise.
            rate: frames per second.
            size: (height, width) of the images.
            mode: `colour`, or `depth` in millimetres, 0 = no reading.
            style: of person, place and camera; None: the default.
            duration: s; None: until one second after the last performance.

        Raises:
            ConfigError: if the script is not in order, has an unknown label, has a seated actor perform another action
                than standing up, or an argument is out of range.
        """
        style = style or ActorStyle()
        if duration is None:
            duration = 1.0 + (script[-1].end if script else 0.0)
        cast = cast_script(script, style, seed)
        super().__init__(cast, duration, style=style, seed=seed, rate=rate, size=size, mode=mode)


def rehearse(
    label: str,
    seed: int,
    *,
    rate: float = 20.0,
    size: Size = (128, 128),
    mode: Mode = "depth",
    style: ActorStyle | None = None,
) -> Film:
    """One clip like a recording, with its ground truth: the actor stands, performs once, stands again.

    The label is one of ACTIONS, `stand` for a clip without an action, or `other` for a movement that is no action. The
    seed also varies the length. Without a style, `ActorStyle.sample_recording` makes one. `Stage` describes the rest.

    Raises:
        ConfigError: if no action has this label, or an argument is out of range.
    """
    style = style or ActorStyle.sample_recording(seed, roaming=label in _ROAMING)
    cast, duration = cast_clip(label, style, seed)
    return Film(cast, duration, style=style, seed=seed, rate=rate, size=size, mode=mode)


def perform(
    label: str,
    seed: int,
    *,
    rate: float = 20.0,
    size: Size = (128, 128),
    mode: Mode = "depth",
    style: ActorStyle | None = None,
) -> list[Frame]:
    """The images of `rehearse`, which describes the arguments.

    Raises:
        ConfigError: if no action has this label, or an argument is out of range.
    """
    return [image for _, image in rehearse(label, seed, rate=rate, size=size, mode=mode, style=style)]


def _limbs(world: dict[str, Array], *, mirrored: bool) -> Array:
    if not mirrored:
        return np.stack([world[name] for name in LIMB_ENDS], axis=1)
    other = {"right": "left", "left": "right"}
    names = ["_".join(other.get(word, word) for word in name.split("_")) for name in LIMB_ENDS]
    return np.asarray(np.stack([world[name] for name in names], axis=1) * np.array([-1.0, 1.0, 1.0]))


def _seen_from_front(parts: Sequence[Capsule], joints: Joints, view: Array) -> tuple[Array, Array]:
    """Flatness and breadth of each capsule as seen by the camera, (frames, capsules): 1 for round capsules."""
    frames = len(next(iter(joints.values())))
    flatness, broad = np.ones((frames, len(parts))), np.ones((frames, len(parts)))
    for column, part in enumerate(parts):
        if part.frame:
            sideways = (view @ joints[part.frame][:, :, :1])[:, 2, 0] ** 2  # 0: seen from the front, 1: from the side
            broad[:, column] = np.sqrt(1 - sideways + sideways * part.flatness**2)
            flatness[:, column] = np.sqrt(sideways + (1 - sideways) * part.flatness**2) / broad[:, column]
    return flatness, broad


def _zoomed(camera: PinholeCamera, capsules: Array, size: Size, style: ActorStyle) -> PinholeCamera:
    """The same camera, with the picture cut and scaled so that all movement fills the style's share of the picture."""
    x, y, radius = (capsules[..., [channel, channel + 4]] for channel in range(3))
    left, right, top, bottom = (x - radius).min(), (x + radius).max(), (y - radius).min(), (y + radius).max()
    zoom = 0.96 * style.fill * min(size[0] / (bottom - top), size[1] / (right - left))
    x = zoom * (camera.centre[0] - 0.5 * (left + right)) + (0.5 + style.lateral) * size[1]
    y = zoom * (camera.centre[1] - 0.5 * (top + bottom)) + (0.5 + style.vertical) * size[0]
    return replace(camera, focal=camera.focal * zoom, centre=(x, y))
