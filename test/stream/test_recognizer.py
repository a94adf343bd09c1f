"""The recogniser as a whole: frames in, recognitions and events out, and everything counted. Labels mean nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import (
    EAGER,
    EPOCH,
    LABELS,
    actor_images,
    events_of,
    push_images,
    recognitions_of,
    rgb,
    small_bundle,
    texture,
    view,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.errors import ImageError
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.clip import build_clip
from fluxformer_core.stream.config import DecisionConfig, MotionConfig
from fluxformer_core.stream.measurements import ResetCause, StageTimings
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.selection import choose
from fluxformer_core.stream.stream import LEAD
from fluxformer_core.types import SECOND, EventKind, Pixels, State


def stamped(images: list[np.ndarray]) -> list[tuple[np.ndarray, int]]:
    return [(image, EPOCH + i * SECOND // 20) for i, image in enumerate(images)]


def still(count: int, *, size: int = 32) -> list[np.ndarray]:
    return [rgb(texture(size, size))] * count


def open_an_event(recognizer: Recognizer, acting: list[np.ndarray]) -> int:
    """Push until an action is under way; the newest stamp."""
    for image, stamp in stamped(acting):
        recognizer.push(image, stamp)
        if recognizer.scene.open_event is not None:
            return stamp
    raise AssertionError("nothing has started")


@pytest.mark.parametrize("rate", [15, 20, 30, 60])
def test_what_the_model_sees_of_a_stream_is_what_the_whole_clip_gives(bundle, rate):
    """Bit by bit, after every frame."""
    images = actor_images((1.0, 2.6), still=1.0, size=128, rate=float(rate))
    recognizer, model = Recognizer(bundle, EAGER), bundle.build_model()
    spec = bundle.spec
    whole = RollingBuffer(replace(spec, window=len(images)), DisFlow())
    looked = 0
    for i, image in enumerate(images):
        stamp, admitted = EPOCH + round(i * SECOND / rate), recognizer.counters.admitted
        recognition = recognizer.push(image, stamp).recognition
        if recognizer.counters.admitted == admitted:
            continue
        whole.push(prepare(image, Pixels.RGB, spec), stamp)
        all_of_it, seen = whole.window(), recognizer.scene.last_clip
        first = max(len(all_of_it) - spec.window, 0)
        for name in Window.__dataclass_fields__:
            ours, theirs = getattr(recognizer.scene.window, name), getattr(all_of_it, name)[first:]
            assert np.array_equal(ours[1:], theirs[1:]), name  # a flow field depends on its two frames alone
        if recognition is None or recognizer.scene.open_event is None:
            continue
        first += int(np.searchsorted(seen.window_stamps, recognizer.scene.open_event.start - round(LEAD * SECOND)))
        shown = all_of_it.since(first)
        chosen = first + choose(shown.motion, shown.change, shown.descriptors, spec.frames).indices
        assert np.array_equal(seen.stamps, all_of_it.stamps[chosen])
        ours = build_clip(seen.frames, seen.flow, spec)
        theirs = build_clip(all_of_it.frames[chosen], all_of_it.flow[chosen], spec)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        with torch.inference_mode():
            expected = model(*theirs).logits[0].softmax(0)
        scores = {score.label: score.score for score in recognition.scores}
        assert [scores[label] for label in LABELS] == pytest.approx(expected.tolist(), abs=1e-6)
        assert (recognition.window_start, recognition.window_end) == (int(seen.stamps[0]), int(seen.stamps[-1]))
        looked += 1
    assert looked >= 5
    assert recognizer.counters.forwards >= looked


def test_the_temperature_flattens_the_scores(acting):
    best = []
    for temperature in (0.1, 1.0, 10.0):
        updates = push_images(Recognizer(small_bundle(temperature=temperature), EAGER), acting)
        best.append(np.mean([r.scores[0].score for r in recognitions_of(updates) if r.scores]))
    assert best[0] > best[1] > best[2] > 1 / len(LABELS)


def test_what_came_before_a_reset_leaves_no_trace(bundle, acting):
    used, fresh = Recognizer(bundle, EAGER), Recognizer(bundle, EAGER)
    push_images(used, acting[30:50])
    used.reset()
    later = EPOCH + 100 * SECOND
    ours, theirs = (push_images(recognizer, acting, start=later) for recognizer in (used, fresh))
    assert recognitions_of(ours) == recognitions_of(theirs)
    strip = [replace(event, instance=0) for event in events_of(ours)]
    assert strip == [replace(event, instance=0) for event in events_of(theirs)]


def test_recognitions_tell_what_they_looked_at(bundle, acting):
    recognizer = Recognizer(bundle, EAGER)
    states = set()
    for image, stamp in stamped(acting):
        recognition = recognizer.push(image, stamp).recognition
        if recognition is None:
            continue
        states.add(recognition.state)
        assert recognition.stamp == stamp
        assert EPOCH <= recognition.window_start <= recognition.window_end <= stamp
        assert 1 <= recognition.frames_in_window <= bundle.spec.window
        assert recognition.motion >= 0
        if recognition.state is State.ACTION:
            assert recognition.label in LABELS
            values = [score.score for score in recognition.scores]
            assert values == sorted(values, reverse=True)
            assert sum(values) == pytest.approx(1.0, abs=1e-5)
            assert recognition.score == dict((s.label, s.score) for s in recognition.scores)[recognition.label]
        else:
            assert (recognition.label, recognition.score) == ("", 0.0)
    assert states == {State.WARMING_UP, State.IDLE, State.ACTION}


def test_it_says_that_it_warms_up_until_a_clip_is_full(bundle):
    recognizer = Recognizer(bundle, replace(EAGER, recognition_rate=100.0))
    recognitions = recognitions_of(push_images(recognizer, still(10)))
    assert [r.frames_in_window for r in recognitions] == list(range(1, 11))
    needed = bundle.spec.frames
    assert {r.state for r in recognitions[: needed - 1]} == {State.WARMING_UP}
    assert {r.state for r in recognitions[needed - 1 :]} == {State.IDLE}
    recognizer.reset()
    again = recognizer.push(still(1)[0], EPOCH + 60 * SECOND).recognition
    assert again is not None
    assert again.state is State.WARMING_UP


def test_nothing_is_computed_for_a_still_scene(bundle):
    recognizer = Recognizer(bundle, EAGER)
    push_images(recognizer, still(60))
    assert recognizer.counters.forwards == 0
    assert recognizer.counters.recognitions > 0
    assert recognizer.scene.last_clip is None


STEPS = [0, SECOND // 60, SECOND // 30, SECOND // 20, SECOND // 5, 2 * SECOND, -SECOND // 30, -SECOND * 3]


@settings(max_examples=25)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=80))
def test_every_frame_is_counted_once(bundle, steps):
    recognizer = Recognizer(bundle, EAGER)
    pictures = [rgb(view(texture(60, 60), 3 * i, 0, 32)) for i in range(3)]
    stamp, updates = EPOCH, []
    for i, step in enumerate([0, *steps]):
        stamp += step
        updates.append(recognizer.push(pictures[i % 3], stamp))
    counters = recognizer.counters
    assert counters.frames == len(steps) + 1
    assert counters.frames == counters.admitted + counters.skipped + counters.duplicates + counters.late
    assert counters.duplicates >= steps.count(0) - counters.late
    assert counters.flows == counters.admitted - 1 - sum(counters.resets.values())
    assert counters.recognitions == len(recognitions_of(updates))
    assert counters.resets[ResetCause.REQUESTED] == counters.resets[ResetCause.SIZE_CHANGE] == 0
    kinds = [event.kind for event in events_of(updates)]
    assert kinds.count(EventKind.STARTED) - kinds.count(EventKind.ENDED) == (recognizer.scene.open_event is not None)


def test_counters_name_what_happened_to_each_frame(bundle):
    recognizer = Recognizer(bundle)
    image = still(1)[0]
    for milliseconds in (0, 50, 50, 40, 60, 100, 1000, 1050, 100, 150):
        recognizer.push(image, EPOCH + milliseconds * 1_000_000)
    counters = recognizer.counters
    assert (counters.frames, counters.admitted, counters.flows) == (10, 7, 4)
    assert (counters.skipped, counters.duplicates, counters.late) == (1, 1, 1)
    assert counters.resets == {**dict.fromkeys(ResetCause, 0), ResetCause.GAP: 1, ResetCause.TIME_JUMP: 1}


@pytest.mark.parametrize(
    ("rows", "step", "pixels", "cause"),
    [
        (90, SECOND // 20, Pixels.RGB, ResetCause.SIZE_CHANGE),
        (128, SECOND // 20, Pixels.BGR, ResetCause.SIZE_CHANGE),
        (128, SECOND, Pixels.RGB, ResetCause.GAP),
        (128, -1000 * SECOND, Pixels.RGB, ResetCause.TIME_JUMP),
    ],
)
def test_a_break_in_the_stream_empties_the_window_and_ends_the_action(bundle, acting, rows, step, pixels, cause):
    recognizer = Recognizer(bundle, EAGER)
    newest = open_an_event(recognizer, acting)
    opened = recognizer.scene.open_event
    update = recognizer.push(acting[0][:rows], newest + step, pixels)
    (ended,) = update.events
    assert (ended.kind, ended.instance, ended.stamp) == (EventKind.ENDED, opened.instance, newest)
    assert opened.start <= ended.end <= newest
    assert recognizer.scene.open_event is None
    assert recognizer.scene.last_clip is None
    assert {c: n for c, n in recognizer.counters.resets.items() if n} == {cause: 1}
    assert update.recognition is not None, "the first frame after a break says that the recogniser warms up"
    assert (update.recognition.state, update.recognition.frames_in_window) == (State.WARMING_UP, 1)
    assert update.recognition.stamp == newest + step


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_requested_reset_or_end_closes_the_action_and_the_recogniser_can_be_used_on(bundle, acting, end):
    recognizer = Recognizer(bundle, EAGER)
    newest = open_an_event(recognizer, acting)
    (ended,) = getattr(recognizer, end)()
    assert (ended.kind, ended.stamp) == (EventKind.ENDED, newest)
    assert getattr(recognizer, end)() == ()
    if end == "reset":  # nothing is known of the time before: an older stamp is no jump, another size no change
        again = events_of(push_images(recognizer, [image[:120] for image in acting], start=EPOCH - 5 * SECOND))
        resets = recognizer.counters.resets
        assert sum(resets.values()) == resets[ResetCause.REQUESTED] == 2
    else:
        again = events_of(push_images(recognizer, acting, start=newest + 10 * SECOND))
    assert [event.kind for event in again] == [EventKind.STARTED, EventKind.ENDED]
    assert again[0].instance == ended.instance + 1


def test_the_event_has_the_times_of_the_performance(bundle, acting):
    started, ended = events_of(push_images(Recognizer(bundle, EAGER), acting))
    assert (started.kind, ended.kind) == (EventKind.STARTED, EventKind.ENDED)
    assert (started.start - EPOCH) / SECOND == pytest.approx(1.0, abs=0.25)
    assert (ended.end - EPOCH) / SECOND == pytest.approx(2.6, abs=0.25)
    assert ended.stamp - ended.end <= MotionConfig().max_still_time * SECOND, "rest ends it by then"


def test_a_faster_camera_shows_the_model_the_same_action(bundle):
    found = []
    for rate in (20.0, 60.0):
        recognizer = Recognizer(bundle, EAGER)
        images = actor_images((1.0, 2.6), still=1.4, size=128, rate=rate)
        events = events_of(push_images(recognizer, images, rate=rate))
        assert recognizer.counters.admitted == pytest.approx(80, abs=2)
        found.append(events[0].start - EPOCH)
    assert found[0] == pytest.approx(found[1], abs=SECOND // 10)


@pytest.mark.parametrize(
    ("image", "pixels"),
    [
        (np.zeros((32, 32), np.uint8), Pixels.RGB),
        (np.zeros((32, 32, 3), np.float32), Pixels.RGB),
        (np.zeros((0, 32, 3), np.uint8), Pixels.RGB),
        (np.zeros((32, 32), np.uint8), Pixels.DEPTH),
    ],
)
def test_an_unusable_image_counts_for_nothing(bundle, acting, image, pixels):
    recognizer, spared = Recognizer(bundle, EAGER), Recognizer(bundle, EAGER)
    ours = []
    for picture, stamp in stamped(acting[:40]):
        with pytest.raises(ImageError):
            recognizer.push(image, stamp, pixels)
        ours.append(recognizer.push(picture, stamp))
    assert ours == push_images(spared, acting[:40])
    assert recognizer.counters == spared.counters


@pytest.mark.parametrize("pixels", [Pixels.DEPTH, Pixels.GREY])
def test_depth_and_grey_streams_work_too(bundle, acting, pixels):
    images = [image[..., 1] for image in acting]
    if pixels is Pixels.DEPTH:
        images = actor_images((1.0, 2.6), still=1.4, size=128, mode="depth")
    recognizer = Recognizer(bundle, EAGER)
    updates = [recognizer.push(image, stamp, pixels) for image, stamp in stamped(images)]
    assert [event.kind for event in events_of(updates)] == [EventKind.STARTED, EventKind.ENDED]


def test_the_longest_gap_and_the_listed_scores_can_be_changed(bundle, acting):
    recognizer = Recognizer(bundle, EAGER)
    newest = open_an_event(recognizer, acting)
    recognizer.config = replace(EAGER, max_gap=3.0, top_k=2)
    assert recognizer.config.top_k == 2
    update = recognizer.push(acting[40], newest + 2 * SECOND)
    assert recognizer.counters.resets[ResetCause.GAP] == 0
    assert update.recognition is not None
    assert len(update.recognition.scores) == 2
    recognizer.config = replace(EAGER, max_gap=0.1)
    recognizer.push(acting[41], newest + 2 * SECOND + SECOND // 5)
    assert recognizer.counters.resets[ResetCause.GAP] == 1


def test_other_thresholds_take_effect_at_the_next_push(bundle, acting):
    recognizer = Recognizer(bundle, EAGER)
    opened = open_an_event(recognizer, acting)
    strict = replace(EAGER, decision=DecisionConfig(start_score=1.0))
    recognizer.config = strict
    assert recognizer.scene.open_event is not None, "what has started goes on"
    updates = push_images(recognizer, acting[50:], start=opened + SECOND // 20)
    assert [event.kind for event in events_of(updates)] == [EventKind.ENDED]
    assert events_of(push_images(recognizer, acting, start=opened + 60 * SECOND)) == []


def test_timings_are_kept_per_stage(bundle, acting):
    recognizer = Recognizer(bundle, EAGER)
    assert all(math.isnan(recognizer.timings.percentile(stage, 50)) for stage in StageTimings.STAGES)
    push_images(recognizer, acting)
    assert math.isnan(recognizer.timings.percentile("people", 50)), "the scene view looks for nobody"
    for stage in StageTimings.STAGES[1:]:
        low, high = (recognizer.timings.percentile(stage, q) for q in (0, 100))
        assert 0 < low <= high


def test_timings_keep_the_newest(bundle):
    timings = StageTimings(keep=4)
    for _ in range(9):
        with timings.measure("flow"):
            pass
    assert timings.percentile("flow", 100) > 0
    assert math.isnan(timings.percentile("forward", 50))


def test_warming_up_counts_for_nothing_and_leaves_nothing_to_end(bundle):
    recognizer, fresh = Recognizer(bundle), Recognizer(bundle)
    recognizer.model.warm_up()
    assert recognizer.counters == fresh.counters
    assert recognizer.model.device == "cpu"
    assert math.isnan(recognizer.timings.percentile("forward", 50))
    assert recognizer.close() == recognizer.reset() == ()
