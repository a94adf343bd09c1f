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

from fluxformer_core.bundle import Bundle
from fluxformer_core.clip import OTHER
from fluxformer_core.enrolled import MOST_EXAMPLES, EnrolledAction, name_problem
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.examples import Example

CONCENTRATION = 10.0
"""Of the clouds of directions: the larger, the narrower."""

SHRINKAGE = 0.4
"""How far the known actions' spread is taken for the same in all directions: it is measured on few clips."""

BORDER = 0.56
"""Where the threshold lies: 0 is the evidence of the taught action itself, 1 that of the nearest known action."""

STEEPNESS = 2.0
"""Logits for a unit of evidence beyond the threshold."""

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


class KnownActions:
    """Where a model's own actions lie.

    Args:
        bundle: has statistics of them.

    Raises:
        ConfigError: if it has not.
    """

    def __init__(self, bundle: Bundle) -> None:
        if bundle.statistics is None:
            raise ConfigError(
                "this model does not say where its own actions lie, so none can be taught; "
                "`fluxformer enroll MODEL --known DATA --out NEW` adds that from labelled recordings"
            )
        # "Anything else" lies in no direction of its own.
        own = [i for i, label in enumerate(bundle.labels) if label != OTHER]
        means = bundle.statistics.means[own]
        self.labels = tuple(bundle.labels[i] for i in own)
        self._middle: NDArray[np.float32] = means.mean(0)
        self._scaling = _scaling(bundle.statistics.spread)
        self.directions = self.place(means)  # (known, D)

    def place(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Directions (..., D), of length 1, in which embeddings (..., D) lie."""
        return unit(np.asarray((embeddings - self._middle) @ self._scaling, np.float32))

    def evidence(self, directions: NDArray[np.float32], prototypes: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much directions (..., D) speak for actions (n, D) and against all known ones, (..., n)."""
        known = np.logaddexp.reduce(CONCENTRATION * directions @ self.directions.T, axis=-1, keepdims=True)
        return np.asarray(CONCENTRATION * directions @ prototypes.T - known, np.float32)


def _scaling(spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matrix (D, D) that makes a spread alike in all directions, as far as it can be believed."""
    width = len(spread)
    believed = (1 - SHRINKAGE) * spread.astype(np.float64) + SHRINKAGE * np.trace(spread) / width * np.eye(width)
    values, vectors = np.linalg.eigh(believed)
    floor = SHRINKAGE * np.trace(spread) / width  # rounding in the file may have made the smallest negative
    return np.asarray((vectors / np.sqrt(np.maximum(values, floor))) @ vectors.T, np.float32)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (..., D) scaled to length 1; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


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


class TaughtActions:
    """The enrolled actions as further logits of a model.

    Args:
        actions: in the order of their logits.
        known: the model's own actions.
    """

    def __init__(self, actions: Sequence[EnrolledAction], known: KnownActions) -> None:
        self.actions, self._known = tuple(actions), known
        self._prototypes = np.stack([action.prototype for action in actions])
        self._thresholds = np.array([action.threshold for action in actions], np.float32)

    def extend(self, logits: NDArray[np.float32], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits of all actions.

        Args:
            logits: (..., known labels), divided by the model's temperature.
            embeddings: (..., D).

        Returns:
            (..., known labels + enrolled actions).
        """
        beyond = self._known.evidence(self._known.place(embeddings), self._prototypes) - self._thresholds
        # Seen from all known logits together, so that on the border both sides are as likely.
        together = np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        return np.concatenate([logits, together + STEEPNESS * beyond], axis=-1, dtype=np.float32)
