"""Accuracy on actions that are enrolled with a few examples, and its cost for the actions of the training.

The model should not have been trained on the enrolled actions. Otherwise their part of the head is removed, and the
program says that the figures are too good. The examples show other people than the test.

Example:
    python -m benchmarks.enrollment utd_mhad_depth/index.csv --media clips_crop --depth --model known.safetensors \
        --teachers s01 s03 s05 s07 --subjects s02 s04 s06 s08
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.options import parser
from fluxformer_core.bundle import Bundle
from fluxformer_core.data.clip_store import FLOW_STEP, ClipStore
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import Recording, chosen
from fluxformer_core.enrollment.examples import THINNINGS, Example, Thinning, describe
from fluxformer_core.enrollment.teaching import EnrollmentResult, teach
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.taught import KnownActions, TaughtActions
from fluxformer_core.training.calibration import known_statistics

UNKNOWN = ("bowling", "draw_x", "knock", "squat", "tennis_swing")
"""The enrolled actions, which benchmarks/streams.py has as unknown ones: of the whole body and of one hand."""


@dataclass(frozen=True)
class EnrollmentRound:
    """One enrolment of all new actions. Shares are 0..1."""

    shots: int  # examples of each action
    new: dict[str, float]  # accuracy on the test clips of each enrolled action
    before: float  # accuracy on the test clips of the other actions, before the enrolment
    after: float  # the same after the enrolment
    refused: tuple[str, ...]  # actions that are refused as similar to known ones unless --even-if-similar is given
    disagreeing: int  # actions refused because their examples differ too much


Described = tuple[ClipStore, list[Example]]
"""Clips, with the logits and embeddings of every clip."""


def describe_store(store: ClipStore, recognizer: Recognizer, thinnings: Sequence[Thinning]) -> Described:
    """Describe every clip."""
    samples = map(store.__getitem__, tqdm(range(len(store)), unit="clip", disable=None, leave=False))
    return store, [describe(recognizer, replace(s, flow=s.flow * np.float32(FLOW_STEP)), thinnings) for s in samples]


def without(bundle: Bundle, labels: Sequence[str]) -> Bundle:
    """The model without some labels in its head."""
    kept = [i for i, label in enumerate(bundle.labels) if label not in labels]
    weights = bundle.weights | {name: bundle.weights[name][kept] for name in ("head.weight", "head.bias")}
    metadata = replace(bundle.metadata, labels=tuple(bundle.labels[i] for i in kept))
    return replace(bundle, metadata=metadata, weights=weights, statistics=None)


def main() -> None:
    """Measure and print."""
    made = parser(__doc__, "media", "depth", "model", "cache")
    made.add_argument("data", type=Path)
    made.add_argument("--teachers", nargs="+", required=True, help="subjects of the examples")
    made.add_argument("--subjects", nargs="+", required=True, help="subjects of the test")
    made.add_argument("--new", nargs="+", default=list(UNKNOWN), metavar="LABEL", help="labels to enrol")
    made.add_argument("--shots", type=int, nargs="+", default=[1, 3, 5])
    made.add_argument("--draws", type=int, default=20, help="random choices of examples")
    options = made.parse_args()
    torch.set_num_threads(1)
    bundle = Bundle.load(options.model)
    new = options.new
    seen = sorted(set(new) & set(bundle.labels))
    if seen:
        print(f"{options.model.name} was trained on {', '.join(seen)}: the figures are too good")
        bundle = without(bundle, new)
    recordings = read_data(options.data, media=options.media)

    def store(subjects: Sequence[str], labels: Sequence[str]) -> ClipStore:
        found: list[Recording] = [r for r in chosen(recordings, splits=(), subjects=subjects) if r.label in labels]
        return ClipStore.build(found, labels, bundle.spec, options.cache, depth=options.depth)

    known_labels = [label for label in bundle.labels if label not in new]
    if bundle.statistics is None:
        print(f"{options.model.name} has no statistics: the teachers' clips of known actions give them")
        teachers = store(options.teachers, known_labels)
        bundle = replace(bundle, statistics=known_statistics(bundle.build_model(), [teachers], bundle.spec))
    recognizer, known = Recognizer(bundle), KnownActions(bundle)
    learnt = describe_store(store(options.teachers, new), recognizer, THINNINGS)
    test = describe_store(store(options.subjects, (*bundle.labels, *new)), recognizer, THINNINGS[:1])
    enroll = partial(enroll_once, bundle, known, learnt, test)
    rounds = [enroll(n, np.random.default_rng(draw)) for n in options.shots for draw in range(options.draws)]
    report(rounds)


def enroll_once(
    bundle: Bundle, known: KnownActions, learnt: Described, test: Described, shots: int, rng: np.random.Generator
) -> EnrollmentRound:
    """Enrol all new actions with random examples, and measure the accuracy on the test clips."""
    (shown, examples), (tested, clips) = learnt, test
    results: list[EnrollmentResult] = []
    refused, disagreeing = [], 0
    for number, label in enumerate(shown.labels):
        drawn = [examples[i] for i in rng.choice(np.flatnonzero(shown.classes == number), shots, replace=False)]
        strict, lenient = (teach(label, drawn, known, even_if_similar=even) for even in (False, True))
        results.append(lenient)
        disagreeing += lenient.action is None
        if strict.action is None and lenient.action is not None:
            refused.append(label)
    taught = TaughtActions([result.action for result in results if result.action is not None], known)
    logits = np.concatenate([clip.logits for clip in clips])
    everything = taught.extend(logits, np.concatenate([clip.embeddings for clip in clips]))
    names = np.array([*bundle.labels, *(action.label for action in taught.actions)])
    truth = np.array(tested.labels)[tested.classes]
    right, own = names[everything.argmax(1)] == truth, np.isin(truth, bundle.labels)
    return EnrollmentRound(
        shots,
        {label: float(right[truth == label].mean()) for label in shown.labels},
        float((names[logits.argmax(1)] == truth)[own].mean()),
        float(right[own].mean()),
        tuple(refused),
        disagreeing,
    )


def report(rounds: Sequence[EnrollmentRound]) -> None:
    """Print a line for each number of examples."""
    print(f"{'shots':>5}  {'new labels':>14}  {'old labels: before, after, points lost':>40}  each new label")
    for shots in dict.fromkeys(one.shots for one in rounds):
        these = [one for one in rounds if one.shots == shots]
        new = 100 * np.array([list(one.new.values()) for one in these])
        before, after = (100 * np.array([getattr(o, name) for o in these]) for name in ("before", "after"))
        each = ", ".join(f"{label} {share:.0f}" for label, share in zip(these[0].new, new.mean(0), strict=True))
        lost = f"{before.mean():.1f}  {after.mean():.1f}  {(before - after).mean():.1f} ± {(before - after).std():.1f}"
        print(f"{shots:>5}  {new.mean():>6.1f} ± {new.mean(1).std():<5.1f}  {lost:>40}  {each}")
        refusals = {label: sum(label in o.refused for o in these) for label in these[0].new}
        told = ", ".join(f"{label} {count}" for label, count in refusals.items() if count) or "none"
        disagreeing = f"disagreeing examples: {sum(o.disagreeing for o in these)}"
        print(f"       of {len(these)} draws refused without --even-if-similar: {told}; {disagreeing}")


if __name__ == "__main__":
    main()
