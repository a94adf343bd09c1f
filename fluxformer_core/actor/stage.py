"""The two uses of the actor: a script on a stage, or one clip like those of a data set."""

from __future__ import annotations

from collections.abc import Sequence

from fluxformer_core.actor.appearance import ActorStyle
from fluxformer_core.actor.film import Film, Frame, Mode
from fluxformer_core.actor.script import Performance, cast_clip, cast_script

_ROAMING = ("walk", "jog")  # actions that cover ground: in pictures cut to the whole way, the person would be tiny


class Stage(Film):
    """The images of a script of performances."""

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
        """Compute the movement of the script; images are drawn later.

        Args:
            script: performances in the order of time; the actor stands between them.
            seed: of the random variation of the performances.
            rate: frames per second.
            size: (height, width) of the images.
            mode: kind of camera.
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
    size: tuple[int, int] = (128, 128),
    mode: Mode = "depth",
    style: ActorStyle | None = None,
) -> Film:
    """One clip like a recording, with its ground truth: the actor stands, performs once, stands again.

    Args:
        label: one of ACTIONS, `stand` for a clip without an action, or `other` for a movement that is no action.
        seed: of the random variation: length, repetitions, the hands' paths.
        rate: frames per second.
        size: (height, width) of the images.
        mode: `depth`: uint16 millimetres (H, W), 0 = no reading; `colour`: uint8 RGB (H, W, 3).
        style: of person, place and camera; None: random, by `ActorStyle.sample_recording`.

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
    size: tuple[int, int] = (128, 128),
    mode: Mode = "depth",
    style: ActorStyle | None = None,
) -> list[Frame]:
    """The images of `rehearse`, which describes the arguments.

    Raises:
        ConfigError: if no action has this label, or an argument is out of range.
    """
    return [image for _, image in rehearse(label, seed, rate=rate, size=size, mode=mode, style=style)]
