"""Figures of events, on cases worked out by hand, and what must hold for any events."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxformer_core.evaluation.metrics.events import EventReport, score_events
from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent, jaccard, match, overlap
from fluxformer_core.evaluation.metrics.stream_output import frame_names, predicted_events
from fluxformer_core.types import SECOND, ActionEvent, EventKind


def done(start: float, end: float, label: str = "wave") -> Interval:
    return Interval(round(start * SECOND), round(end * SECOND), label)


def said(start: float, end: float, label: str = "wave", published: float = 0.0, **more: object) -> PredictedEvent:
    times = (round(start * SECOND), round(end * SECOND))
    return replace(PredictedEvent(*times, label, published=round(published * SECOND)), **more)


def test_overlap_and_jaccard_index() -> None:
    assert overlap(done(0, 4), done(3, 5)) == SECOND
    assert overlap(done(0, 4), done(4, 5)) == 0
    assert jaccard(done(0, 4), done(3, 5)) == pytest.approx(1 / 5)
    assert jaccard(done(0, 4), done(1, 3)) == pytest.approx(2 / 4)
    with pytest.raises(ValueError, match="not after its start"):
        done(1, 1)


def test_the_better_overlap_wins_and_each_counts_once() -> None:
    truth, events = [done(0, 4), done(10, 12)], [said(0, 1), said(1, 4), said(11, 12)]
    matching = match(truth, events)
    assert [(pair.truth, pair.predicted) for pair in matching.pairs] == [(truth[0], events[1]), (truth[1], events[2])]
    assert [pair.jaccard for pair in matching.pairs] == [pytest.approx(3 / 4), pytest.approx(1 / 2)]
    assert (matching.false, matching.missed) == ((events[0],), ())


def test_a_stream_worked_out_by_hand() -> None:
    truth = [done(1, 3, "wave"), done(5, 7, "clap"), done(10, 14, "push"), done(20, 22, "wave")]
    events = [
        said(1, 3, "wave", 1.5),  # exact, 0.5 s late
        said(5, 8, "clap", 7.5, withdrawn=("wave",)),  # 2 of 3 s, 2.5 s late
        said(10, 12, "throw", 11),  # another action's name
        said(12, 14, "push", 13),  # 2 of 4 s, 3 s late
        said(10, 11, "push", 11),  # once more
        said(16, 17, "wave", 17),  # no action
    ]
    report = score_events(truth, events, seconds=30)
    assert report.detection_rate == 3 / 4
    assert report.mean_jaccard == pytest.approx((1 + 2 / 3 + 1 / 2 + 0) / 4)
    assert (report.repeated, report.confused, report.invented) == (1, 1, 1)
    assert report.false_per_minute == pytest.approx(3 / 0.5)
    assert report.withdrawn_per_minute == pytest.approx(1 / 0.5)
    assert report.delay(50) == pytest.approx(2.5)
    assert report.delay(90) == pytest.approx(2.9)  # numpy's interpolation between 2.5 and 3


def test_two_streams_are_one_long_stream() -> None:
    first = score_events([done(1, 3)], [said(1, 3, published=2)], 10)
    second = score_events([done(1, 3), done(5, 6, "clap")], [said(7, 8, published=8)], 50)
    both = first + second
    assert both.detection_rate == 1 / 3
    assert both.false_per_minute == 1
    assert both.delay(50) == pytest.approx(1.0)
    assert first + EventReport() == first


def test_no_action_and_no_event() -> None:
    silent = score_events([], [], 60)
    assert silent.false_per_minute == 0
    assert np.isnan([silent.detection_rate, silent.mean_jaccard, silent.delay(50)]).all()
    assert score_events([done(1, 2)], [], 60).detection_rate == 0
    assert score_events([], [said(1, 2)], 60).false_per_minute == 1
    with pytest.raises(ValueError, match="longer"):
        score_events([], [], 0)


labels = st.sampled_from(["clap", "wave", "push"])
spans = st.tuples(st.integers(0, 40), st.integers(1, 10))
actions = st.lists(st.builds(lambda span, label: done(span[0], sum(span), label), spans, labels), max_size=8)
published = st.builds(lambda span, label, late: said(span[0], sum(span), label, span[0] + late),
                      spans, labels, st.integers(0, 9))  # fmt: skip
reports = st.lists(published, max_size=8)


@given(actions)
def test_events_equal_to_the_truth_are_right(truth: list[Interval]) -> None:
    events = [PredictedEvent(a.start, a.end, a.label, published=a.start) for a in truth]
    report = score_events(truth, events, 60)
    assert report.false == 0
    assert report.detected == len(truth)
    if truth:
        assert report.mean_jaccard == report.detection_rate == 1.0
        assert report.delay(90) == 0.0


@given(actions, reports, st.randoms(use_true_random=False))
def test_order_does_not_matter(truth: list[Interval], events: list[PredictedEvent], random: Random) -> None:
    mixed_truth, mixed_events = (random.sample(items, len(items)) for items in (truth, events))
    assert score_events(mixed_truth, mixed_events, 60) == score_events(truth, events, 60)


@given(actions, reports)
def test_everything_is_accounted_for(truth: list[Interval], events: list[PredictedEvent]) -> None:
    matching = match(truth, events)
    assert sorted([pair.truth for pair in matching.pairs] + list(matching.missed)) == sorted(truth)
    assert sorted([pair.predicted for pair in matching.pairs] + list(matching.false)) == sorted(events)
    assert all(pair.truth.label == pair.predicted.label and pair.jaccard > 0 for pair in matching.pairs)
    report = score_events(truth, events, 60)
    assert report.detected + report.false == len(events)
    assert report.detected <= report.performed == len(truth)
    assert not truth or 0 <= report.mean_jaccard <= report.detection_rate <= 1


@given(actions, reports)
def test_no_pair_that_could_still_be_made_is_left(truth: list[Interval], events: list[PredictedEvent]) -> None:
    matching = match(truth, events)
    left = [(t, p) for t in matching.missed for p in matching.false if t.label == p.label]
    assert all(overlap(t, p) == 0 for t, p in left)


def event(kind: EventKind, stamp: float, label: str, instance: int, **more: object) -> ActionEvent:
    return replace(ActionEvent(round(stamp * SECOND), kind, label, instance, start=0), **more)


def test_an_instance_counts_under_its_last_label_from_its_publication_on() -> None:
    stream = [
        event(EventKind.STARTED, 1.0, "push", 1, score=0.6),
        event(EventKind.UPDATED, 1.6, "throw", 1, score=0.7),
        event(EventKind.ENDED, 2.5, "throw", 1, end=2 * SECOND, score=0.8),
    ]
    (found,) = predicted_events(stream, lambda event: SECOND // 10)
    assert found == PredictedEvent(0, 2 * SECOND, "throw", 0.8, round(1.7 * SECOND), ("push",))


def test_a_retracted_instance_is_no_event_but_a_withdrawn_label() -> None:
    stream = [
        event(EventKind.STARTED, 1.0, "push", 1),
        event(EventKind.UPDATED, 1.6, "throw", 1),
        event(EventKind.RETRACTED, 1.8, "throw", 1, end=round(1.7 * SECOND)),
    ]
    (found,) = predicted_events(stream)
    assert (found.label, found.withdrawn) == ("", ("push", "throw"))
    truth = [Interval(0, 2 * SECOND, "wave")]
    report = score_events(truth, [found, PredictedEvent(0, SECOND, "wave")], 60.0)
    assert (report.detected, report.false, report.withdrawn) == (1, 0, 2)
    assert frame_names([found, *truth], np.array([SECOND])) == ["wave"]


def test_events_must_be_whole() -> None:
    with pytest.raises(ValueError, match="never ended"):
        predicted_events([event(EventKind.STARTED, 1, "push", 1)])
    with pytest.raises(ValueError, match="never started"):
        predicted_events([event(EventKind.ENDED, 1, "push", 1, end=SECOND)])
