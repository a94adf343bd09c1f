"""New actions from a few examples, without training: each action is a direction in the space of the embeddings.

The space is centred between the known actions and scaled so that their clips spread equally in all directions; see
`stream.taught`. Two directions are compared by their cosine similarity. A taught action is the mean direction of its
examples. Its threshold lies between the evidence for the taught action itself and the evidence for the most similar
known action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import MOST_EXAMPLES, EnrolledAction, name_problem
from fluxformer_core.enrollment.examples import Example
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.taught import KnownActions, unit
from fluxformer_core.types import OTHER

BORDER = 0.56
"""Place of the threshold: 0 is the evidence for the taught action itself, 1 that for the most similar known action."""

MIN_CONSISTENCY, MIN_CONSISTENCY_OF_EACH = 0.35, 0.2
"""Least cosine similarity of an example to the mean of the others, on average and for each example.

Examples below these limits show several actions.
"""

MAX_SIMILARITY = 0.93
"""Cosine similarity to another action from which a new action cannot be told from the other one."""


@dataclass(frozen=True, eq=False)
class EnrollmentResult:
    """A new action, or the reason why it was refused."""

    label: str
    action: EnrolledAction | None
    refusal: str  # reason and remedy in words; empty if there is an action
    similar: tuple[tuple[str, float], ...]  # the most similar known and taught actions, cosine similarity, descending
    consistency: float  # mean cosine similarity of each example to the mean of the others; 1 for a single example
    examples: int

    def added_to(self, bundle: Bundle) -> Bundle:
        """The model with the new action.

        Raises:
            ConfigError: if the action was refused.
        """
        if self.action is None:
            raise ConfigError(f"{self.label} is refused: {self.refusal}")
        return replace(bundle, enrolled=(*bundle.enrolled, self.action))


def refuse_name(label: str, labels: Sequence[str], enrolled: Sequence[EnrolledAction]) -> str:
    """Why a new action cannot have this name beside learnt labels and enrolled actions, in words; empty if it can."""
    if problem := name_problem(label):
        return problem
    if label == OTHER:
        return f"{OTHER!r} is reserved for movements that are no action; choose another name"
    if label in labels:
        return f"{label} is a name that the model learnt in training; choose another"
    if label in {action.label for action in enrolled}:
        return f"{label} is enrolled already; forget it first, or choose another name"
    return ""


def teach(
    label: str,
    examples: Sequence[Example],
    known: KnownActions,
    enrolled: Sequence[EnrolledAction] = (),
    *,
    even_if_similar: bool = False,
) -> EnrollmentResult:
    """Make a new action, whose name `refuse_name` has accepted, from 1 to 10 examples.

    `even_if_similar` accepts an action that looks like a known one or like one that is enrolled.
    """
    count = len(examples)
    if not 1 <= count <= MOST_EXAMPLES:
        refusal = f"{count} examples were given; 1 to {MOST_EXAMPLES} are needed"
        return EnrollmentResult(label, None, refusal, (), 0.0, count)
    directions = unit(np.stack([known.place(example.embeddings).mean(0) for example in examples]))  # (n, D)
    prototype = unit(directions.mean(0))
    others = np.concatenate([known.directions, *(action.prototype[None] for action in enrolled)])
    names = (*known.labels, *(action.label for action in enrolled))
    similarity = others @ prototype
    order = np.argsort(-similarity, kind="stable")[:3]
    similar = tuple((names[i], float(similarity[i])) for i in order)
    # Cosine similarity of each example to the mean of the others, (n,).
    to_others = (directions * unit(directions.sum(0) - directions)).sum(1) if count > 1 else np.ones(1, np.float32)
    consistency, worst = float(to_others.mean()), int(to_others.argmin())
    consistent = consistency >= MIN_CONSISTENCY and to_others[worst] >= MIN_CONSISTENCY_OF_EACH
    refusal = ""
    if not consistent:
        refusal = (
            f"the {count} examples do not show the same action (consistency {consistency:.2f}), number "
            f"{worst + 1} least of all ({to_others[worst]:.2f}); show them again"
        )
    elif not (even_if_similar or similar[0][1] < MAX_SIMILARITY):
        refusal = (
            f"the examples look like {similar[0][0]} (cosine similarity {similar[0][1]:.2f}), so the model would "
            "confuse the two; choose a movement that differs more"
        )
    if refusal:
        return EnrollmentResult(label, None, refusal, similar, consistency, count)
    itself = float(known.evidence(prototype, prototype[None])[0])
    nearest = float(known.evidence(known.directions, prototype[None]).max())
    threshold = BORDER * nearest + (1 - BORDER) * itself
    action = EnrolledAction(label, prototype, threshold, count, min(consistency, 1.0))
    return EnrollmentResult(label, action, "", similar, consistency, count)
