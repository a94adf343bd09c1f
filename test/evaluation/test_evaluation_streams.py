"""The figures of whole streams, from the output of the recogniser."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import LABELS, rgb, small_bundle, texture, view

from fluxformer_core.evaluation.metrics.intervals import Interval, PredictedEvent
from fluxformer_core.evaluation.metrics.stream_output import frame_scores, frame_truth, predicted_events
from fluxformer_core.evaluation.metrics.streams import StreamRecord, score_streams
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND

STAMPS = np.arange(200) * SECOND // 20
SILENT = np.zeros((len(STAMPS), len(LABELS)))


def stream(*truth: Interval, events: tuple[PredictedEvent, ...], scores: np.ndarray) -> StreamRecord:
    return StreamRecord(STAMPS, truth, events, scores)


def test_a_perfect_stream_is_perfect() -> None:
    truth = (Interval(SECOND, 3 * SECOND, "clap"), Interval(5 * SECOND, 8 * SECOND, "wave"))
    events = tuple(PredictedEvent(a.start, a.end, a.label, 1.0, a.start) for a in truth)
    scores = frame_truth(truth, LABELS, STAMPS).astype(float)
    report = score_streams([stream(*truth, events=events, scores=scores)], LABELS)
    assert (report.events.detection_rate, report.events.false, report.events.delay(90)) == (1.0, 0, 0.0)
    assert (report.mean_ap, report.mean_calibrated_ap, report.edit) == (1.0, 1.0, 1.0)
    assert report.ap_by_stage == (1.0,) * 10
    assert set(report.f1.values()) == {1.0}


def test_streams_are_taken_together() -> None:
    action, seen = Interval(SECOND, 3 * SECOND, "clap"), PredictedEvent(SECOND, 3 * SECOND, "clap", 1.0, 2 * SECOND)
    good = stream(action, events=(seen,), scores=frame_truth([action], LABELS, STAMPS).astype(float))
    blind = stream(action, events=(), scores=SILENT)
    report = score_streams([good, blind], LABELS)
    assert report.events.detection_rate == 0.5
    assert report.events.seconds == pytest.approx(2 * 9.95)
    assert report.edit == 0.5
    assert report.f1[0.5] == pytest.approx(2 / 3)
    # 40 frames come first; the other 40 tie with 320 frames of nothing.
    assert report.mean_ap == pytest.approx(0.5 + 0.5 * 80 / 400)


def test_no_action_and_no_event() -> None:
    report = score_streams([stream(events=(), scores=SILENT)], LABELS)
    assert report.events.false_per_minute == 0.0
    assert math.isnan(report.mean_ap)
    assert (report.edit, report.f1[0.5]) == (1.0, 1.0)


def test_refuses_what_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="two frames"):
        score_streams([], LABELS)
    odd = stream(Interval(0, SECOND, "somersault"), events=(), scores=SILENT)
    with pytest.raises(ValueError, match="somersault"):
        score_streams([odd], LABELS)


def test_a_real_recogniser_can_be_measured() -> None:
    """A confident model labels each motion segment; the segment is found whatever the label."""
    recognizer = Recognizer(small_bundle(temperature=1e-4), RecognizerConfig(top_k=len(LABELS)))
    picture, recognitions, events = texture(120, 120), [], []
    for i, stamp in enumerate(STAMPS.tolist()):
        right = 10 * np.sin(i / 3) if 60 <= i < 140 else 0.0
        update = recognizer.push(rgb(view(picture, right, 0.0, 64)), stamp)
        recognitions += [update.recognition] if update.recognition else []
        events += update.events
    events += recognizer.close()
    found = predicted_events(events)
    assert found
    name = max(found, key=lambda event: event.end - event.start).label
    truth = Interval(int(STAMPS[60]), int(STAMPS[140]), name)
    scores = frame_scores(recognitions, LABELS, STAMPS)
    report = score_streams([stream(truth, events=tuple(found), scores=scores)], LABELS)
    assert report.events.detection_rate == 1.0
    assert report.events.mean_jaccard > 0.5
    assert 0.2 < report.events.delay(50) < 3.0
    assert report.mean_calibrated_ap > 0.5
    assert report.ap_by_stage[0] < report.ap_by_stage[5]  # nothing is named at once
