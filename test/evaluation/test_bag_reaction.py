"""The shipped weights on a tiny bag, as nav2 tests its collision monitor: react, hold, release, no false alarm."""

from __future__ import annotations

import numpy as np
import pytest
from bag_bench import START, TOPIC, write_truth

from benchmarks.synthetic.bag_writer import ImageBag
from fluxformer_core.actor import Performance, Stage
from fluxformer_core.evaluation.bags.evaluation import BagEvaluation, evaluate_bags
from fluxformer_core.evaluation.bags.stream_result import Track
from fluxformer_core.types import SECOND, Pixels, State

SCRIPT = (Performance("squat", 2.5, 6.0), Performance("wave", 9.5, 13.1), Performance("jog", 16.5, 20.5))
DURATION = 23.5  # s
REACT = 2.0  # s: the limit of what people take for an answer
EARLY = 0.7  # s by which an event may end before its action, or its state lapse
RELEASE = 1.7  # s: `hold`, until stillness ends an action in any case, and the window that has to see it


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> BagEvaluation:
    folder = tmp_path_factory.mktemp("actor")
    stage = Stage(SCRIPT, seed=3, rate=20.0, size=(120, 160), mode="depth", duration=DURATION)
    with ImageBag(folder / "actor") as bag:
        for seconds, image in stage:
            bag.write(TOPIC, image, Pixels.DEPTH, START + round(seconds * SECOND))
    truth = write_truth(folder / "truth.csv", *(("actor", "", a.start, a.end, a.label) for a in SCRIPT))
    return evaluate_bags([folder / "actor"], [truth], workers=1, quiet=True)


@pytest.fixture(scope="module")
def track(evaluation: BagEvaluation) -> Track:
    (one,) = evaluation.judged
    return one.track


def states(track: Track, start: float, end: float) -> np.ndarray:
    """States of the recognitions in a stretch of the bag, given in seconds."""
    inside = (track.stamps >= START + start * SECOND) & (track.stamps < START + end * SECOND)
    assert inside.sum() >= 3
    return track.states[inside]


def test_every_action_is_named_in_time(evaluation: BagEvaluation) -> None:
    assert evaluation.complete
    events = evaluation.figures.report.events
    assert events.detected == len(SCRIPT)
    assert max(events.delays) <= REACT


@pytest.mark.parametrize("action", SCRIPT, ids=lambda action: action.label)
def test_it_holds_until_the_action_is_over_and_lets_go_soon_after(track: Track, action: Performance) -> None:
    assert (states(track, action.start + REACT, action.end - EARLY) == State.ACTION).all()
    following = min((a.start for a in SCRIPT if a.start > action.end), default=DURATION)
    assert (states(track, action.end + RELEASE, following) != State.ACTION).all()
    (event,) = [e for e in track.events if e.label == action.label]
    assert abs((event.end - START) / SECOND - action.end) <= EARLY


def test_there_is_no_false_alarm(evaluation: BagEvaluation, track: Track) -> None:
    assert evaluation.figures.report.events.false == 0
    assert (states(track, 0.0, SCRIPT[0].start) != State.ACTION).all()
