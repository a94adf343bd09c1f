"""A rendered person who performs actions: for the demonstration, for tests, and as a source of training clips."""

from fluxformer_core.actor.appearance import ActorStyle
from fluxformer_core.actor.body import LIMB_ENDS
from fluxformer_core.actor.film import Film, Stage, perform, rehearse
from fluxformer_core.actor.motions import ACTIONS, FLIPPED
from fluxformer_core.actor.script import DEMO_SCRIPT, Performance

__all__ = [
    "ACTIONS", "DEMO_SCRIPT", "FLIPPED", "LIMB_ENDS",
    "ActorStyle", "Film", "Performance", "Stage", "perform", "rehearse",
]  # fmt: skip
