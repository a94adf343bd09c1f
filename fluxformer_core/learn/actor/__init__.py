"""An articulated person, drawn: the demonstration's camera, a fixture of tests, a source of training clips."""

from fluxformer_core.learn.actor.appearance import ActorStyle
from fluxformer_core.learn.actor.motions import ACTIONS, FLIPPED
from fluxformer_core.learn.actor.script import DEMO_SCRIPT, Performance, Stage, perform, rehearse

__all__ = ["ACTIONS", "DEMO_SCRIPT", "FLIPPED", "ActorStyle", "Performance", "Stage", "perform", "rehearse"]
