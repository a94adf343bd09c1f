"""People apart: each person's stream is what it would be alone; ids, bounds and batches hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import small_bundle, texture

from fluxformer_core.enrolled import EnrolledAction, Statistics
from fluxformer_core.errors import ImageError, PeopleError
from fluxformer_core.people.person import FoundBy, Sighting
from fluxformer_core.people.tracker import PeopleConfig
from fluxformer_core.stream import recognizer as recognizer_module
from fluxformer_core.stream.config import DecisionConfig, RecognizerConfig
from fluxformer_core.stream.inference import ClipModel
from fluxformer_core.stream.measurements import ResetCause
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, EventKind, Pixels, State, Update

PERIOD = SECOND // 20
EAGER = RecognizerConfig(decision=DecisionConfig(start_score=0.02, keep_score=0.01, smoothing=0.0, min_duration=0.0))
HEIGHT, WIDTH, SIDE = 96, 256, 80


class NoNets:
    """A finder that never sees anybody: people come from outside."""

    each_image = False

    def reset(self) -> None:
        pass

    def find(self, *_image: object) -> list[Sighting]:
        return []

    def look(self, *_image: object) -> None:
        return None


def person(name: str, box: tuple[float, float, float, float]) -> Sighting:
    return Sighting(box, FoundBy.TOPIC, id=name)


LEFT, RIGHT = person("ann", (20.0, 20.0, 60.0, 70.0)), person("bob", (170.0, 20.0, 220.0, 70.0))
BACKGROUND = np.repeat(texture(HEIGHT, WIDTH)[..., None], 3, axis=2)


def scene(index: int, *moving: Sighting) -> np.ndarray:
    """Everybody stands; whoever is named shakes a pattern within their box."""
    image = BACKGROUND.copy()
    for who in moving:
        left, top, right, bottom = (round(side) for side in who.box)
        image[top:bottom, left:right] = np.roll(image[top:bottom, left:right], 3 * (index % 5), axis=1)
    return image


def crowd(**changes: object) -> Recognizer:
    config = replace(EAGER, view="person", people=PeopleConfig(**changes))
    return Recognizer(small_bundle(), config, finder=NoNets())


def show(people: Recognizer, frames: range, *moving: Sighting, seen: tuple[Sighting, ...]) -> list[Update]:
    return [people.push(scene(index, *moving), SECOND + index * PERIOD, Pixels.RGB, seen) for index in frames]


def following(people: Recognizer) -> tuple[str, ...]:
    return tuple(track.id for track in people.people.people)


def recognitions(updates: list[Update], person: str) -> list:
    return [r for update in updates for r in update.recognitions if r.person_id == person]


def events(updates: list[Update], person: str) -> list:
    return [event for update in updates for event in update.events if event.person_id == person]


def test_views_tell_where_everybody_is_and_what_was_said_of_them() -> None:
    people = crowd()
    assert people.views == ()
    updates = show(people, range(40), LEFT, seen=(LEFT, RIGHT))
    ann, bob = people.views
    assert (ann.person_id, bob.person_id) == ("ann", "bob")
    for view, who in ((ann, LEFT), (bob, RIGHT)):
        assert view.recognition == recognitions(updates, who.id)[-1]
        left, top, side = view.square
        assert left < who.box[0] < who.box[2] < left + side
        assert top < who.box[1] < who.box[3] < top + side
        assert view.recognition.region == tuple(map(round, who.box))
        assert view.recognition.found_by == "topic"
    assert (ann.event, bob.event, bob.clip) == (events(updates, "ann")[-1], None, None)
    assert ann.clip is not None
    assert following(people) == ("ann", "bob")
    assert State.ACTION in {recognition.state for recognition in recognitions(updates, "ann")}
    assert {recognition.state for recognition in recognitions(updates, "bob")} <= {State.WARMING_UP, State.IDLE}
    assert events(updates, "ann")[0].kind is EventKind.STARTED
    assert not events(updates, "bob"), "only who moves acts"
    assert {r.person_id for update in updates for r in update.recognitions} == {"ann", "bob"}
    people.reset()
    assert people.views == ()


def test_a_persons_stream_is_what_it_would_be_alone() -> None:
    together = show(crowd(), range(40), LEFT, RIGHT, seen=(LEFT, RIGHT))
    alone = show(crowd(), range(40), LEFT, RIGHT, seen=(RIGHT,))
    pairs = list(zip(recognitions(together, "bob"), recognitions(alone, "bob"), strict=True))
    assert len(pairs) > 10
    for first, second in pairs:
        assert (first.stamp, first.state, first.window_start) == (second.stamp, second.state, second.window_start)
        np.testing.assert_allclose([s.score for s in first.scores], [s.score for s in second.scores], atol=1e-5)


def test_one_forward_pass_serves_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    people, batches = crowd(), []
    network = people.model.network
    monkeypatch.setattr(people.model, "network", lambda rgb, flow: batches.append(len(rgb)) or network(rgb, flow))
    updates = show(people, range(40), LEFT, RIGHT, seen=(LEFT, RIGHT))
    assert set(batches) == {2}
    named = [r for update in updates for r in update.recognitions if r.scores]
    assert len(named) == 2 * len(batches) == 2 * people.counters.forwards
    first, second = ({event.instance for event in events(updates, name)} for name in ("ann", "bob"))
    assert first.isdisjoint(second), "actions of different people have different numbers"


def test_who_is_not_detected_any_more_is_forgotten_and_their_action_ends() -> None:
    people = crowd(expiry=0.5)
    show(people, range(20), LEFT, seen=(LEFT, RIGHT))
    updates = show(people, range(20, 40), LEFT, seen=(RIGHT,))
    assert events(updates, "ann")[-1].kind is EventKind.ENDED
    assert (following(people), people.people.tracker.lost) == (("bob",), 1)
    again = show(people, range(40, 60), LEFT, seen=(LEFT, RIGHT))
    assert events(again, "ann")[0].instance > events(updates, "ann")[-1].instance


def test_the_tallest_are_followed_and_the_others_counted() -> None:
    people = crowd(max_people=2)
    crowded = [person(str(height), (10.0, 10.0, 30.0, 10.0 + height)) for height in (20, 60, 40)]
    people.push(scene(0), SECOND, Pixels.RGB, crowded)
    assert (set(following(people)), people.people.tracker.ignored) == ({"60", "40"}, 1)


def test_every_image_is_counted_once_and_gaps_forget_everybody() -> None:
    people = crowd()
    for index in range(6):
        people.push(scene(index), SECOND + index * PERIOD // 2, Pixels.RGB, (LEFT, RIGHT) if index < 5 else None)
    assert following(people) == ("ann", "bob"), "while no detector has looked, everybody stays"
    people.push(scene(0), SECOND + 5 * PERIOD // 2, Pixels.RGB, (LEFT,))
    counters = people.counters
    assert (counters.frames, counters.duplicates) == (7, 1)
    assert counters.admitted + counters.skipped + counters.duplicates + counters.late == 7
    people.push(scene(0), 100 * SECOND, Pixels.RGB, ())
    assert (following(people), counters.resets[ResetCause.GAP]) == ((), 1)


def test_another_size_of_images_starts_anew() -> None:
    people = crowd()
    show(people, range(20), LEFT, seen=(LEFT,))
    updates = people.push(scene(20)[::2, ::2], SECOND + 20 * PERIOD, Pixels.RGB, (LEFT,))
    assert events([updates], "ann")[-1].kind is EventKind.ENDED
    assert people.counters.resets[ResetCause.SIZE_CHANGE] == 1


def test_settings_and_teaching_reach_everybody() -> None:
    people = crowd()
    show(people, range(3), seen=(LEFT, RIGHT))
    people.config = RecognizerConfig(top_k=1)
    updates = show(people, range(3, 40), LEFT, seen=(LEFT, RIGHT))
    assert {len(r.scores) for r in recognitions(updates, "ann") if r.scores} == {1}
    assert [event.kind for event in people.enroll([])] == [EventKind.ENDED]


def test_an_image_that_is_none_harms_nobody() -> None:
    people = crowd()
    show(people, range(3), seen=(LEFT,))
    with pytest.raises(ImageError):
        people.push(np.zeros((8, 8, 3), np.float64), 2 * SECOND, Pixels.RGB, (LEFT,))
    assert show(people, range(20, 30), seen=(LEFT,))


def test_streams_share_the_model_and_nothing_else() -> None:
    model = ClipModel(small_bundle())
    one, other = Recognizer(model, EAGER), Recognizer(model, EAGER)
    other.push(scene(0), SECOND)
    assert one.model is other.model
    assert (one.counters.frames, other.counters.frames) == (0, 1)
    assert (len(one.scene.window), len(other.scene.window)) == (0, 1)


def test_an_action_taught_to_a_shared_model_is_known_to_every_recogniser() -> None:
    bundle = small_bundle()
    model = ClipModel(replace(bundle, statistics=Statistics(
        np.eye(len(bundle.labels), bundle.width, dtype=np.float32), np.eye(bundle.width, dtype=np.float32)
    )))  # fmt: skip
    one, other = Recognizer(model, EAGER), Recognizer(model, EAGER)
    frames = [np.roll(BACKGROUND, 3 * (index % 5), axis=1) for index in range(60)]
    for index in range(30):
        other.push(frames[index], SECOND + index * PERIOD)
    prototype = np.eye(bundle.width, dtype=np.float32)[-1]
    one.enroll([EnrolledAction("thumbs_up", prototype, 0.0, 1, 1.0)])
    updates = [other.push(frames[index], SECOND + index * PERIOD) for index in range(30, 60)]
    assert {len(r.scores) for update in updates for r in update.recognitions if r.scores} == {len(bundle.labels) + 1}


def test_depth_after_a_jump_back_in_time_is_followed_anew() -> None:
    watched = Recognizer(small_bundle(), replace(EAGER, view="person"))
    room = np.full((HEIGHT, WIDTH), 4000, np.uint16)
    for start in (100 * SECOND, SECOND):
        for index in range(30):
            image = room.copy()
            if index > 10:
                image[20:90, 40 + 3 * index : 75 + 3 * index] = 2000
            update = watched.push(image, start + index * PERIOD, Pixels.DEPTH)
        assert [r.found_by for r in update.recognitions] in ([], ["depth"])
        assert len(watched.views) == 1
    assert watched.counters.resets[ResetCause.TIME_JUMP] == 1


def test_where_nobody_is_the_state_is_nobody_and_the_model_rests() -> None:
    empty = crowd()
    updates = show(empty, range(40), seen=())
    states = [recognition.state for update in updates for recognition in update.recognitions]
    assert set(states) == {State.NOBODY}
    assert len(states) == pytest.approx(2 * EAGER.recognition_rate, abs=1)
    assert (empty.counters.forwards, empty.counters.flows) == (0, 0)


def test_without_nets_the_whole_scene_is_watched_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_pixels: Pixels) -> NoNets:
        raise PeopleError("LiteRT is missing: pip install ai-edge-litert")

    monkeypatch.setattr(recognizer_module, "create_finder", broken)
    alone = Recognizer(small_bundle(), replace(EAGER, view="person"))
    updates = [alone.push(scene(index, LEFT), SECOND + index * PERIOD) for index in range(40)]
    assert alone.view == "scene"
    assert {r.person_id for update in updates for r in update.recognitions} == {""}
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line == "LiteRT is missing: pip install ai-edge-litert; the whole scene is watched instead"
