"""An evaluation of bags as text, for a terminal: events first."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fluxformer_core.evaluation.bags.evaluation import BagEvaluation
from fluxformer_core.evaluation.bags.figures import Figures
from fluxformer_core.evaluation.bags.outcome import percentiles
from fluxformer_core.evaluation.report.bag_document import speed


def table(evaluation: BagEvaluation) -> str:
    """Streams and labels line by line, then all figures, then what is wrong."""
    lines: list[str] = []
    if evaluation.figures:
        lines += [*_streams(evaluation), "", *_labels(evaluation), "", *_summary(evaluation.figures)]
    lines += [*_settings(evaluation), *_speed(evaluation)]
    lines += [f"{'FAULT' if fault.fatal else 'note '}  {fault.bag}: {fault.text}" for fault in evaluation.faults]
    return "\n".join(lines)


def _settings(evaluation: BagEvaluation) -> Iterator[str]:
    if changed := evaluation.changed_settings:
        yield "set      " + ", ".join(f"{name} {value:g}" for name, value in changed.items())


def _streams(evaluation: BagEvaluation) -> Iterator[str]:
    wide = max(len("bag"), *(len(stream.name) for stream in evaluation.streams))
    yield f"{'bag':<{wide}}  minutes  actions  detected  false/min  delay p50    p90  Jaccard   mcAP  top-1"
    for stream in evaluation.streams:
        if stream.figures is None:
            yield f"{stream.name:<{wide}}  no figures"
            continue
        events, found = stream.figures.report.events, stream.figures
        yield (
            f"{stream.name:<{wide}}  {events.seconds / 60:7.1f}  {events.performed:7d}  "
            f"{_share(events.detection_rate):>8}  {events.false_per_minute:9.2f}  {_time(events.delay(50)):>9}  "
            f"{_time(events.delay(90)):>5}  {_share(events.mean_jaccard):>7}  "
            f"{_share(found.report.mean_calibrated_ap):>5}  {_share(found.named.top1):>5}"
        )


def _labels(evaluation: BagEvaluation) -> Iterator[str]:
    if not evaluation.by_label:
        return
    wide = max(len("label"), *(len(entry.label) for entry in evaluation.by_label))
    yield f"{'label':<{wide}}  actions  detected  false  delay p50     AP    cAP  top-1"
    for entry in evaluation.by_label:
        yield (
            f"{entry.label:<{wide}}  {entry.performed:7d}  {_share(entry.detection_rate):>8}  {entry.false:5d}  "
            f"{_time(entry.delay):>9}  {_share(entry.ap):>5}  {_share(entry.calibrated_ap):>5}  "
            f"{_share(entry.top1):>5}"
        )


def _summary(found: Figures) -> Iterator[str]:
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
    stages = " ".join(_share(value).removesuffix(" %") for value in report.ap_by_stage)
    yield (
        f"frames   mAP {_share(report.mean_ap)}, mcAP {_share(report.mean_calibrated_ap)}; "
        f"cAP by tenth of the action {stages}"
    )
    f1 = ", ".join(_share(value) for value in report.f1.values())
    yield f"segments edit {_share(report.edit)}, F1@10, 25, 50 {f1}"
    yield f"clips    top-1 {_share(found.named.top1)}, top-5 {_share(found.named.top5)}"
    if found.unknown_actions:
        yield f"unknown  {found.unknown_actions} actions that the model does not know, AUROC {found.unknown_auroc:.3f}"


def _speed(evaluation: BagEvaluation) -> Iterator[str]:
    for stream in evaluation.streams:
        for name, values in stream.outcome.latency.items():
            if len(values):
                times = ", ".join(f"{q} {value:.0f}" for q, value in percentiles(values))
                yield f"{stream.name}: {name} {times} ms; {_counts(stream.outcome.drops, 'dropped')}; " + _counts(
                    stream.outcome.resets, "resets"
                )
    numbers = speed(evaluation)
    if numbers["times_real_time"]:
        yield (
            f"{numbers['times_real_time']:.1f} times real time with {numbers['processes']} "
            f"process{'es' * (numbers['processes'] > 1)} of {evaluation.machine.cores} cores, "
            f"at most {numbers['peak_memory_mib']} MiB each"
        )


def _counts(counts: dict[str, int], what: str) -> str:
    some = ", ".join(f"{count} {cause.replace('_', ' ')}" for cause, count in counts.items() if count)
    return f"{what}: {some or 'none'}"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _time(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds:.2f} s"
