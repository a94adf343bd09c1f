"""New actions from a few examples, without training: each is a direction in the space of the model's embedding.

The space is seen from the middle of the known actions and scaled so that their clips spread alike in all directions.
How alike two directions are is the cosine between them, their *likeness*. A taught action is the mean direction of its
examples. The *evidence* that a clip shows it compares it with all known actions, as if each were a cloud of directions
of one and the same width (a von Mises-Fisher distribution). It must exceed a threshold that lies between the evidence
of the taught action itself and that of the known action which resembles it most.

Taught actions join the known ones as further logits, so that one softmax covers all: a clip on the border is as likely
to be the taught action as to be any of the known ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.enrolled import MOST_EXAMPLES, EnrolledAction, name_problem
from fluxformer_core.enrollment.examples import Example
from fluxformer_core.stream.taught import KnownActions, unit
from fluxformer_core.types import OTHER

BORDER = 0.56
"""Where the threshold lies: 0 is the evidence of the taught action itself, 1 that of the nearest known action."""

LEAST_AGREEMENT, LEAST_OF_EACH = 0.35, 0.2
"""Likeness of examples to the mean of the others, on average and of each, below which they show several actions."""

SAME = 0.93
"""Likeness to another action from which a new one cannot be told from it."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What came of teaching: an action, or why not."""

    action: EnrolledAction | None
    refusal: str  # in words, with what to do about it; empty if there is an action
    similar: tuple[tuple[str, float], ...]  # the nearest known and taught actions with their likeness, highest first
    agreement: float  # mean likeness of each example to the others; 1 for a single one


def refuse_name(label: str, labels: Sequence[str], enrolled: Sequence[EnrolledAction]) -> str:
    """Why a new action cannot have this name, in words; empty if it can.

    Args:
        label: the name.
        labels: what the model learnt in training.
        enrolled: what it was taught since.
    """
    if problem := name_problem(label):
        return problem
    if label == OTHER:
        return f"{OTHER!r} is reserved for what is no action; choose another name"
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
) -> Lesson:
    """Make a new action of its examples.

    Args:
        label: its name; `refuse_name` says whether it may have it.
        examples: 1 to 10.
        known: the model's own actions.
        enrolled: those that were taught before.
        even_if_similar: whether to accept an action that looks like another one.
    """
    if not 1 <= len(examples) <= MOST_EXAMPLES:
        return Lesson(None, f"{len(examples)} examples were given; 1 to {MOST_EXAMPLES} are needed", (), 0.0)
    directions = unit(np.stack([known.place(example.embeddings).mean(0) for example in examples]))  # (n, D)
    prototype = unit(directions.mean(0))
    others = np.concatenate([known.directions, *(action.prototype[None] for action in enrolled)])
    names = (*known.labels, *(action.label for action in enrolled))
    likeness = others @ prototype
    order = np.argsort(-likeness, kind="stable")[:3]
    similar = tuple((names[i], float(likeness[i])) for i in order)
    to_rest = _likeness_to_the_others(directions)
    agreement = float(to_rest.mean()) if len(to_rest) else 1.0
    refusal = _disagreement(to_rest)
    if not refusal and not even_if_similar:
        refusal = _resemblance(*similar[0])
    if refusal:
        return Lesson(None, refusal, similar, agreement)
    itself = float(known.evidence(prototype, prototype[None])[0])
    nearest = float(known.evidence(known.directions, prototype[None]).max())
    threshold = BORDER * nearest + (1 - BORDER) * itself
    action = EnrolledAction(label, prototype, threshold, len(examples), min(agreement, 1.0))
    return Lesson(action, "", similar, agreement)


def _likeness_to_the_others(directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """How alike each of n examples is to the mean of the others, (n,); (0,) where there are no others."""
    if len(directions) < 2:
        return np.empty(0, np.float32)
    return np.asarray((directions * unit(directions.sum(0) - directions)).sum(1))


def _disagreement(to_rest: NDArray[np.float32]) -> str:
    if not len(to_rest) or (to_rest.mean() >= LEAST_AGREEMENT and to_rest.min() >= LEAST_OF_EACH):
        return ""
    worst = int(to_rest.argmin())
    return (
        f"the {len(to_rest)} examples do not show the same action (likeness {to_rest.mean():.2f}), number {worst + 1} "
        f"least of all ({to_rest[worst]:.2f}); show them again"
    )


def _resemblance(name: str, likeness: float) -> str:
    if likeness < SAME:
        return ""
    return (
        f"the examples look like {name} (likeness {likeness:.2f}), so the two would be taken for each other; "
        f"choose a movement that differs more"
    )
