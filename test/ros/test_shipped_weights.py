"""The shipped weights name the actor's actions over real DDS, as the demo promises; the script is the truth."""

from __future__ import annotations

import pytest

from fluxformer_core.actor import DEMO_SCRIPT
from fluxformer_ros.tools.actor_report import compare, table
from fluxformer_ros.tools.graph import run_graph

pytestmark = pytest.mark.slow

NAMED = 8  # of the script's ten performances
TIME_ERROR = 0.5  # s: between the script's start and end, and the event's


def test_the_demo_names_the_actors_actions_and_their_times(ros: None) -> None:
    run = run_graph(["actor"], quiet=True)
    answers, wrong = compare(DEMO_SCRIPT, run)
    good = [a for a in answers if a.named and abs(a.start_error) <= TIME_ERROR and abs(a.end_error) <= TIME_ERROR]
    assert len(good) >= NAMED, table(answers, wrong)
