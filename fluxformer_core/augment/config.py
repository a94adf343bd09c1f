"""How far training clips may differ from the recordings that they are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fluxformer_core.declared import check
from fluxformer_core.types import ViewName

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Range = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
"""Lowest and highest value of a uniform draw."""


@dataclass(frozen=True)
class AugmentConfig:
    """Probabilities, ranges and limits of every change that is made to a clip.

    Raises:
        ConfigError: if a field is outside its range.
    """

    partial: Share = 0.5  # of clips that end before the action does
    least: Share = 0.45  # of the action that a partial clip shows
    midway: Share = 0.4  # of the clips of a repeated action that begin and end in its midst
    dropped: Share = 0.4  # of the frames, at most, are dropped before selection, as by a slow camera
    scale: Range = (0.72, 1.18)
    aspect: Amount = 0.1  # relative
    shift: Amount = 0.12  # of the image side
    rotation: Amount = 8.0  # degrees
    rotated_view: Share = 0.5  # of the depth clips without a background that are seen from another side
    view_angle: Amount = 20.0  # degrees to the left or right, at most; half of it from above or below
    depth_relief: Range = (0.2, 0.5)  # frame heights that the range of a recording's depth stands for
    tempo: Range = (0.7, 1.4)  # factor on the flow: the same action, slower or faster
    flip: Share = 0.5  # of clips that are mirrored; labels with a direction change to their mirror label
    crossing: Share = 0.4  # of the clips of a gait on the spot in which the person is moved through the picture
    colourised: Share = 0.5  # of depth clips that are shown as a colour camera would; the others stay depth
    with_background: Share = 0.15  # of depth clips that stay depth but get a background behind the person
    contrast: Share = 0.5  # of depth clips that stay depth but show another range of depth as black to white
    recolour: Share = 0.6  # of clips with another exposure, contrast and white balance
    grey: Share = 0.3  # of colour clips from a camera without colours
    flicker: Share = 0.15  # of clips during which the light changes
    soft: Share = 0.25  # of colour clips out of focus
    noise: Amount = 0.04  # of full brightness, at most
    flow_noise: Amount = 0.03  # frame heights per second, at most: error of the flow of colourised clips
    moving_camera: Share = 0.3  # of colour clips from a camera that moves
    pan: Amount = 0.2  # frame heights per second, at most
    shake: Amount = 0.02  # frame heights, at most
    lost: Share = 0.15  # of clips of people cut out, of whom a piece is missing for some frames
    kept: Share = 0.15  # of clips of people cut out, beside whom a piece of the background is left for some frames
    late: Share = 0.15  # of clips of people cut out, whose outline lags behind
    backgrounds: tuple[str, ...] = ()  # folders of pictures and videos that join the painted backgrounds
    other: Share = 0.1  # of clips that show no known action, if `other` is among the labels
    view: ViewName = "scene"  # person: people are cut out on black, whatever `with_background` and `moving_camera` say

    def __post_init__(self) -> None:
        ranges = {name: getattr(self, name) for name in ("scale", "depth_relief", "tempo")}
        check(self, [f"{name} must be (low, high), not {r}" for name, r in ranges.items() if not r[0] <= r[1]])
