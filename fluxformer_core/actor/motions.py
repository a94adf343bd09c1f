"""The motions of all actions, by label."""

from __future__ import annotations

from collections.abc import Callable

from fluxformer_core.actor import footwork, gestures, pastimes, sports
from fluxformer_core.actor.pose import Motion, Variation
from fluxformer_core.errors import ConfigError
from fluxformer_core.types import OTHER

_MOTIONS: dict[str, Callable[[Variation], Motion]] = {
    "swipe_left": gestures.swipe_left,
    "swipe_right": gestures.swipe_right,
    "wave": gestures.wave,
    "clap": gestures.clap,
    "throw": sports.throw,
    "arm_cross": gestures.arm_cross,
    "basketball_shoot": sports.basketball_shoot,
    "draw_x": gestures.draw_x,
    "draw_circle_cw": gestures.draw_circle_cw,
    "draw_circle_ccw": gestures.draw_circle_ccw,
    "draw_triangle": gestures.draw_triangle,
    "bowling": sports.bowling,
    "boxing": sports.boxing,
    "baseball_swing": sports.baseball_swing,
    "tennis_swing": sports.tennis_swing,
    "arm_curl": gestures.arm_curl,
    "tennis_serve": sports.tennis_serve,
    "push": gestures.push,
    "knock": gestures.knock,
    "catch": gestures.catch,
    "pickup_and_throw": sports.pickup_and_throw,
    "jog": footwork.jog,
    "walk": footwork.walk,
    "sit_to_stand": footwork.sit_to_stand,
    "stand_to_sit": footwork.stand_to_sit,
    "lunge": footwork.lunge,
    "squat": footwork.squat,
    "jump": footwork.jump,
    "turn": footwork.turn,
}
ACTIONS: tuple[str, ...] = tuple(_MOTIONS)
"""Every action that the actor can perform. `stand` is standing idle; `other` is any movement that is no action."""
FLIPPED = {
    "swipe_left": "swipe_right",
    "swipe_right": "swipe_left",
    "draw_circle_cw": "draw_circle_ccw",
    "draw_circle_ccw": "draw_circle_cw",
}
"""The label of an action when the picture is flipped; all other labels stay the same."""


def motion(label: str, variation: Variation) -> Motion:
    """The motion of one performance of an action.

    Raises:
        ConfigError: if no action has this label.
    """
    if label == OTHER:
        return pastimes.pastime(variation)
    if label not in _MOTIONS:
        raise ConfigError(f"the actor cannot perform {label!r}; it knows stand, {OTHER}, {', '.join(ACTIONS)}")
    return _MOTIONS[label](variation)
