"""The two ways to book the actor: for a script on a stage, or for one clip like those of a data set."""

from __future__ import annotations

from collections.abc import Sequence

from fluxformer_core.actor.appearance import ActorStyle
from fluxformer_core.actor.film import Film, Frame, Mode
from fluxformer_core.actor.script import Performance, cast_clip, cast_script

_ROAMING = ("walk", "jog")  # cut to all of their way, most of these people would be tiny


class Stage(Film):
    """A camera before which a script is performed."""

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
            ConfigError: if the script is not in order, has an unknown label, asks a seated actor for anything but
                standing up, or another argument is out of range.
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
    """One clip like a recording, with its truth: the actor stands, performs once, stands again.

    Args:
        label: one of ACTIONS, `stand` for a clip without any movement, or `other` for one of something else.
        seed: of everything that the style leaves open: length, repetitions, the hands' paths.
        rate: frames per second.
        size: (height, width) of the images.
        mode: `depth`: uint16 millimetres (H, W), 0 = no reading; `colour`: uint8 RGB (H, W, 3).
        style: who performs where; drawn by the seed as ActorStyle.sample_recording does if None.

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
