"""An evaluation of bags as JSON: for programs and for the gate, with keys that stay."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from fluxformer_core.evaluation.bags.evaluation import BagEvaluation
from fluxformer_core.evaluation.bags.figures import Figures, Judged, LabelFigures, Scored
from fluxformer_core.evaluation.bags.outcome import Outcome, percentiles
from fluxformer_core.types import SECOND

KIND = "bags"
"""Tells this document from that of whole recordings."""

FORMAT = 1
"""Raised when a key changes its meaning or goes away; new keys may come without."""

MEASURED_HERE = ("speed", "machine", "latency_ms")
"""Keys whose values depend on the machine; all others are the same every time."""


def document(evaluation: BagEvaluation) -> dict[str, Any]:
    """Every figure; what is not defined is null."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "model": evaluation.model,
        "settings": evaluation.settings,
        "labels": list(evaluation.labels),
        "truth": list(evaluation.truth),
        "figures": figures(evaluation.figures) if evaluation.figures else None,
        "by_label": [_label(entry) for entry in evaluation.by_label],
        "streams": [_stream(stream) for stream in evaluation.streams],
        "faults": [asdict(fault) for fault in evaluation.faults],
        "speed": speed(evaluation),
        "machine": asdict(evaluation.machine),
    }


def figures(found: Figures) -> dict[str, Any]:
    """Shares are 0..1, times seconds."""
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
        "clip_top1": found.named.top1,
        "clip_top5": found.named.top5,
        "unknown_actions": found.unknown_actions,
        "unknown_auroc": found.unknown_auroc,
        "minutes": events.seconds / 60,
    }
    return {name: _plain(value) for name, value in values.items()}


def speed(evaluation: BagEvaluation) -> dict[str, Any]:
    """How fast bags of images were watched, and how much memory the largest process took."""
    watched = [stream.outcome for stream in evaluation.streams if not stream.outcome.job.results]
    seconds = sum(outcome.seconds for outcome in watched)
    return {
        "seconds": round(evaluation.seconds, 2),
        "times_real_time": round(seconds / evaluation.seconds, 2) if evaluation.seconds and seconds else None,
        "processes": evaluation.workers,
        "peak_memory_mib": round(max((outcome.peak_memory for outcome in watched), default=0.0)),
    }


def _label(entry: LabelFigures) -> dict[str, Any]:
    values = {**asdict(entry), "detection_rate": entry.detection_rate}
    values["onset_delay_p50"] = values.pop("delay")
    return {name: _plain(value) for name, value in values.items()}


def _stream(stream: Scored) -> dict[str, Any]:
    outcome = stream.outcome
    return {
        "bag": outcome.job.bag,
        "topic": outcome.job.topic,
        "results_of": outcome.job.of or None,
        "images": outcome.frames,
        "recognitions": sum(len(track.stamps) for track in outcome.tracks),
        "passes": len(outcome.tracks),
        "drops": outcome.drops,
        "resets": outcome.resets,
        "figures": figures(stream.figures) if stream.figures else None,
        "timeline": [_track(one, outcome) for one in stream.judged],
        "latency_ms": {
            name: {q: _plain(round(value, 2)) for q, value in percentiles(values)}
            for name, values in outcome.latency.items()
        },
    }


def _track(one: Judged, outcome: Outcome) -> dict[str, Any]:
    """Truth and events in seconds from the first image."""

    def at(stamp: int) -> float:
        return round((stamp - outcome.origin) / SECOND, 3)

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
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
