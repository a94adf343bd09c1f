"""Evaluations as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fluxformer_core.evaluation.bags.evaluation import BagEvaluation
from fluxformer_core.evaluation.bags.figures import BagFigures
from fluxformer_core.evaluation.bags.stream_result import percentiles
from fluxformer_core.evaluation.clips import FIGURES, ClipEvaluation, ModelResult, RecipeResult
from fluxformer_core.evaluation.report.json_document import speed

MISTAKES = 8
"""Confusions that are listed."""


def clip_table(evaluation: ClipEvaluation) -> str:
    """The labels and figures of one model, or the figures of several models side by side."""
    models = evaluation.models
    lines = list(_clip_labels(models[0]) if len(models) == 1 else _side_by_side(evaluation))
    lines += [f"skipped: {line}" for line in evaluation.data.skipped]
    if len(models) == 1:
        lines.append(_clip_summary(models[0]))
    return "\n".join(lines)


def _clip_labels(result: ModelResult) -> Iterator[str]:
    report = result.report
    width = max(map(len, report.labels))
    yield f"{'label':<{width}}  clips   right  precision      F1"
    counts = report.confusion.sum(axis=1)
    rows = zip(report.labels, counts, report.recall, report.precision, report.f1, strict=True)
    for label, count, recall, precision, f1 in rows:
        if count:
            shown = "        -" if math.isnan(precision) else f"{precision:9.1%}"
            yield f"{label:<{width}}  {count:5d}  {recall:6.1%}  {shown}  {f1:6.1%}"
    for truth, predicted, count in report.mistakes(MISTAKES):
        yield f"{count:3d} x {truth} taken for {predicted}"


def _clip_summary(result: ModelResult) -> str:
    report, (low, high) = result.report, result.report.top1_interval
    return (
        f"{report.clips} clips: top-1 {report.top1:.1%} (95 % interval {low:.1%} to {high:.1%}), "
        f"top-5 {report.top5:.1%}, mean recall {report.mean_recall:.1%}, macro F1 {report.macro_f1:.1%}, "
        f"calibration error {report.calibration_error:.1%}; "
        f"one clip in {result.latency.percentile('forward', 50):.1f} ms (p50)"
    )


def _side_by_side(evaluation: ClipEvaluation) -> Iterator[str]:
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


def _mean(recipe: RecipeResult) -> str:
    return f"mean ± sd of these {len(recipe.models)}"


def bag_table(evaluation: BagEvaluation) -> str:
    """Streams and labels line by line, then all figures, then speed, faults and notes."""
    lines: list[str] = []
    if evaluation.figures:
        lines += [*_streams(evaluation), "", *_bag_labels(evaluation), "", *_bag_summary(evaluation.figures)]
    if changed := evaluation.changed_settings:
        lines.append("set      " + ", ".join(f"{name} {value:g}" for name, value in changed.items()))
    lines += _speed(evaluation)
    lines += [str(fault) for fault in evaluation.faults]
    return "\n".join(lines)


def _streams(evaluation: BagEvaluation) -> Iterator[str]:
    width = max(len("bag"), *(len(stream.name) for stream in evaluation.streams))
    yield f"{'bag':<{width}}  minutes  actions  detected  false/min  delay p50    p90  Jaccard   mcAP  top-1"
    for stream in evaluation.streams:
        if stream.figures is None:
            yield f"{stream.name:<{width}}  no figures"
            continue
        events, found = stream.figures.report.events, stream.figures
        yield (
            f"{stream.name:<{width}}  {events.seconds / 60:7.1f}  {events.performed:7d}  "
            f"{_share(events.detection_rate):>8}  {events.false_per_minute:9.2f}  {_time(events.delay(50)):>9}  "
            f"{_time(events.delay(90)):>5}  {_share(events.mean_jaccard):>7}  "
            f"{_share(found.report.mean_calibrated_ap):>5}  {_share(found.accuracy.top1):>5}"
        )


def _bag_labels(evaluation: BagEvaluation) -> Iterator[str]:
    if not evaluation.by_label:
        return
    width = max(len("label"), *(len(entry.label) for entry in evaluation.by_label))
    yield f"{'label':<{width}}  actions  detected  false  delay p50     AP    cAP  top-1"
    for entry in evaluation.by_label:
        yield (
            f"{entry.label:<{width}}  {entry.performed:7d}  {_share(entry.detection_rate):>8}  {entry.false:5d}  "
            f"{_time(entry.delay):>9}  {_share(entry.ap):>5}  {_share(entry.calibrated_ap):>5}  "
            f"{_share(entry.top1):>5}"
        )


def _bag_summary(found: BagFigures) -> Iterator[str]:
    report, events = found.report, found.report.events
    yield (
        f"events   {events.detected} of {events.performed} actions detected ({_share(events.detection_rate)}), "
        f"{events.false_per_minute:.2f} false per minute ({events.repeated} repeated, {events.confused} confused, "
        f"{events.invented} invented), {events.withdrawn_per_minute:.2f} withdrawn per minute"
    )
    yield (
        f"         onset delay p50 {_time(events.delay(50))}, p90 {_time(events.delay(90))}; "
        f"mean Jaccard {_share(events.mean_jaccard)}"
    )
    stages = " ".join(_share(value) for value in report.ap_by_stage)
    yield (
        f"frames   mAP {_share(report.mean_ap)}, mcAP {_share(report.mean_calibrated_ap)}; "
        f"cAP by tenth of the action {stages}"
    )
    f1 = ", ".join(_share(value) for value in report.f1.values())
    yield f"segments edit {_share(report.edit)}, F1@10, 25, 50 {f1}"
    yield f"clips    top-1 {_share(found.accuracy.top1)}, top-5 {_share(found.accuracy.top5)}"
    if found.unknown_actions:
        yield f"unknown  {found.unknown_actions} actions that the model does not know, AUROC {found.unknown_auroc:.3f}"


def _speed(evaluation: BagEvaluation) -> Iterator[str]:
    for stream in evaluation.streams:
        for name, values in stream.result.latency.items():
            if len(values):
                times = ", ".join(f"{q} {value:.0f}" for q, value in percentiles(values))
                drops, resets = counts_text(stream.result.drops), counts_text(stream.result.resets)
                yield f"{stream.name}: {name} {times} ms; dropped: {drops}; resets: {resets}"
    numbers = speed(evaluation)
    if numbers["times_real_time"]:
        yield (
            f"{numbers['times_real_time']:.1f} times real time with {numbers['processes']} "
            f"process{'es' * (numbers['processes'] > 1)} of {evaluation.machine.cores} cores, "
            f"at most {numbers['peak_memory_mib']} MiB each"
        )


def counts_text(counts: dict[str, int]) -> str:
    """Counts by cause in words; causes that never occurred are left out."""
    return ", ".join(f"{count} {cause.replace('_', ' ')}" for cause, count in counts.items() if count) or "none"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _time(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds:.2f} s"
