"""Events: whatever the scores, each action starts once, ends once, and lies within its own times."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.stream.config import DecisionConfig
from fluxformer_core.stream.decision import Decider, Decision
from fluxformer_core.types import OTHER, SECOND, ActionEvent, EventKind, State

LABELS = ("clap", "wave", "walk")
WITH_OTHER = (*LABELS, OTHER)
CONFIG, FRAME = DecisionConfig(), SECOND // 20
PROMPT = DecisionConfig(start_score=0.5, smoothing=0.0, min_duration=0.0)
STANDING, SQUATTING = np.zeros(4, np.float32), np.full(4, 0.5, np.float32)


def sure_of(label: str, score: float = 0.9, labels: tuple[str, ...] = LABELS) -> np.ndarray:
    others = (1 - score) / (len(labels) - 1)
    return np.array([score if name == label else others for name in labels], np.float32)


class Stream:
    """Plays scenes at 20 Hz to a decider and asks for a decision every third frame, as the recogniser does."""

    def __init__(self, config: DecisionConfig = CONFIG, *, window: float = 3.2, other: bool = False) -> None:
        self.labels = WITH_OTHER if other else LABELS
        self.decider = Decider(self.labels, config)
        self.window, self.now = window, 0
        self.events: list[ActionEvent] = []
        self.decisions: list[Decision] = []

    def play(
        self, seconds: float, motion: float, begin: np.ndarray, end: np.ndarray | None = None,
        scores: str | np.ndarray | None = None,
    ) -> Stream:  # fmt: skip
        """Move from one appearance to another; the scores may be the label that the model is sure of."""
        frames = round(seconds * 20)
        scores = sure_of(scores, labels=self.labels) if isinstance(scores, str) else scores
        for i in range(frames):
            share = (i + 1) / frames
            appearance = begin if end is None else (1 - share) * begin + share * end
            self.events += self.decider.observe(self.now, motion, appearance.astype(np.float32))
            if self.now // FRAME % 3 == 0 and scores is not None and self.decider.due() is not None:
                start = max(0, self.now - round(self.window * SECOND))
                decision, events = self.decider.decide(self.now, scores, start)
                self.decisions.append(decision)
                self.events += events
            self.now += FRAME
        return self

    def rest(self, seconds: float = 1.0) -> Stream:
        return self.play(seconds, 0.0, STANDING)

    def squat(self, seconds: float, scores: str | np.ndarray, score: float = 0.9) -> Stream:
        """Down and up again."""
        scores = sure_of(scores, score, self.labels) if isinstance(scores, str) else scores
        self.play(seconds / 2, 1.0, STANDING, SQUATTING, scores)
        return self.play(seconds / 2, 1.0, SQUATTING, STANDING, scores)

    @property
    def told(self) -> str:
        return ", ".join(f"{event.kind.name.lower()} {event.label}" for event in self.events)


def squats(*parts: tuple[Any, ...], config: DecisionConfig = CONFIG, **options: Any) -> Stream:
    stream = Stream(config, **options).rest()
    for part in parts:
        stream.squat(*part)
    stream.rest()
    check(stream.events)
    return stream


def seconds(stamp: int) -> float:
    return stamp / SECOND


CLOSING = (EventKind.ENDED, EventKind.RETRACTED)


def check(events: list[ActionEvent]) -> None:
    """What must hold for the events of any stream, closed at its end."""
    current: ActionEvent | None = None
    instances, previous_end = 0, 0
    for event in events:
        assert event.start <= event.stamp
        assert 0 <= event.score <= 1
        if event.kind is EventKind.STARTED:
            assert current is None, "one open event at a time"
            assert event.instance == instances + 1
            instances = event.instance
            assert event.start >= previous_end
        else:
            assert current is not None, "nothing is updated or ended that has not started"
            assert (event.instance, event.start) == (current.instance, current.start)
        if event.kind is EventKind.UPDATED:
            assert (event.label, event.score) != (current.label, current.score), "an update says something new"
        if event.kind in CLOSING:
            assert event.start <= event.end <= event.stamp
            assert event.label == current.label
            if event.kind is EventKind.ENDED:  # another action may begin where a retracted one did
                previous_end = event.end
            current = None
        else:
            assert event.end == 0
            current = event
    assert current is None, "every event is closed"
    assert all(a.stamp <= b.stamp for a, b in pairwise(events))


SCORES = st.lists(st.floats(0.001, 1), min_size=4, max_size=4).map(
    lambda values: np.array(values, np.float32) / np.float32(sum(values))
)
COUNT, MOTION, POSE = st.integers(1, 20), st.sampled_from([0.0, 0.05, 0.1, 0.3, 1.0]), st.integers(0, 2)
THEN = st.sampled_from(["", "", "", "", "reset", "configure"])
FRAMES = st.lists(st.tuples(COUNT, MOTION, POSE, SCORES, THEN), max_size=30)
CONFIGS = st.builds(
    DecisionConfig, start_score=st.sampled_from([0.35, 0.5, 0.9]), keep_score=st.sampled_from([0.1, 0.3]),
    sure_score=st.sampled_from([0.0, 0.7]), min_duration=st.sampled_from([0.0, 0.4]),
    smoothing=st.sampled_from([0.0, 0.2, 1.0]),
)  # fmt: skip


@settings(max_examples=150)
@given(frames=FRAMES, config=CONFIGS, other=CONFIGS, window=st.sampled_from([0.3, 3.2]))
def test_any_stream_gives_events_that_make_sense(frames, config, other, window):
    stream = Stream(config, window=window, other=True)
    for count, motion, pose, scores, then in frames:
        stream.play(count / 20, motion, np.full(2, pose, np.float32), scores=scores)
        open_event = stream.decider.open_event
        assert (open_event is None) == (not stream.events or stream.events[-1].kind in CLOSING)
        if then == "reset":
            stream.events += stream.decider.reset(stream.now - FRAME)
            assert stream.decider.open_event is None
        elif then == "configure":
            config, other = other, config
            stream.decider.configure(config)
    stream.events += stream.decider.reset(stream.now)
    check(stream.events)
    assert stream.decider.reset(stream.now) == (), "there is nothing left to end"


def test_one_action_starts_with_its_motion_and_ends_with_it():
    stream = squats((2.0, "wave"))
    assert stream.told == "started wave, ended wave"
    started, ended = stream.events
    assert seconds(started.start) == pytest.approx(1.0, abs=0.051)
    assert seconds(started.stamp - started.start) < 0.7
    assert seconds(ended.end) == pytest.approx(3.0, abs=0.051)
    assert seconds(ended.stamp - ended.end) == pytest.approx(CONFIG.motion.still_time, abs=0.051)


def test_a_held_pose_in_the_middle_does_not_end_the_action():
    stream = Stream().rest().play(0.8, 1.0, STANDING, SQUATTING, "clap").play(0.7, 0.0, SQUATTING, scores="clap")
    assert stream.told == "started clap"
    stream.play(0.5, 1.0, SQUATTING, STANDING, "clap").rest()
    assert stream.told == "started clap, ended clap"
    assert seconds(stream.events[-1].end) == pytest.approx(3.0, abs=0.051)


def test_actions_with_rest_between_are_two_instances():
    stream = Stream().rest().squat(1.5, "wave").rest().squat(1.5, "wave").rest()
    assert stream.told == "started wave, ended wave, started wave, ended wave"
    assert [event.instance for event in stream.events] == [1, 1, 2, 2]
    check(stream.events)


def test_within_the_window_another_name_is_an_update_of_the_same_action():
    stream = squats((1.0, "wave"), (1.0, "clap"))
    assert stream.told == "started wave, updated clap, ended clap"
    assert len({(event.instance, event.start) for event in stream.events}) == 1


def test_beyond_the_window_another_name_is_another_action():
    stream = squats((2.0, "wave"), (2.0, "clap"), window=1.0)
    assert stream.told == "started wave, ended wave, started clap, ended clap"
    first_end, second_start = stream.events[1].end, stream.events[2].start
    assert first_end == second_start
    assert seconds(second_start) == pytest.approx(3.1, abs=0.1), "when the new name first led"


def test_another_action_that_begins_in_a_held_pose_does_not_end_before_it():
    stream = Stream(window=0.5).rest().play(1.0, 1.0, STANDING, SQUATTING, "wave")
    stream.play(3.0, 0.0, SQUATTING, scores="walk")
    assert stream.told == "started wave, ended wave, started walk, ended walk"
    assert stream.events[2].start > 2 * SECOND, "the last motion was before"
    check(stream.events)


CLAP_LEADS = np.array([0.55, 0.35, 0.1], np.float32)  # clap would do to start, but wave is still above keep_score
NONE_LEADS = np.array([0.45, 0.2, 0.35], np.float32)  # wave is no longer believed, but clap is below start_score


@pytest.mark.parametrize(
    ("parts", "options"),
    [
        pytest.param([(1.0, "wave"), (1.0, CLAP_LEADS)], {"config": PROMPT}, id="while the name is believed"),
        pytest.param([(1.0, "wave"), (1.0, NONE_LEADS)], {"config": PROMPT}, id="while its rival is weak"),
        pytest.param([(1.0, "wave"), (1.0, OTHER, 0.48)], {"config": PROMPT, "other": True},
                     id="while other is no likelier than all actions together"),
        pytest.param([(2.0, "wave"), (2.0, OTHER)], {"window": 1.0, "other": True},
                     id="if it was there before the window, though the window shows none of the actions"),
    ],
)  # fmt: skip
def test_a_name_is_kept(parts, options):
    assert squats(*parts, **options).told == "started wave, ended wave"


def test_the_surer_the_sooner():
    delays = []
    for score in (0.98, 0.8, 0.6):
        started = squats((2.0, "wave", score), config=replace(PROMPT, smoothing=0.5)).events[0]
        delays.append(seconds(started.stamp - started.start))
    assert delays == sorted(delays)
    assert delays[0] < 0.6
    assert delays[-1] > 0.7


def test_names_that_take_turns_are_not_believed():
    stream = Stream(replace(PROMPT, smoothing=0.5, start_score=0.6)).rest()
    for i in range(12):
        stream.play(0.15, 1.0, STANDING, SQUATTING, sure_of(LABELS[i % 2], 0.95))
    assert stream.events == []
    stream.play(0.9, 1.0, STANDING, SQUATTING, "walk")
    assert stream.told == "started walk"


@pytest.mark.parametrize("share", [0.51, 0.96])
def test_what_is_none_of_the_actions_never_starts_one(share):
    decider = Decider(("wave", OTHER), PROMPT)
    for i in range(40):
        now = i * FRAME
        assert decider.observe(now, 1.0 if i > 10 else 0.0, STANDING) == ()
        if decider.due() is not None:
            decision, events = decider.decide(now, np.array([1 - share, share], np.float32), 0)
            assert events == ()
            assert decision.unknown_score > 0.5
            assert decision.state is State.UNKNOWN


def test_a_name_is_retracted_when_it_turns_out_to_be_none_of_the_actions():
    stream = squats((1.0, "wave"), (1.0, OTHER), other=True)
    assert stream.told == "started wave, retracted wave"
    started, retracted = stream.events
    assert (retracted.instance, retracted.start) == (started.instance, started.start)
    assert seconds(retracted.stamp) < 3.0, "at once, not when the motion is over"
    assert stream.decisions[-1].state is State.UNKNOWN


def test_after_a_name_was_retracted_the_motion_may_get_another():
    stream = squats((1.0, "wave"), (1.0, OTHER), (1.0, "clap"), other=True)
    assert stream.told == "started wave, retracted wave, started clap, ended clap"
    wave, clap = stream.events[0], stream.events[2]
    assert (clap.instance, clap.start) == (wave.instance + 1, wave.start), "all of the motion was that action"


def test_what_follows_a_name_that_was_retracted_does_not_reach_into_what_was_over_before():
    parts = (2.0, "walk"), (0.5, "wave"), (0.3, OTHER), (1.0, "clap")
    stream = squats(*parts, config=PROMPT, window=1.0, other=True)
    assert stream.told == "started walk, ended walk, started wave, retracted wave, started clap, ended clap"
    walk_ended, wave, clap = stream.events[1], stream.events[2], stream.events[4]
    assert walk_ended.end == wave.start == clap.start, "all that was not walking gets the last name"


SURE = replace(PROMPT, sure_score=0.8)


@pytest.mark.parametrize(("peak", "ended"), [(0.75, "retracted"), (0.85, "ended")])
def test_what_was_never_believed_enough_is_retracted_when_it_ends(peak, ended):
    stream = squats((1.0, "wave", 0.6), (1.0, "wave", peak), (1.0, "wave", 0.6), config=SURE)
    assert stream.told == f"started wave, {ended} wave"
    assert stream.events[-1].stamp > 4 * SECOND, "until it is over it may yet become sure"
    assert [event.score for event in stream.events] == pytest.approx([0.6, peak])
    assert stream.events[-1].end == pytest.approx(4 * SECOND, abs=1.5 * FRAME), "as of the last motion all the same"


def test_a_name_is_not_sure_because_the_one_before_it_was():
    stream = squats((1.0, "wave", 0.95), (1.0, "clap", 0.75), config=SURE)
    assert stream.told == "started wave, updated clap, retracted clap"


def test_an_unsure_action_is_retracted_when_another_follows_it_without_rest_and_when_it_is_cut_short():
    stream = Stream(replace(SURE, smoothing=0.05), window=1.0).rest()
    stream.squat(2.0, "wave", 0.7).squat(2.0, "clap", 0.95)
    assert stream.told == "started wave, retracted wave, started clap"
    assert stream.events[1].end == stream.events[2].start
    stream.squat(2.0, "walk", 0.7)
    stream.events += stream.decider.reset(stream.now)
    assert stream.told.endswith("started clap, ended clap, started walk, retracted walk")
    check(stream.events)


def test_scores_below_the_threshold_are_unknown_motion():
    stream = squats((1.0, "wave", 0.45), config=PROMPT)
    assert stream.events == []
    assert {(d.state, d.label, d.score) for d in stream.decisions} == {(State.UNKNOWN, "", 0.0)}
    assert stream.decisions[-1].unknown_score > 0.5


def test_the_decision_shows_the_action_that_is_under_way():
    stream = Stream(PROMPT).rest().squat(1.0, "wave")
    assert stream.decisions[-1].state is State.ACTION
    assert (stream.decisions[-1].label, stream.decisions[-1].score) == ("wave", pytest.approx(0.9))
    stream.squat(0.5, np.array([0.5, 0.4, 0.1], np.float32))  # clap leads, wave goes on
    assert (stream.decisions[-1].label, stream.decisions[-1].score) == ("wave", pytest.approx(0.4))


def test_belief_begins_anew_with_each_segment():
    config = replace(PROMPT, smoothing=0.3, start_score=1.0)
    stream = Stream(config).rest().play(3.0, 1.0, STANDING, SQUATTING, sure_of("wave", 1.0))
    np.testing.assert_allclose(stream.decisions[-1].probabilities, [0.0, 1.0, 0.0], atol=1e-3)
    stream.rest(2.0).play(0.3, 1.0, STANDING, SQUATTING, sure_of("walk", 1.0))
    clap, wave, walk = stream.decisions[-1].probabilities
    assert clap == wave == 0
    assert 0 < walk < 0.8


def test_a_flash_of_light_and_a_short_segment_are_not_looked_at():
    sure = sure_of("wave", 1.0)
    flash = Stream(replace(CONFIG, start_score=0.35)).rest().play(0.15, 2.0, STANDING, SQUATTING, sure)
    short = Stream().rest().play(0.2, 1.0, STANDING, SQUATTING, "wave").rest(3.0)
    assert flash.play(2.0, 0.0, SQUATTING, scores=sure).decisions == short.decisions == []
    assert short.decider.due() is None


def test_a_reset_ends_what_is_open_at_its_last_motion():
    stream = Stream().rest().squat(1.0, "wave")
    (ended,) = stream.decider.reset(stream.now)
    assert (ended.kind, ended.stamp, ended.end) == (EventKind.ENDED, stream.now, stream.now - FRAME)
    assert stream.decider.open_event is None
    assert stream.decider.due() is None


def test_other_thresholds_apply_from_now_on_and_leave_the_open_action_open():
    stream = Stream(PROMPT).rest().squat(1.0, "wave", 0.7)
    stream.decider.configure(replace(PROMPT, start_score=0.8))
    assert stream.decider.open_event is not None
    stream.rest().squat(1.0, "wave", 0.7).rest()
    assert stream.told == "started wave, ended wave"
    stream.decider.configure(replace(PROMPT, motion=replace(PROMPT.motion, start_motion=5.0)))
    stream.squat(1.0, "wave")
    assert len(stream.events) == 2
