"""Actions that were taught by examples, and the statistics of the model's own actions that teaching needs.

Both are kept in bundles, taught actions also in a user's file; stream/taught.py says what the numbers mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_EXAMPLES = 10
"""Examples of one action, at most; more examples are enough for a training."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 64
_MOST_EVIDENCE = 100.0  # larger than any possible evidence
_UNIT = 1e-2  # how far the length of a prototype may be from 1, because prototypes are stored as float16


@dataclass(frozen=True, eq=False)
class Statistics:
    """Where a model's own actions lie in its embedding."""

    means: NDArray[np.float32]  # (labels, D) of each label's clips; `other` may have any
    spread: NDArray[np.float32]  # (D, D) covariance about these means, in any unit

    def problems(self, labels: int, width: int) -> list[str]:
        """Describe what is wrong with the values for a model with so many labels and an embedding of this width D."""
        wrong = []
        for name, shape in (("means", (labels, width)), ("spread", (width, width))):
            values = getattr(self, name)
            if values.shape != shape or not np.isfinite(values).all():
                wrong.append(f"the {name} of known actions must be {shape} finite numbers, they are {values.shape}")
        if not wrong and not np.trace(self.spread) > 0:
            wrong.append("the spread of known actions must be positive")
        return wrong


@dataclass(frozen=True, eq=False)
class EnrolledAction:
    """One action that was taught."""

    label: str
    prototype: NDArray[np.float32]  # (D,) of length 1: the direction of the examples, seen from the known actions
    threshold: float  # evidence from which a clip shows the action
    examples: int  # it was taught from
    consistency: float  # mean cosine similarity of each example to the others, -1..1; 1 for a single example

    def problems(self, width: int) -> list[str]:
        """Describe what is wrong with the values for a model with an embedding of this width D."""
        wrong = [f"{self.label!r} is no name of an action"] if name_problem(self.label) else []
        if self.prototype.shape != (width,):
            wrong.append(f"{self.label} has a prototype of shape {self.prototype.shape}, the model's embedding {width}")
        elif not abs(float(np.linalg.norm(self.prototype)) - 1) < _UNIT:
            wrong.append(f"{self.label} has a prototype that is not of length 1")
        if not abs(self.threshold) <= _MOST_EVIDENCE:
            wrong.append(f"{self.label} has a threshold outside -{_MOST_EVIDENCE:g}..{_MOST_EVIDENCE:g}")
        if not -1 <= self.consistency <= 1:
            wrong.append(f"{self.label} has a consistency outside -1..1")
        if not 1 <= self.examples <= MOST_EXAMPLES:
            wrong.append(f"{self.label} has {self.examples} examples, not 1..{MOST_EXAMPLES}")
        return wrong


def name_problem(label: str) -> str:
    """Why this label cannot name an action; empty if it can."""
    if len(label) > _LONGEST_NAME or not _NAME.fullmatch(label):
        return f"{label!r} is no name: use lower-case letters, digits and underscores, such as thumbs_up"
    return ""


def set_problems(actions: Sequence[EnrolledAction], labels: Sequence[str], width: int) -> list[str]:
    """Describe what is wrong with the enrolled actions of a model with these labels and embeddings of this width D."""
    names = [action.label for action in actions]
    wrong = [problem for action in actions for problem in action.problems(width)]
    if len(set(names)) != len(names):
        wrong.append(f"enrolled names must be distinct: {', '.join(names)}")
    if taken := sorted(set(names) & set(labels)):
        wrong.append(f"enrolled names are the model's own: {', '.join(taken)}")
    return wrong
