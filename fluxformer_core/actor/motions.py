"""The motions of all actions, by label."""

from __future__ import annotations

from collections.abc import Callable

from fluxformer_core.actor import footwork, gestures, pastimes, sports
from fluxformer_core.actor.pose import Motion, Variation
from fluxformer_core.errors import ConfigError
from fluxformer_core.types import OTHER

_MOTIONS: dict[str, Callable[[Variation], Motion]] = {
    action.__name__: action
    for action in (
        gestures.swipe_left, gestures.swipe_right, gestures.wave, gestures.clap, sports.throw, gestures.arm_cross,
        sports.basketball_shoot, gestures.draw_x, gestures.draw_circle_cw, gestures.draw_circle_ccw,
        gestures.draw_triangle, sports.bowling, sports.boxing, sports.baseball_swing, sports.tennis_swing,
        gestures.arm_curl, sports.tennis_serve, gestures.push, gestures.knock, gestures.catch, sports.pickup_and_throw,
        footwork.jog, footwork.walk, footwork.sit_to_stand, footwork.stand_to_sit, footwork.lunge, footwork.squat,
        footwork.jump, footwork.turn,
    )
}  # fmt: skip
ACTIONS: tuple[str, ...] = tuple(_MOTIONS)
"""Every action that the actor can perform. `stand` is standing idle; `other` is any movement that is no action."""
_PAIRS = {"swipe_left": "swipe_right", "draw_circle_cw": "draw_circle_ccw"}
FLIPPED = _PAIRS | {right: left for left, right in _PAIRS.items()}
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
