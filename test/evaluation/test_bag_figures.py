"""Figures over bags, on tracks worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.bags import figures
from fluxformer_core.evaluation.bags.evaluation import BagEvaluation
from fluxformer_core.evaluation.bags.figures import NOTHING, UNKNOWN, JudgedStream, JudgedTrack, judge, measure
from fluxformer_core.evaluation.bags.finding import BagStream
from fluxformer_core.evaluation.bags.gate import GateResult, compare
from fluxformer_core.evaluation.bags.stream_result import StreamResult, Track
from fluxformer_core.evaluation.bags.truth import Truth, TruthLine
from fluxformer_core.evaluation.metrics.intervals import PredictedEvent
from fluxformer_core.evaluation.report.json_document import bag_document, bag_figures
from fluxformer_core.evaluation.report.mistakes import worst_bag_mistakes
from fluxformer_core.evaluation.speed.machine import Machine
from fluxformer_core.types import SECOND, State

LABELS = ("clap", "jog", "wave")
STREAM = BagStream("run", "/camera", Path("run"))


def event(label: str, start: float, end: float, score: float = 0.9, late: float = 1.0) -> PredictedEvent:
    begin = round(start * SECOND)
    return PredictedEvent(begin, round(end * SECOND), label, score, begin + round(late * SECOND))


def track(*events: PredictedEvent, seconds: int = 60) -> Track:
    """One recognition a second; while an event lasts its label scores 0.6, the next one in the list 0.4."""
    stamps = np.arange(seconds + 1, dtype=np.int64) * SECOND
    scores = np.zeros((len(stamps), len(LABELS)), np.float32)
    for one in events:
        inside = (stamps >= one.start) & (stamps < one.end)
        k = LABELS.index(one.label)
        scores[inside, k], scores[inside, (k + 1) % len(LABELS)] = 0.6, 0.4
    moving = scores.any(axis=1)
    states = np.where(moving, State.ACTION, State.IDLE).astype(np.uint8)
    names = np.where(moving, scores.argmax(axis=1), -1).astype(np.int16)
    return Track(stamps, states, names, scores, (0.3 * moving).astype(np.float32), events)


def line(label: str, start: float | None, end: float | None) -> TruthLine:
    times = [None if t is None else round(t * SECOND) for t in (start, end)]
    return TruthLine("run", Path("run"), "", label, *times)


def scored(tracks: tuple[Track, ...], *lines: TruthLine, stream: BagStream = STREAM) -> JudgedStream:
    return judge(StreamResult(stream, LABELS, 0, tracks), Truth({"run": lines}, ()))


ACTIONS = (line("wave", 10, 20), line("clap", 25, 30), line("jog", 35, 45), line("somersault", 50, 55))
EVENTS = (
    event("wave", 11, 20, 0.95, 0.5),
    event("wave", 25, 30, 0.7),  # the clap, taken for a wave
    event("clap", 51, 54, 0.8),  # during the somersault, whose label the model does not know
    event("jog", 57, 59, 0.6),  # no action
)


@pytest.fixture(scope="module")
def judged() -> JudgedTrack:
    (one,) = scored((track(*EVENTS),), *ACTIONS).judged
    return one


def test_the_figures_are_those_of_the_events(judged: JudgedTrack) -> None:
    found = bag_figures(measure([judged], LABELS))
    assert found["false_events"] == {"repeated": 0, "confused": 1, "invented": 2}
    expected = {"actions": 3, "detection_rate": 1 / 3, "false_per_minute": 3.0, "onset_delay_p50": 1.5, "minutes": 1.0}
    expected |= {"mean_jaccard": 0.9 / 3, "unknown_actions": 1, "unknown_auroc": 0.5}  # every unknown score is 0.3
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_whole_actions_are_named_by_their_mean_scores(judged: JudgedTrack) -> None:
    wave, _clap, jog = judged.known
    assert figures.mean_scores(wave, judged.track) == pytest.approx([0.36, 0.0, 0.54])  # 9 of 10 frames
    found = measure([judged], LABELS).accuracy
    # The clap has the second highest score in its false wave. The jog has no score, so it has no place at all.
    assert (found.actions, found.first, found.fifth) == (3, 1, 2)
    assert (found.top1, found.top5) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert figures.mean_scores(replace(jog, start=1, end=2), judged.track).tolist() == [0, 0, 0]


def test_whole_actions_are_named_as_torchmetrics_says() -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_accuracy

    rng = np.random.default_rng(0)
    labels = tuple(f"label_{k}" for k in range(12))
    stamps = np.arange(200, dtype=np.int64) * SECOND
    scores = rng.random((200, 12)).astype(np.float32)
    flat = np.zeros(200, np.float32)
    made = Track(stamps, flat.astype(np.uint8), flat.astype(np.int16), scores, flat, ())
    starts = np.arange(0, 200, 5)
    truth = rng.integers(12, size=len(starts))
    lines = tuple(line(labels[k], start, start + 5) for start, k in zip(starts.tolist(), truth, strict=True))
    found = judge(StreamResult(STREAM, labels, 0, (made,)), Truth({"run": lines}, ())).figures
    means = torch.from_numpy(scores.reshape(-1, 5, 12).mean(axis=1))
    for share, k in ((found.accuracy.top1, 1), (found.accuracy.top5, 5)):
        expected = multiclass_accuracy(means, torch.from_numpy(truth), 12, average="micro", top_k=k)
        assert share == pytest.approx(float(expected))


def test_labels_have_figures_of_their_own(judged: JudgedTrack) -> None:
    clap, jog, wave = figures.by_label([judged], LABELS)
    assert (wave.label, wave.performed, wave.detected, wave.false, wave.delay) == ("wave", 1, 1, 1, 1.5)
    assert wave.ap == pytest.approx(9 / 10 * 9 / 14 + 1 / 10 * 10 / 61)  # 14 frames at 0.6, then all the others at 0
    assert (clap.detected, clap.performed, clap.false) == (0, 1, 1)
    assert (jog.detected, jog.false) == (0, 1)
    assert math.isnan(clap.delay)


def test_the_matrix_counts_the_false_events_in_place_of_actions(judged: JudgedTrack) -> None:
    found = figures.confusion([judged], LABELS)
    cells = {(found.labels[row], found.labels[column]) for row, column in np.argwhere(found.confusion)}
    assert cells == {("wave", "wave"), ("clap", "wave"), ("jog", NOTHING), (UNKNOWN, "clap"), (NOTHING, "jog")}
    assert found.confusion.max() == 1


def test_the_worst_mistakes_have_the_highest_scores() -> None:
    found = worst_bag_mistakes([scored((track(*EVENTS),), *ACTIONS)])
    told = [(m.truth.label if m.truth else None, m.said.label if m.said else None, m.severity) for m in found]
    assert told == [("jog", None, 1.0), (None, "clap", 0.8), ("clap", "wave", 0.7), (None, "jog", 0.6)]
    assert found[1].instead == UNKNOWN
    assert len(worst_bag_mistakes([scored((track(*EVENTS),), *ACTIONS)], most=2)) == 2


def test_perfect_streams_are_perfect_and_silent_ones_are_not() -> None:
    right = scored((track(event("wave", 10, 20, late=0.0)),), line("wave", 10, 20)).figures
    found = bag_figures(right)
    shares = ("detection_rate", "mean_jaccard", "map", "mcap", "edit", "f1_50", "clip_top1", "clip_top5")
    assert [found[name] for name in shares] == [1.0] * len(shares)
    assert (found["false_per_minute"], found["onset_delay_p90"], found["unknown_auroc"]) == (0.0, 0.0, None)
    silent = scored((track(),), line("wave", 10, 20)).figures
    assert (silent.report.events.detection_rate, silent.accuracy.top5) == (0.0, 0.0)


def test_every_pass_is_compared_with_the_truth() -> None:
    twice = scored((track(event("wave", 10, 20)), track(event("wave", 11, 20))), line("wave", 10, 20))
    assert twice.figures.report.events.performed == 2
    assert twice.figures.report.events.seconds == 120


def test_actions_outside_the_recording_are_reported_and_left_out() -> None:
    found = scored((track(event("wave", 10, 20)),), line("wave", 10, 20), line("jog", 70, 80), line("jog", 90, 95))
    assert found.figures.report.events.performed == 1
    (fault,) = found.result.faults
    assert fault.text == "/camera: jog at 70.0 .. 80.0 s and 1 more lies outside the recording and is left out"
    assert not fault.fatal


def test_a_stream_without_truth_has_no_figures_and_says_so() -> None:
    found = judge(StreamResult(replace(STREAM, bag="other"), LABELS, 0, (track(),)), Truth({}, ()))
    assert found.figures is None
    assert found.result.faults[0].fatal


def evaluation(*streams: JudgedStream) -> BagEvaluation:
    judged = [one for stream in streams for one in stream.judged]
    faults = tuple(fault for stream in streams for fault in stream.result.faults)
    machine = Machine("", 2, 1, "", "", "")
    labels = tuple(figures.by_label(judged, LABELS)) if judged else ()
    whole = measure(judged, LABELS) if judged else None
    return BagEvaluation("m", LABELS, ("truth.csv",), streams, faults, whole, labels, 1.0, 1, machine)


WAVES = tuple(line("wave", start, start + 5) for start in range(5, 55, 10))


def report(*starts: float, late: float = 1.0, extra: tuple[PredictedEvent, ...] = ()) -> dict:
    events = tuple(event("wave", start, start + 5, late=late) for start in starts)
    return bag_document(evaluation(scored((track(*events, *extra),), *WAVES)))


BASE = report(5, 15, 25, 35, 45)


def test_the_gate_lets_pass_what_is_as_good_or_better() -> None:
    assert compare(BASE, report(5, 15, 25, 35, 45), 0.0) == GateResult((), ())
    assert compare(report(5, 15), BASE, 0.0).passed
    assert compare(BASE, report(5, 15, 25, 35, 45, late=0.2), 0.0).passed


def test_the_gate_names_what_got_worse_and_where() -> None:
    verdict = compare(BASE, report(5, 15, 25, 35), 1.0)
    assert "detection rate: was 100.0%, 80.0%, 20.0 points less" in verdict.worse
    assert any(text.startswith("clip top-1: ") for text in verdict.worse)
    assert not any("delay" in text for text in verdict.worse)
    assert "wave: was 5 of 5 with 0 false, detected 4 of 5 with 0 false" in verdict.where
    assert "run /camera: detection rate was 100.0%, 80.0%" in verdict.where


def test_points_and_percent_of_the_limit() -> None:
    fewer = report(5, 15, 25, 35)
    names = {text.partition(":")[0] for text in compare(BASE, fewer, 20.0).worse}
    assert "detection rate" not in names  # exactly 20 points
    assert "detection rate" in {text.partition(":")[0] for text in compare(BASE, fewer, 19.9).worse}
    slower = report(5, 15, 25, 35, 45, late=1.1)
    assert compare(BASE, slower, 10.1).passed
    assert compare(BASE, slower, 9.9).worse[0] == "onset delay, median: was 1.00 s, 1.10 s"
    alarm = report(5, 15, 25, 35, 45, extra=(event("jog", 57, 59),))
    assert "false events per minute: was 0.00, 1.00" in compare(BASE, alarm, 50.0).worse


def test_a_bag_that_fails_now_is_worse() -> None:
    second = replace(STREAM, topic="/b")
    both = bag_document(evaluation(scored((track(),), *WAVES), scored((track(),), *WAVES, stream=second)))
    lost = bag_document(evaluation(scored((track(),), *WAVES), scored((), *WAVES, stream=second)))
    assert compare(both, lost, 100.0).worse == ("run /b: it no longer has figures",)


def test_figures_of_other_bags_or_another_truth_are_not_compared() -> None:
    other = bag_document(evaluation(scored((track(),), line("wave", 1, 2))))
    with pytest.raises(ConfigError, match="the truth about run /camera differs from the baseline's"):
        compare(BASE, other, 1.0)
    more = evaluation(scored((track(),), *WAVES), scored((track(),), *WAVES, stream=replace(STREAM, topic="/b")))
    with pytest.raises(ConfigError, match="has other bags: it lacks run /b"):
        compare(BASE, bag_document(more), 1.0)
    with pytest.raises(ConfigError, match="only the baseline has run"):
        compare(BASE, bag_document(evaluation()), 1.0)
