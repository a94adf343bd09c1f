r"""Detections, false events and delays on long streams composed of recordings of single actions.

The model must not have been trained on the subjects, nor on the actions that count as unknown. The layers of the
decision are added one after the other, on the same model outputs. --idle-minutes adds scenes without any action, in
which every event is false.

Example:
    python -m benchmarks.streams utd_mhad_depth/index.csv --media clips_crop --subjects s02 s04 s06 s08 \
        --minutes 20 --idle-minutes 10 --model known.safetensors
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.enrollment import UNKNOWN
from benchmarks.options import parser
from benchmarks.synthetic.scenery import RATE
from benchmarks.synthetic.stillness import stillness
from benchmarks.synthetic.stream_bed import IDLE, Performer, Scenario, compose, scenario
from benchmarks.synthetic.watching import (
    Moment,
    as_stream,
    decide,
    run_together,
    unknown_by_action,
    unknown_by_moment,
    watch,
)
from fluxformer_core.bundle import Bundle
from fluxformer_core.data.read_data import read_data
from fluxformer_core.evaluation.metrics.events import score_events
from fluxformer_core.evaluation.metrics.frames import unknown_auroc
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.evaluation.metrics.streams import score_streams
from fluxformer_core.stream import decision
from fluxformer_core.stream.belief import FLATTENED, softmax
from fluxformer_core.stream.config import DecisionConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import OTHER, SECOND, EventKind

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
    full, late = DecisionConfig(), DecisionConfig(min_duration=WAIT)
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


HEADER = (
    "| decision | detected | false/min: invented, confused, repeated | withdrawn/min | delay of STARTED p50, p90 "
    "| of the right name | unknown AUROC (of moments) | mAP | edit | F1@10, 25, 50 |\n" + "| --- " * 10 + "|"
)


def row(moments: Sequence[Moment], truth: Sequence[Interval], bundle: Bundle, layer: Layer) -> str:
    """Measure a layer: its row of the table."""
    labels = tuple(label for label in bundle.labels if label != OTHER)
    if not layer.unknown and OTHER in bundle.labels:
        mask = np.array([-np.inf if label == OTHER else 0.0 for label in bundle.labels], np.float32)
        moments = [m if m.logits is None else replace(m, logits=m.logits + mask) for m in moments]
    temperature = bundle.metadata.temperature if layer.calibrated else 1.0
    with patch.object(decision, "MAJORITY", decision.MAJORITY if layer.retracts else math.inf):
        decided = decide(moments, bundle.labels, layer.config, temperature)
    report = score_streams([as_stream(moments, decided, truth, bundle.labels)], labels)
    started = score_streams([as_stream(moments, decided, truth, bundle.labels, started=True)], labels).events
    unknown = (measure(decided, truth, labels) for measure in (unknown_by_action, unknown_by_moment))
    events, f1 = report.events, ", ".join(f"{value:.2f}" for value in report.f1.values())
    return (
        f"| {layer.name} | {events.detection_rate:.1%} | {events.false_per_minute:.2f}: "
        f"{events.invented}, {events.confused}, {events.repeated} | {events.withdrawn_per_minute:.2f} "
        f"| {started.delay(50):.2f}, {started.delay(90):.2f} s | {events.delay(50):.2f}, {events.delay(90):.2f} s "
        f"| {next(unknown):.3f} ({next(unknown):.3f}) "
        f"| {report.mean_ap:.3f} | {report.edit:.2f} | {f1} |"
    )


def operating_points(moments: Sequence[Moment], truth: Sequence[Interval], bundle: Bundle) -> str:
    """For each limit of false events per minute, the `sure_score` with the most detected actions.

    The threshold is chosen on the stream that the table describes, as on any curve of detections against false alarms.
    """
    reports = {}
    seconds = (moments[-1].stamp - moments[0].stamp) / SECOND
    for sure in (i / 100 for i in range(50, 99)):  # a smoothed score of 0.5 starts an action, so 0.5 asks for nothing
        config = replace(DecisionConfig(), sure_score=sure)
        decided = decide(moments, bundle.labels, config, bundle.metadata.temperature)
        streams = [as_stream(moments, decided, truth, bundle.labels, started=started) for started in (False, True)]
        reports[sure] = [score_events(stream.truth, stream.events, seconds) for stream in streams]
    header = "| false/min at most | detected | false/min | withdrawn/min | delay of STARTED p50, p90 | sure_score |"
    lines = [header, "| --- " * 6 + "|"]
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


def sound(stream: Scenario, unknown: Sequence[str]) -> str:
    """Duration, actions and idle share of a stream, in words."""
    minutes = sum(scene.frames for scene in stream.scenes) / RATE / 60
    performed = Counter(action.label for action in stream.truth)
    strange = {label: performed[label] for label in unknown if performed[label]}
    known = len(stream.truth) - sum(strange.values())
    named = ", ".join(f"{label} {count}" for label, count in strange.items()) or "none"
    parts = ", ".join(f"{name} {stream.share(name):.0%}" for name in ("rest", "passing", "empty", "walking", "shift"))
    actions = f"{known} known and {len(stream.truth) - known} unknown actions ({named})"
    return f"{minutes:.1f} minutes, {actions}, idle {stream.share(*IDLE):.0%} ({parts})"


Score = Callable[[NDArray[np.float32], NDArray[np.float32]], float]
"""A function of logits (labels,) and embedding (D,); higher values speak against every known action."""

SHRUNK = 0.1
"""Shrinkage of the covariance of the embeddings towards a sphere; the covariance comes from few clips."""


def unknown_scores(bundle: Bundle) -> dict[str, Score]:
    """The compared unknown scores by name."""
    known = np.array([label != OTHER for label in bundle.labels])
    temperature = np.float32(bundle.metadata.temperature)

    def flattened(logits: NDArray[np.float32], _: NDArray[np.float32]) -> float:
        flat = softmax(logits / temperature) ** FLATTENED
        return 1.0 - float(flat[known].max() / flat.sum())

    def entropy(logits: NDArray[np.float32], _: NDArray[np.float32]) -> float:
        p = softmax(logits / temperature)
        return float(-(p * np.log(p + 1e-12)).sum())

    found: dict[str, Score] = {
        "what is used: square roots of probabilities, calibrated": flattened,
        "1 - highest probability, calibrated": lambda z, _: 1.0 - float(softmax(z / temperature)[known].max()),
        "1 - highest probability at temperature 1": lambda z, _: 1.0 - float(softmax(z)[known].max()),
        "energy of the known logits": lambda z, _: -float(np.logaddexp.reduce(z[known])),
        "entropy, calibrated": entropy,
    }
    if not known.all():
        other = int(np.flatnonzero(~known)[0])
        found["probability of other"] = lambda z, _: float(softmax(z)[other])
        found["logit of other less the highest known one"] = lambda z, _: float(z[other] - z[known].max())
    if bundle.statistics is not None:
        means = bundle.statistics.means[known]
        middle = means.mean(axis=0)
        spread = float(np.sqrt(np.trace(bundle.statistics.spread)))

        def distance(_: NDArray[np.float32], embedding: NDArray[np.float32]) -> float:
            return float(np.linalg.norm(means - embedding, axis=1).min() / spread)

        def turned(_: NDArray[np.float32], embedding: NDArray[np.float32]) -> float:
            one, many = embedding - middle, means - middle
            return 1.0 - float((many @ one / np.linalg.norm(many, axis=1)).max() / np.linalg.norm(one))

        ridge = SHRUNK * np.trace(bundle.statistics.spread) / len(middle) * np.eye(len(middle), dtype=np.float32)
        factor = np.linalg.cholesky(np.linalg.inv((1 - SHRUNK) * bundle.statistics.spread + ridge))

        def mahalanobis(_: NDArray[np.float32], embedding: NDArray[np.float32]) -> float:
            return float(np.linalg.norm((means - embedding) @ factor, axis=1).min() / np.sqrt(len(middle)))

        found["distance to the nearest mean of an action, Euclidean"] = distance
        found["the same, Mahalanobis"] = mahalanobis
        found["the same, cosine seen from the middle of the means"] = turned
        found["square roots and Euclidean distance, added"] = lambda z, e: flattened(z, e) + distance(z, e)
        found["entropy and Euclidean distance, added"] = lambda z, e: entropy(z, e) + distance(z, e)
        found["entropy and Mahalanobis distance, added"] = lambda z, e: entropy(z, e) + mahalanobis(z, e)
    return found


def score_table(moments: Sequence[Moment], truth: Sequence[Interval], bundle: Bundle) -> str:
    """AUROC of each score over the performed actions, by its mean over an action and by its last value."""
    asked = [m for m in moments if m.logits is not None and m.embedding is not None]
    stamps = np.array([m.stamp for m in asked], np.int64)
    inside = [np.flatnonzero((stamps >= action.start) & (stamps < action.end)) for action in truth]
    seen = [(action, which) for action, which in zip(truth, inside, strict=True) if len(which)]
    unknown = np.array([action.label not in bundle.labels for action, _ in seen], dtype=np.bool_)
    lines = ["| unknown score | AUROC of its mean | of its last value |", "| --- | --- | --- |"]
    for name, score in unknown_scores(bundle).items():
        values = np.array([score(m.logits, m.embedding) for m in asked])
        means = np.array([values[which].mean() for _, which in seen])
        lasts = np.array([values[which[-1]] for _, which in seen])
        lines.append(f"| {name} | {unknown_auroc(means, unknown):.3f} | {unknown_auroc(lasts, unknown):.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the recogniser and print every table."""
    made = parser(__doc__, "media", "subjects", "seed", "model")
    add = made.add_argument
    add("data", type=Path, help="list of depth recordings without background, performed by --subjects")
    add("--unknown", nargs="+", default=list(UNKNOWN), metavar="LABEL", help="not in the model")
    add("--minutes", type=float, default=20.0, help="of the stream (default: %(default)g)")
    add("--idle-minutes", type=float, default=0.0, help="of scenes without any action (default: none)")
    arguments = made.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    bundle = Bundle.load(arguments.model)
    seen = sorted(set(bundle.labels) & set(arguments.unknown))
    if seen:
        print(f"the model knows {', '.join(seen)}: as unknown actions they mean nothing", flush=True)
    recordings = read_data(arguments.data, media=arguments.media)
    performers = [Performer(s, tuple(r for r in recordings if r.subject == s)) for s in arguments.subjects]
    stream = compose(performers, 60 * arguments.minutes, arguments.seed)
    print(f"{sound(stream, arguments.unknown)}\n", flush=True)
    began = time.monotonic()
    watched = watch(Recognizer(bundle), stream.play())
    spent = time.monotonic() - began
    print(HEADER, flush=True)
    for layer in layers():
        print(row(watched.moments, stream.truth, bundle, layer), flush=True)
    decided = decide(watched.moments, bundle.labels, DecisionConfig(), bundle.metadata.temperature)
    joined = run_together(decided, stream.truth)
    print(f"\n{joined:.0%} of the actions were not told apart from the motion before them", flush=True)
    print(f"\n{operating_points(watched.moments, stream.truth, bundle)}", flush=True)
    print(f"\n{score_table(watched.moments, stream.truth, bundle)}", flush=True)
    compute = np.array([moment.compute for moment in watched.moments]) / 1e6
    times = sum(s.frames for s in stream.scenes) / RATE / spent
    print(f"\nof a push {np.median(compute):.1f} ms, p99 {np.percentile(compute, 99):.1f} ms; "
          f"{times:.1f} times as fast as the camera")  # fmt: skip
    if arguments.idle_minutes:
        rest(bundle, arguments.idle_minutes, arguments.seed)


def rest(bundle: Bundle, minutes: float, seed: int) -> None:
    """Print the events in scenes without any action, by scene."""
    total = 0
    for scene in stillness(60 * minutes, seed):
        recognizer = Recognizer(bundle)
        watched = watch(recognizer, scenario([scene]).play())
        events = [event for event in watched.events if event.kind is EventKind.STARTED]
        total += len(events)
        asked = recognizer.counters.forwards / max(1, recognizer.counters.recognitions)
        print(f"{scene.kind}, {scene.frames / RATE:.0f} s: {len(events)} events, in motion {asked:.0%}", flush=True)
    print(f"idle for {minutes:g} minutes: {total} false events")


if __name__ == "__main__":
    main()
