r"""Detections, false events and delays on long streams composed of recordings of single actions.

The model must not have been trained on the subjects, nor on the actions that count as unknown. The layers of the
decision are added one after the other, on the same model outputs. --idle-minutes adds scenes without any action, in
which every event is false.

Example:
    python -m benchmarks.streams utd_mhad_depth/index.csv --media clips_crop --subjects s02 s04 s06 s08 \
        --minutes 20 --idle-minutes 10 --model known.safetensors
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch

from benchmarks import unknown_scores
from benchmarks.synthetic.footage import RATE
from benchmarks.synthetic.stillness import stillness
from benchmarks.synthetic.stream_bed import IDLE, Performer, Scenario, compose, scenario
from benchmarks.synthetic.watching import (
    Decided,
    Moment,
    as_stream,
    decide,
    run_together,
    unknown_by_action,
    unknown_by_moment,
    watch,
)
from fluxformer_core.actor import ACTIONS, ActorStyle
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.data.clip_store import actor_clips
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.data.read_data import read_data
from fluxformer_core.evaluation.metrics.events import EventReport, score_events
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.evaluation.metrics.streams import StreamReport, score_streams
from fluxformer_core.stream import decision
from fluxformer_core.stream.config import DecisionConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import OTHER, SECOND, EventKind

UNKNOWN = ("bowling", "draw_x", "knock", "squat", "tennis_swing")
"""Actions that the model has not been trained on: of the whole body and of one hand, some similar to known ones."""


UNSEEN = 2_000_000
"""Seeds of the actor from here on are used by no training."""

WAIT = 1.0
"""Seconds of motion before a decision where early decisions are off."""


@dataclass(frozen=True)
class Layer:
    """Settings of the decision."""

    name: str
    config: DecisionConfig
    calibrated: bool = True
    unknown: bool = True  # whether an action may be unknown
    retracts: bool = True  # whether a started action may be retracted


def layers() -> list[Layer]:
    """From raw scores to the full decision, one layer more each time; then the full decision without one layer."""
    full = DecisionConfig()
    late = replace(full, min_duration=WAIT)
    rough = replace(late, smoothing=0.0)
    return [
        Layer("scores as they come", rough, calibrated=False, unknown=False),
        Layer("+ calibration", rough, unknown=False),
        Layer("+ unknown", rough, retracts=False),
        Layer("+ smoothing", late, retracts=False),
        Layer("+ early decision", full, retracts=False),
        Layer("+ retraction: all", full),
        Layer("all but calibration", full, calibrated=False),
        Layer("all but unknown", full, unknown=False),
        Layer("all but smoothing", replace(full, smoothing=0.0)),
        Layer("all, smoothing 0.15", replace(full, smoothing=0.15)),
        *(Layer(f"all, start_score {score}", replace(full, start_score=score)) for score in (0.65, 0.8, 0.9)),
        *(Layer(f"all, sure_score {score}", replace(full, sure_score=score)) for score in (0.65, 0.8, 0.85, 0.9)),
    ]


@dataclass(frozen=True)
class Figures:
    """Figures of a layer."""

    report: StreamReport
    started: tuple[float, float]  # s: median and 90th percentile of the delay of STARTED, whatever the label
    unknown_actions: float  # AUROC
    unknown_moments: float


def measure(moments: Sequence[Moment], truth: Sequence[Interval], bundle: Bundle, layer: Layer) -> Figures:
    """Measure a layer."""
    labels = tuple(label for label in bundle.labels if label != OTHER)
    if not layer.unknown and OTHER in bundle.labels:
        moments = [_without(moment, bundle.labels.index(OTHER)) for moment in moments]
    temperature = bundle.metadata.temperature if layer.calibrated else 1.0
    with patch.object(decision, "MAJORITY", decision.MAJORITY if layer.retracts else math.inf):
        decided = decide(moments, bundle.labels, layer.config, temperature)
    report = score_streams([as_stream(moments, decided, truth, bundle.labels)], labels)
    started = score_streams([as_stream(moments, decided, truth, bundle.labels, started=True)], labels).events
    return Figures(
        report,
        (started.delay(50), started.delay(90)),
        unknown_by_action(decided, truth, labels),
        unknown_by_moment(decided, truth, labels),
    )


def _without(moment: Moment, column: int) -> Moment:
    if moment.logits is None:
        return moment
    logits = moment.logits.copy()
    logits[column] = -np.inf
    return replace(moment, logits=logits)


HEADER = (
    "| decision | detected | false/min: invented, confused, repeated | withdrawn/min | delay of STARTED p50, p90 "
    "| of the right name | unknown AUROC (of moments) | mAP | edit | F1@10, 25, 50 |\n" + "| --- " * 10 + "|"
)


def row(name: str, figures: Figures) -> str:
    """A row of the table."""
    report, events = figures.report, figures.report.events
    f1 = ", ".join(f"{value:.2f}" for value in report.f1.values())
    return (
        f"| {name} | {events.detection_rate:.1%} | {events.false_per_minute:.2f}: "
        f"{events.invented}, {events.confused}, {events.repeated} | {events.withdrawn_per_minute:.2f} "
        f"| {figures.started[0]:.2f}, {figures.started[1]:.2f} s | {events.delay(50):.2f}, {events.delay(90):.2f} s "
        f"| {figures.unknown_actions:.3f} ({figures.unknown_moments:.3f}) "
        f"| {report.mean_ap:.3f} | {report.edit:.2f} | {f1} |"
    )


def operating_points(moments: Sequence[Moment], truth: Sequence[Interval], bundle: Bundle) -> str:
    """For each limit of false events per minute, the `sure_score` with the most detected actions.

    The threshold is chosen on the stream that the table describes, as on any curve of detections against false alarms.
    """
    reports = {}
    for sure in (i / 100 for i in range(50, 99)):  # a smoothed score of 0.5 starts an action, so 0.5 asks for nothing
        decided = decide(
            moments, bundle.labels, replace(DecisionConfig(), sure_score=sure), bundle.metadata.temperature
        )
        reports[sure] = [_events(moments, decided, truth, bundle, started=started) for started in (False, True)]
    lines = [
        "| false/min at most | detected | false/min | withdrawn/min | delay of STARTED p50, p90 | sure_score |",
        "| --- " * 6 + "|",
    ]
    for limit in (2.0, 1.5, 1.0, 0.5):
        within = [sure for sure, (events, _) in reports.items() if events.false_per_minute <= limit]
        if not within:
            lines.append(f"| {limit:g} | never |  |  |  |  |")
            continue
        best = max(within, key=lambda sure: (reports[sure][0].detected, -reports[sure][0].false))
        events, started = reports[best]
        lines.append(
            f"| {limit:g} | {events.detection_rate:.1%} | {events.false_per_minute:.2f} "
            f"| {events.withdrawn_per_minute:.2f} | {started.delay(50):.2f}, {started.delay(90):.2f} s | {best:.2f} |"
        )
    return "\n".join(lines)


def _events(
    moments: Sequence[Moment], decided: Decided, truth: Sequence[Interval], bundle: Bundle, *, started: bool
) -> EventReport:
    stream = as_stream(moments, decided, truth, bundle.labels, started=started)
    return score_events(stream.truth, stream.events, float(stream.stamps[-1] - stream.stamps[0]) / SECOND)


def sound(stream: Scenario, unknown: Sequence[str]) -> str:
    """Duration, actions and idle share of a stream, in words."""
    minutes = sum(scene.frames for scene in stream.scenes) / RATE / 60
    performed = Counter(action.label for action in stream.truth)
    strange = {label: performed[label] for label in unknown if performed[label]}
    known = len(stream.truth) - sum(strange.values())
    named = ", ".join(f"{label} {count}" for label, count in strange.items()) or "none"
    parts = ", ".join(f"{name} {stream.share(name):.0%}" for name in ("rest", "passing", "empty", "walking", "shift"))
    return (
        f"{minutes:.1f} minutes, {known} known and {len(stream.truth) - known} unknown actions ({named}), "
        f"idle {stream.share(*IDLE):.0%} ({parts})"
    )


def main() -> None:
    """Run the recogniser and print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="list of depth recordings without background")
    parser.add_argument("--media", help="read the files from this folder beside the list")
    parser.add_argument("--subjects", nargs="+", default=[], help="who performs")
    parser.add_argument(
        "--actor", type=int, default=0, metavar="N", help="add N performances of each action by the rendered actor"
    )
    parser.add_argument("--unknown", nargs="+", default=list(UNKNOWN), metavar="LABEL", help="not in the model")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="LABEL", help="labels to leave out of the stream")
    parser.add_argument("--minutes", type=float, default=20.0, help="of the stream (default: %(default)g)")
    parser.add_argument("--idle-minutes", type=float, default=0.0, help="of scenes without any action (default: none)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=default_bundle_path(), help="(default: the shipped one)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    bundle = Bundle.load(arguments.model)
    seen = sorted(set(bundle.labels) & set(arguments.unknown))
    if seen:
        print(f"the model knows {', '.join(seen)}: as unknown actions they mean nothing", flush=True)
    recordings = read_data(arguments.data, media=arguments.media) if arguments.data else []
    recordings = [recording for recording in recordings if recording.label not in arguments.leave_out]
    performers = [Performer(s, tuple(r for r in recordings if r.subject == s)) for s in arguments.subjects]
    if arguments.actor:
        acted = [clip for clip in _acted(arguments.actor, arguments.seed) if clip.label not in arguments.leave_out]
        performers.append(Performer("actor", tuple(acted)))
    stream = compose(performers, 60 * arguments.minutes, arguments.seed)
    print(f"{sound(stream, arguments.unknown)}\n", flush=True)
    began = time.monotonic()
    watched = watch(Recognizer(bundle), stream.play())
    spent = time.monotonic() - began
    figures = []
    print(HEADER, flush=True)
    for layer in layers():
        found = measure(watched.moments, stream.truth, bundle, layer)
        print(row(layer.name, found), flush=True)
        figures.append({"layer": layer.name, **asdict(found)})
    decided = decide(watched.moments, bundle.labels, DecisionConfig(), bundle.metadata.temperature)
    joined = run_together(decided, stream.truth)
    print(f"\n{joined:.0%} of the actions were not told apart from the motion before them", flush=True)
    print(f"\n{operating_points(watched.moments, stream.truth, bundle)}", flush=True)
    print(f"\n{unknown_scores.table(watched.moments, stream.truth, bundle)}", flush=True)
    compute = np.array([moment.compute for moment in watched.moments]) / 1e6
    print(
        f"\nof a push {np.median(compute):.1f} ms, p99 {np.percentile(compute, 99):.1f} ms; "
        f"{sum(s.frames for s in stream.scenes) / RATE / spent:.1f} times as fast as the camera"
    )
    idle = rest(bundle, arguments.idle_minutes, arguments.seed) if arguments.idle_minutes else {}
    if arguments.json:
        told = {"layers": figures, "run_together": joined, "idle": idle}
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")


def rest(bundle: Bundle, minutes: float, seed: int) -> dict[str, int]:
    """Events in scenes without any action, by scene."""
    counts = {}
    for scene in stillness(60 * minutes, seed):
        recognizer = Recognizer(bundle)
        watched = watch(recognizer, scenario([scene]).play())
        events = [event for event in watched.events if event.kind is EventKind.STARTED]
        counts[scene.kind] = len(events)
        asked = recognizer.counters.forwards / max(1, recognizer.counters.recognitions)
        print(f"{scene.kind}, {scene.frames / RATE:.0f} s: {len(events)} events, in motion {asked:.0%}", flush=True)
    print(f"idle for {minutes:g} minutes: {sum(counts.values())} false events")
    return counts


def _acted(count: int, seed: int) -> list[ActorClip]:
    """Performances in depth, `count` of each label, without those in front of a wall."""
    clips: dict[str, list[ActorClip]] = {label: [] for label in ACTIONS}
    for clip in actor_clips(sorted(ACTIONS), 8 * count, seed=UNSEEN + seed):
        alone = ActorStyle.sample_recording(clip.seed).depth_background == "none"
        if alone and len(clips[clip.label]) < count:
            clips[clip.label].append(replace(clip, mode="depth"))
    return [clip for some in clips.values() for clip in some]


if __name__ == "__main__":
    main()
