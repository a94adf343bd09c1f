"""An evaluation as text, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fluxformer_core.evaluation.report.result import FIGURES, Evaluation, ModelResult, Recipe

MISTAKES = 8
"""Confusions that are listed."""


def table(evaluation: Evaluation) -> str:
    """Of one model its labels and its figures; of several models the figures side by side."""
    models = evaluation.models
    lines = list(_labels(models[0]) if len(models) == 1 else _side_by_side(evaluation))
    lines += [f"skipped: {line}" for line in evaluation.data.skipped]
    if len(models) == 1:
        lines.append(_summary(models[0]))
    return "\n".join(lines)


def _labels(result: ModelResult) -> Iterator[str]:
    report = result.report
    width = max(map(len, report.labels))
    yield f"{'label':<{width}}  clips   right  precision      F1"
    counts = report.confusion.sum(axis=1)
    rows = zip(report.labels, counts, report.recall, report.precision, report.f1, strict=True)
    for label, count, recall, precision, f1 in rows:
        if count:
            named = "        -" if math.isnan(precision) else f"{precision:9.1%}"
            yield f"{label:<{width}}  {count:5d}  {recall:6.1%}  {named}  {f1:6.1%}"
    for truth, predicted, count in report.mistakes(MISTAKES):
        yield f"{count:3d} x {truth} taken for {predicted}"


def _summary(result: ModelResult) -> str:
    report, (low, high) = result.report, result.report.top1_interval
    return (
        f"{report.clips} clips: top-1 {report.top1:.1%} (95 % interval {low:.1%} to {high:.1%}), "
        f"top-5 {report.top5:.1%}, mean recall {report.mean_recall:.1%}, macro F1 {report.macro_f1:.1%}, "
        f"calibration error {report.calibration_error:.1%}; "
        f"one clip in {result.latency.percentile('forward', 50):.1f} ms (p50)"
    )


def _side_by_side(evaluation: Evaluation) -> Iterator[str]:
    recipes = evaluation.recipes()
    width = max(len(_mean(recipe)) for recipe in recipes)
    width = max(width, *(len(model.file) for model in evaluation.models))
    yield f"{'model':<{width}}  {'digest':<12}" + "".join(f"  {name:>17}" for name in FIGURES.values())
    for recipe in recipes:
        for model in recipe.models:
            figures = "".join(f"  {getattr(model.report, name):17.1%}" for name in FIGURES)
            yield f"{model.file:<{width}}  {model.bundle.digest}{figures}"
        if recipe.figures:
            figures = "".join(f"  {100 * s.mean:8.1f} ± {s.sd:6.1%}" for s in recipe.figures.values())
            yield f"{_mean(recipe):<{width}}  {'':<12}{figures}"
    yield f"{evaluation.data.clips} clips"


def _mean(recipe: Recipe) -> str:
    return f"mean ± sd of these {len(recipe.models)}"
