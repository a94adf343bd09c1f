"""How far training clips stray from the recordings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentConfig:
    """Shares, ranges and limits of everything that is done to a clip."""

    partial: float = 0.5  # share of clips that end before the action does
    least: float = 0.45  # of the action that a partial clip shows
    midway: float = 0.4  # share of clips of what is done again and again that begin and end in the midst of it
    dropped: float = 0.4  # up to this share of frames is dropped before selection, as by a slow camera
    scale: tuple[float, float] = (0.72, 1.18)
    aspect: float = 0.1  # relative
    shift: float = 0.12  # of the image side
    rotation: float = 8.0  # degrees
    turned: float = 0.5  # share of clips, of those in depth before nothing, that are seen from another side
    turn: float = 20.0  # degrees to the left or right, at most, and half of it from above or below
    relief: tuple[float, float] = (0.2, 0.5)  # frame heights that the range of a recording's depth stands for
    tempo: tuple[float, float] = (0.7, 1.4)  # factor on the flow: the same action, slower or faster
    flip: float = 0.5  # share of clips mirrored; direction-sensitive labels change to their partner
    crossing: float = 0.4  # share of clips of a gait in which the person goes through the picture, not on the spot
    dressed: float = 0.5  # share of depth clips shown as a colour camera would see them; the others stay depth
    walled: float = 0.15  # share of depth clips that stay depth but get something behind the person
    contrast: float = 0.5  # share of depth clips that stay depth but show another range of it as black to white
    recolour: float = 0.6  # share of clips with another exposure, contrast and white balance
    grey: float = 0.3  # share of colour clips from a camera without colours
    flicker: float = 0.15  # share of clips during which the light changes
    soft: float = 0.25  # share of colour clips out of focus
    noise: float = 0.04  # of full brightness, at most
    flow_noise: float = 0.03  # frame heights per second, at most: error of the flow of dressed people and their place
    restless: float = 0.3  # share of colour clips from a camera that moves
    pan: float = 0.2  # frame heights per second, at most
    shake: float = 0.02  # frame heights, at most
    backgrounds: tuple[str, ...] = ()  # folders of pictures and videos that join the painted places
    other: float = 0.1  # share of clips that show none of the actions, where the labels have a name for that
