"""What an evaluation on whole recordings found: all that its table, its JSON document and its page are made from."""

from __future__ import annotations

from dataclasses import dataclass

from fluxformer_core.bundle import Bundle
from fluxformer_core.evaluation.metrics.clips import ClipReport
from fluxformer_core.evaluation.metrics.seeds import Spread, recipe, spread
from fluxformer_core.evaluation.report.strips import Mistake
from fluxformer_core.evaluation.speed.latency import Latency
from fluxformer_core.evaluation.speed.machine import Machine

FIGURES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_recall": "mean recall",
    "macro_f1": "macro F1",
    "calibration_error": "calibration error",
}
"""Figures of a ClipReport that sum it up, with their names for people; all are shares."""


@dataclass(frozen=True)
class Data:
    """The recordings that the models were measured on."""

    sources: tuple[str, ...]  # names, not places
    splits: tuple[str, ...]  # empty: all
    subjects: tuple[str, ...]  # empty: all
    clips: int
    skipped: tuple[str, ...]  # one line for each file that could not be read
    restricted: bool  # whether only labels of these recordings could be answers


@dataclass(frozen=True)
class ModelResult:
    """One model on the data."""

    file: str  # name, not place
    bundle: Bundle
    report: ClipReport
    latency: Latency
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True)
class Recipe:
    """Models that differ by their seed only, and what they reach together."""

    models: tuple[ModelResult, ...]
    figures: dict[str, Spread]  # by the names of FIGURES; empty if there is one model only


@dataclass(frozen=True)
class Evaluation:
    """Models side by side on the same data."""

    data: Data
    machine: Machine
    models: tuple[ModelResult, ...]

    def recipes(self) -> list[Recipe]:
        """The models by recipe, in the order of each recipe's first."""
        groups: dict[str, list[ModelResult]] = {}
        for model in self.models:
            groups.setdefault(recipe(model.bundle.metadata), []).append(model)
        return [
            Recipe(
                tuple(group),
                {name: spread([getattr(m.report, name) for m in group]) for name in FIGURES} if len(group) > 1 else {},
            )
            for group in groups.values()
        ]
