"""An evaluation as JSON: for programs, with keys that stay."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from fluxformer_core.evaluation.report.result import FIGURES, Evaluation, ModelResult

FORMAT = 1
"""Raised when a key changes its meaning or goes away; new keys may come without."""


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but the pictures; what is not defined (the recall of a label without clips) is null."""
    return {
        "format": FORMAT,
        "data": asdict(evaluation.data),
        "machine": asdict(evaluation.machine),
        "models": [_model(model) for model in evaluation.models],
        "recipes": [
            {
                "models": [model.bundle.digest for model in recipe.models],
                **{name: asdict(value) for name, value in recipe.figures.items()},
            }
            for recipe in evaluation.recipes()
            if recipe.figures
        ],
    }


def _model(result: ModelResult) -> dict[str, Any]:
    report, bundle = result.report, result.bundle
    return {
        "file": result.file,
        "model": bundle.name,
        "digest": bundle.digest,
        "temperature": bundle.metadata.temperature,
        "clips": report.clips,
        **{name: getattr(report, name) for name in FIGURES},
        "top1_interval": report.top1_interval,
        "labels": [
            {"label": label, "clips": int(clips), "recall": _number(r), "precision": _number(p), "f1": _number(f)}
            for label, clips, r, p, f in zip(
                report.labels, report.confusion.sum(axis=1), report.recall, report.precision, report.f1, strict=True
            )
        ],
        "confusion": report.confusion.tolist(),
        "reliability": [
            {"clips": b.clips, "confidence": _number(b.confidence), "accuracy": _number(b.accuracy)}
            for b in report.bins
        ],
        "latency_ms": {
            stage: {f"p{q}": round(result.latency.percentile(stage, q), 3) for q in (50, 90, 99)}
            for stage in result.latency.milliseconds
        },
    }


def _number(value: float | np.floating[Any]) -> float | None:
    return None if math.isnan(value) else float(value)
