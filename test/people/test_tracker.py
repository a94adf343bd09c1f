"""The tracker: one id for one person, whatever the order and the rate of the sightings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.people.person import FoundBy, Mask, Sighting
from fluxformer_core.people.tracker import BIRTH, PeopleConfig, Tracker
from fluxformer_core.types import SECOND

STILL = np.eye(3)
Walker = tuple[float, float, float]  # x at the start, px; px per second; height, px


def sighting(x: float, height: float = 200.0, y: float = 240.0) -> Sighting:
    return Sighting((x - height / 6, y - height / 2, x + height / 6, y + height / 2), FoundBy.POSE)


def walk(
    tracker: Tracker, walkers: list[Walker], seconds: float, rate: float, *, seed: int = 0, hidden: dict | None = None
) -> list[dict[int, str]]:
    """For every image, who (number of the walker) has which id; `hidden` walkers are not seen in a stretch of time."""
    rng, said = np.random.default_rng(seed), []
    for step in range(round(seconds * rate)):
        time = step / rate
        there = {i: sighting(x + speed * time, height) for i, (x, speed, height) in enumerate(walkers)}
        seen = {i: s for i, s in there.items() if not (hidden and i in hidden and hidden[i][0] <= time < hidden[i][1])}
        stamp = SECOND + round(time * SECOND)
        tracker.predict(stamp, STILL)
        found = [seen[i] for i in rng.permutation(list(seen))]
        tracker.update([None] * len(tracker.tracks), found, stamp)
        said.append({i: track.id for track in tracker.people for i in there if track.sighting.box == there[i].box})
    return said


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(-60, 60), st.floats(120, 300)), min_size=1, max_size=3),
    st.sampled_from([5.0, 10.0, 20.0, 30.0]),
    st.integers(0, 99),
)
def test_people_who_stay_apart_keep_their_ids(lanes: list[Walker], rate: float, seed: int) -> None:
    walkers = [(500.0 * i + x, speed, height) for i, (x, speed, height) in enumerate(lanes)]
    said = walk(Tracker(PeopleConfig()), walkers, 3.0, rate, seed=seed)
    born = [ids for ids in said if len(ids) == len(walkers)]
    assert len(born) >= len(said) - np.ceil(BIRTH * rate) - 1
    assert all(ids == born[0] for ids in born)
    assert len(set(born[0].values())) == len(walkers)


@pytest.mark.parametrize("rate", [10.0, 20.0, 30.0])
def test_two_who_cross_and_hide_each_other_for_half_a_second_keep_their_ids(rate: float) -> None:
    walkers = [(100.0, 200.0, 200.0), (700.0, -200.0, 210.0)]  # they meet after 1.5 s
    said = walk(Tracker(PeopleConfig()), walkers, 3.0, rate, hidden={0: (1.25, 1.75)})
    assert said[-1] == said[round(rate)]
    assert len(set(said[-1].values())) == 2


def test_who_was_gone_for_longer_than_the_expiry_is_somebody_new() -> None:
    tracker = Tracker(PeopleConfig(expiry=0.5))
    said = walk(tracker, [(100.0, 0.0, 200.0)], 4.0, 20.0, hidden={0: (1.0, 2.0)})
    assert said[10] == {0: "1"}
    assert said[-1] == {0: "2"}
    assert tracker.lost == 1


def test_a_sighting_that_does_not_last_is_nobody() -> None:
    tracker = Tracker(PeopleConfig())
    walk(tracker, [(100.0, 0.0, 200.0)], 1.0, 20.0, hidden={0: (0.05, 1.0)})
    assert (tracker.people, tracker.tracks, tracker.lost) == ([], [], 0)


def test_no_more_are_followed_than_wanted_and_the_others_are_counted() -> None:
    tracker = Tracker(PeopleConfig(max_people=3))
    walk(tracker, [(400.0 * i, 0.0, 100.0 + 10 * i) for i in range(20)], 0.5, 20.0)
    assert len(tracker.tracks) == 3
    assert {round(track.sighting.box[3] - track.sighting.box[1]) for track in tracker.people} == {290, 280, 270}
    assert tracker.ignored == 17 * 10


def test_of_two_who_are_seen_at_one_place_the_one_who_should_be_there_stays() -> None:
    tracker = Tracker(PeopleConfig())
    walk(tracker, [(100.0, 0.0, 200.0), (220.0, 0.0, 200.0)], 0.5, 20.0)
    stamp = 2 * SECOND
    tracker.predict(stamp, STILL)
    order = [track.id for track in tracker.tracks]
    tracker.update([sighting(105.0)] * 2, [], stamp)
    seen = {track.id: track.seen for track in tracker.tracks}
    assert seen[order[0]] == stamp
    assert seen[order[1]] < stamp


def test_an_arm_that_looks_like_a_person_is_nobody_and_who_stands_behind_is_somebody() -> None:
    def outlined(box: tuple[float, float, float, float], lit: slice) -> Sighting:
        share = np.zeros((60, 60), np.uint8)
        share[:, lit] = 255
        return Sighting(box, FoundBy.POSE, mask=Mask(share, box))

    person, arm = outlined((100, 100, 200, 400), slice(0, 60)), outlined((160, 100, 260, 250), slice(0, 20))
    behind = outlined((160, 100, 260, 380), slice(20, 60))
    for second, people in ((arm, 1), (behind, 2)):
        tracker = Tracker(PeopleConfig())
        for step in range(10):
            stamp = SECOND + step * SECOND // 20
            tracker.predict(stamp, STILL)
            looked = [person if track.sighting.box == person.box else None for track in tracker.tracks]
            tracker.update(looked, [person, second], stamp)
        assert len(tracker.people) == people


def test_a_turning_camera_takes_everybody_along() -> None:
    tracker, pan = Tracker(PeopleConfig()), np.array([[1.0, 0.0, 15.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    for step in range(20):
        stamp = SECOND + step * SECOND // 20
        tracker.predict(stamp, pan)
        tracker.update([None] * len(tracker.tracks), [sighting(100.0 + 15 * step)], stamp)
    (track,) = tracker.people
    assert track.id == "1"
    left, _, side = track.square.rectangle
    assert left + side / 2 == pytest.approx(100 + 15 * 19, abs=1), "the square has stayed on the scene"


def test_an_outside_tracker_decides_who_is_who() -> None:
    tracker = Tracker(PeopleConfig())
    for step, (ann, bob) in enumerate([(100.0, 500.0), (500.0, 100.0)]):
        stamp = SECOND + step * SECOND // 20
        tracker.predict(stamp, STILL)
        people = [Sighting(sighting(x).box, FoundBy.TOPIC, id=name) for name, x in (("ann", ann), ("bob", bob))]
        tracker.take([None] * len(tracker.tracks), people, stamp)
    assert {track.id: track.sighting.box for track in tracker.people} == {p.id: p.box for p in people}
