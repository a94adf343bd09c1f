"""Synthetic scenes: they have no jumps, their truth is right, and the same outputs lead to the same decisions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from helpers import small_bundle

from benchmarks.synthetic.scenery import RATE, SIDE, load, noisy
from benchmarks.synthetic.stillness import STILL, stillness
from benchmarks.synthetic.stream_bed import GAP, IDLE, Performer, Scenario, compose, scenario, stamps_of
from benchmarks.synthetic.watching import Decided, Watched, as_stream, decide, run_together, watch
from fluxformer_core.actor import rehearse
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.stream.config import DecisionConfig, RecognizerConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND

CLIPS = tuple(ActorClip(label, 3, "depth") for label in ("wave", "walk", "squat", "clap", "throw", "swipe_left"))
EAGER = DecisionConfig(start_score=0.3, keep_score=0.3, min_duration=0.1)


@pytest.fixture(scope="module")
def stream() -> Scenario:
    return compose([Performer("one", CLIPS[:3]), Performer("other", CLIPS[3:])], 60.0, seed=1)


@pytest.fixture(scope="module")
def pictures(stream: Scenario) -> list[tuple[int, np.ndarray]]:
    return list(stream.play())


@pytest.fixture(scope="module")
def watched(pictures: list[tuple[int, np.ndarray]]) -> Watched:
    decision = RecognizerConfig(decision=EAGER)
    return watch(Recognizer(small_bundle(window=64), decision), pictures)


def performed(stream: Scenario) -> list[str]:
    return sorted(scene.label for scene in stream.scenes if scene.kind == "action")


def test_the_truth_is_walking_while_at_least_half_of_the_person_is_visible(stream):
    scenes = [scene for scene in stream.scenes if scene.kind == "walking"]
    assert {scene.label for scene in scenes} == {"walk"}
    for scene in scenes:
        seen = [picture.max(axis=2) > 25 for picture in list(scene.draw())[scene.first : scene.last + 1]]
        assert all(lit.any() for lit in seen)
        travelled = np.abs(np.diff([np.median(np.nonzero(lit)[1]) for lit in seen]))
        assert travelled.mean() > 0.5, "px a frame: on the way, not at rest"


def test_the_truth_is_in_order_and_inside_its_scenes_and_every_recording_is_performed_once(stream):
    assert performed(stream) == sorted(clip.label for clip in CLIPS)
    assert all(a.end <= b.start for a, b in pairwise(stream.truth))
    inside = [scene for scene in stream.scenes if scene.label]
    assert all(0 <= scene.first < scene.last < scene.frames for scene in inside)


def test_the_stamps_are_those_of_the_pictures(stream, pictures):
    stamps = [stamp for stamp, _ in pictures]
    assert stamps == stamps_of(stream).tolist()
    steps = np.diff(stamps) / SECOND
    gaps = sum(scene.gap for scene in stream.scenes[1:])
    assert np.sum(steps > GAP) == gaps
    assert steps[steps < GAP] == pytest.approx(1 / RATE)
    assert all(picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8 for _, picture in pictures)


def test_the_same_seed_gives_the_same_stream_and_another_one_another():
    performers = [Performer("one", CLIPS[:1]), Performer("other", CLIPS[3:4])]
    stream, again, other = (compose(performers, 12.0, seed=seed) for seed in (1, 1, 2))
    assert all((a == b).all() for (_, a), (_, b) in zip(stream.play(), again.play(), strict=True))
    assert other.truth != stream.truth


def test_nothing_jumps_but_where_a_gap_is_declared(stream, pictures):
    within = max(np.abs(a.astype(int) - b).mean() for clip in CLIPS for a, b in pairwise(load(clip).frames))
    # A person who passes close by fills more of the picture than a person in a recording.
    limit = max(2 * within, 25.0)
    steps = [(a, b) for (before, a), (after, b) in pairwise(pictures) if after - before < SECOND]
    assert all(np.abs(a.astype(int) - b).mean() < limit for a, b in steps)


def test_scenes_without_actions_have_the_wanted_duration():
    stream = compose([Performer("one", CLIPS)], 60.0, seed=4, idle=0.5)
    assert stream.share(*IDLE) == pytest.approx(0.5, abs=0.15)


def test_a_stream_is_no_longer_than_asked():
    stream = compose([Performer("one", CLIPS)], 6.0, seed=0)
    assert 0 < len(performed(stream)) < len(CLIPS)


@pytest.mark.parametrize("label", ["wave", "squat", "throw", "clap", "swipe_left"])
def test_the_extent_of_an_action_is_that_of_its_script(label):
    clip = ActorClip(label, 5, "depth")
    (performance,) = rehearse(label, 5, rate=RATE, size=(SIDE, SIDE)).script
    footage = load(clip)
    assert footage.first / RATE == pytest.approx(performance.start, abs=0.25)
    assert footage.last / RATE == pytest.approx(performance.end, abs=0.3)


def test_recordings_of_whole_rooms_and_no_recordings_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match="at least one recording"):
        compose([Performer("one", ())], 10.0)
    room = replace(load(CLIPS[0]), frames=(np.full((SIDE, SIDE, 3), 120, np.uint8),) * 5)
    monkeypatch.setattr("benchmarks.synthetic.stream_bed.load", lambda clip: room)
    with pytest.raises(ConfigError, match="background"):
        compose([Performer("one", CLIPS)], 10.0)


def test_deciding_again_on_the_same_outputs_gives_the_same_events(watched):
    assert watched.events, "with random weights and eager thresholds there is something to compare"
    assert decide(watched.moments, small_bundle().labels, EAGER).events == watched.events


def test_streams_for_scoring_have_the_actions_with_known_labels(stream, watched):
    labels = small_bundle().labels
    made = as_stream(watched.moments, decide(watched.moments, labels, EAGER), stream.truth, labels)
    assert [action.label for action in made.truth] == [a.label for a in stream.truth if a.label in labels]
    assert {action.label for action in made.truth} == {"clap", "walk", "wave"}
    assert made.scores.shape == (len(watched.moments), 3)
    assert len(made.stamps) == len(watched.moments)
    assert all(event.published > event.start for event in made.events)


def test_compute_is_part_of_the_delay(stream, watched):
    labels = small_bundle().labels
    slower = tuple(replace(moment, compute=moment.compute + SECOND) for moment in watched.moments)
    decided = decide(watched.moments, labels, EAGER)
    fast, slow = (as_stream(m, decided, stream.truth, labels).events for m in (watched.moments, slower))
    assert {b.published - a.published for a, b in zip(fast, slow, strict=True)} == {SECOND}


def test_actions_whose_motion_segment_started_long_before_are_counted():
    truth = [Interval(begin * SECOND, (begin + 2) * SECOND, "wave") for begin in (10, 20, 30, 40)]
    times = np.array([11.0, 11.9, 20.5, 21.0, 31.0])  # nothing was decided during the last action
    starts = np.array([9.0, 9.8, 17.0, 17.0, 29.0])  # found a little soon; long before; long before
    nothing = np.zeros(len(times))
    stamps, begun = ((seconds * SECOND).astype(np.int64) for seconds in (times, starts))
    decided = Decided((), stamps, nothing, nothing[:, None], begun)
    assert run_together(decided, truth) == pytest.approx(2 / 3)
    assert run_together(decided, truth[3:]) == 0.0


def test_the_motion_segment_of_each_decision_starts_before_the_decision(watched):
    decided = decide(watched.moments, small_bundle().labels, EAGER)
    assert len(decided.segment_starts) == len(decided.stamps) > 0
    assert (decided.segment_starts <= decided.stamps).all()


def test_stillness_has_every_kind_of_scene_and_no_action():
    scenes = stillness(6.0)
    assert [scene.kind for scene in scenes] == list(STILL)
    stream = scenario(scenes)
    assert stream.truth == ()
    assert len(list(stream.play())) == len(stamps_of(stream)) == 6 * RATE


def test_noise_leaves_nothing_dark_and_people_where_they_are():
    picture = load(CLIPS[0]).frames[0]
    seen = noisy(picture, np.random.default_rng(0))
    assert (seen != picture).any()
    assert np.abs(seen.astype(int) - picture).mean() < 3
    assert seen[:8, :8].max() == picture[:8, :8].max() == 0
