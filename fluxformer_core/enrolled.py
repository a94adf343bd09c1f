"""Actions that were taught by examples: what is kept of them, in a bundle or beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_EXAMPLES = 10
"""Examples of one action; whoever has more has enough to train."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 64
_UNIT = 1e-2  # how far from 1 the length of a prototype may be: it is stored as float16


@dataclass(frozen=True, eq=False)
class EnrolledAction:
    """One action that was taught; what its numbers mean is said in stream/enrollment.py."""

    label: str
    prototype: NDArray[np.float32]  # (D,) of length 1: the direction of the examples, seen from the known actions
    threshold: float  # likeness from which a clip shows the action, -1..1
    examples: int  # it was taught from
    agreement: float  # mean likeness of the examples with each other, -1..1; 1 for a single one

    def problems(self, width: int) -> list[str]:
        """What is wrong with the values, in words.

        Args:
            width: D, of the model's embedding.
        """
        wrong = [f"{self.label!r} is no name of an action"] if name_problem(self.label) else []
        if self.prototype.shape != (width,):
            wrong.append(f"{self.label} has a prototype of shape {self.prototype.shape}, the model's embedding {width}")
        elif not abs(float(np.linalg.norm(self.prototype)) - 1) < _UNIT:
            wrong.append(f"{self.label} has a prototype that is not of length 1")
        for name in ("threshold", "agreement"):
            if not -1 <= getattr(self, name) <= 1:
                wrong.append(f"{self.label} has a {name} outside -1..1")
        if not 1 <= self.examples <= MOST_EXAMPLES:
            wrong.append(f"{self.label} has {self.examples} examples, not 1..{MOST_EXAMPLES}")
        return wrong


def name_problem(label: str) -> str:
    """Why this cannot be an action's name, in words; empty if it can."""
    if len(label) > _LONGEST_NAME or not _NAME.fullmatch(label):
        return f"{label!r} is no name: use lower-case letters, digits and underscores, such as thumbs_up"
    return ""


def set_problems(actions: Sequence[EnrolledAction], labels: Sequence[str], width: int) -> list[str]:
    """What is wrong with enrolled actions beside a model's own labels, in words.

    Args:
        actions: all that are enrolled.
        labels: what the model learnt in training.
        width: D, of its embedding.
    """
    names = [action.label for action in actions]
    wrong = [problem for action in actions for problem in action.problems(width)]
    if len(set(names)) != len(names):
        wrong.append(f"enrolled names must be distinct: {', '.join(names)}")
    if taken := sorted(set(names) & set(labels)):
        wrong.append(f"enrolled names are the model's own: {', '.join(taken)}")
    return wrong
