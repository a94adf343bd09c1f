"""Evaluations as JSON documents for programs and for the gate; undefined figures are null."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from fluxformer_core.evaluation.bags.evaluation import BagEvaluation
from fluxformer_core.evaluation.bags.figures import BagFigures, JudgedStream, JudgedTrack, LabelFigures
from fluxformer_core.evaluation.bags.stream_result import StreamResult, percentiles
from fluxformer_core.evaluation.clips import FIGURES, ClipEvaluation, ModelResult
from fluxformer_core.types import SECOND

KIND = "bags"
"""Value of `kind` in documents of bags; documents of clips have no such key."""

FORMAT = 1
"""Raised when a key changes its meaning or goes away; new keys may come without."""

MEASURED_HERE = ("speed", "machine", "latency_ms")
"""Keys whose values depend on the machine; the values of all other keys are reproducible."""


def clip_document(evaluation: ClipEvaluation) -> dict[str, Any]:
    """Everything but the pictures."""
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
    counts = report.confusion.sum(axis=1)
    labels = zip(report.labels, counts, report.recall, report.precision, report.f1, strict=True)
    return {
        "file": result.file,
        "model": bundle.name,
        "digest": bundle.digest,
        "temperature": bundle.metadata.temperature,
        "clips": report.clips,
        **{name: getattr(report, name) for name in FIGURES},
        "top1_interval": report.top1_interval,
        "labels": [
            {"label": label, "clips": int(clips), "recall": _plain(r), "precision": _plain(p), "f1": _plain(f)}
            for label, clips, r, p, f in labels
        ],
        "confusion": report.confusion.tolist(),
        "reliability": [
            {"clips": b.clips, "confidence": _plain(b.confidence), "accuracy": _plain(b.accuracy)} for b in report.bins
        ],
        "latency_ms": {
            stage: {f"p{q}": round(result.latency.percentile(stage, q), 3) for q in (50, 90, 99)}
            for stage in result.latency.milliseconds
        },
    }


def bag_document(evaluation: BagEvaluation) -> dict[str, Any]:
    """Every figure, and the truth and the events of every stream."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "model": evaluation.model,
        "settings": evaluation.settings,
        "labels": list(evaluation.labels),
        "truth": list(evaluation.truth),
        "figures": bag_figures(evaluation.figures) if evaluation.figures else None,
        "by_label": [_label(entry) for entry in evaluation.by_label],
        "streams": [_stream(stream) for stream in evaluation.streams],
        "faults": [asdict(fault) for fault in evaluation.faults],
        "speed": speed(evaluation),
        "machine": asdict(evaluation.machine),
    }


def bag_figures(found: BagFigures) -> dict[str, Any]:
    """Figures by key; shares are 0..1, times seconds."""
    report, events = found.report, found.report.events
    values = {
        "actions": events.performed,
        "detection_rate": events.detection_rate,
        "false_per_minute": events.false_per_minute,
        "false_events": {"repeated": events.repeated, "confused": events.confused, "invented": events.invented},
        "withdrawn_per_minute": events.withdrawn_per_minute,
        "onset_delay_p50": events.delay(50),
        "onset_delay_p90": events.delay(90),
        "mean_jaccard": events.mean_jaccard,
        "map": report.mean_ap,
        "mcap": report.mean_calibrated_ap,
        "cap_by_stage": list(report.ap_by_stage),
        "edit": report.edit,
        **{f"f1_{round(100 * least)}": value for least, value in report.f1.items()},
        "clip_top1": found.accuracy.top1,
        "clip_top5": found.accuracy.top5,
        "unknown_actions": found.unknown_actions,
        "unknown_auroc": found.unknown_auroc,
        "minutes": events.seconds / 60,
    }
    return {name: _plain(value) for name, value in values.items()}


def speed(evaluation: BagEvaluation) -> dict[str, Any]:
    """How fast bags of images were watched, and the memory of the largest process."""
    watched = [stream.result for stream in evaluation.streams if not stream.result.stream.recorded]
    seconds = sum(result.seconds for result in watched)
    return {
        "seconds": round(evaluation.seconds, 2),
        "times_real_time": round(seconds / evaluation.seconds, 2) if evaluation.seconds and seconds else None,
        "processes": evaluation.workers,
        "peak_memory_mib": round(max((result.peak_memory for result in watched), default=0.0)),
    }


def _label(entry: LabelFigures) -> dict[str, Any]:
    values = {**asdict(entry), "detection_rate": entry.detection_rate}
    values["onset_delay_p50"] = values.pop("delay")
    return {name: _plain(value) for name, value in values.items()}


def _stream(stream: JudgedStream) -> dict[str, Any]:
    result = stream.result
    return {
        "bag": result.stream.bag,
        "topic": result.stream.topic,
        "results_of": result.stream.of or None,
        "images": result.frames,
        "recognitions": sum(len(track.stamps) for track in result.tracks),
        "passes": len(result.tracks),
        "drops": result.drops,
        "resets": result.resets,
        "figures": bag_figures(stream.figures) if stream.figures else None,
        "timeline": [_track(one, result) for one in stream.judged],
        "latency_ms": {
            name: {q: _plain(round(value, 2)) for q, value in percentiles(values)}
            for name, values in result.latency.items()
        },
    }


def _track(one: JudgedTrack, result: StreamResult) -> dict[str, Any]:
    """Truth and events in seconds from the first image."""

    def at(stamp: int) -> float:
        return round((stamp - result.origin) / SECOND, 3)

    return {
        "from": at(int(one.track.stamps[0])),
        "to": at(int(one.track.stamps[-1])),
        "truth": [
            {"label": a.label, "start": at(a.start), "end": at(a.end)} for a in sorted((*one.known, *one.unknown))
        ],
        "events": [
            {
                "label": event.label,
                "start": at(event.start),
                "end": at(event.end),
                "published": at(event.published),
                "score": round(event.score, 4),
                "withdrawn": list(event.withdrawn),
            }
            for event in sorted(one.track.events)
        ],
    }


def _plain(value: Any) -> Any:
    """The value as JSON knows it; NaN becomes None."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else float(value)
    return value
