"""Settings: their ranges, and their change by name, as `--set` does it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from fluxformer_core.cli.shared_arguments import apply_settings
from fluxformer_core.errors import ConfigError
from fluxformer_core.people.tracker import PeopleConfig
from fluxformer_core.stream.config import DecisionConfig, MotionConfig, RecognizerConfig, settings_of, with_settings

WRONG: dict[Any, list[dict[str, object]]] = {
    RecognizerConfig(): [
        {"recognition_rate": 0.0}, {"recognition_rate": math.nan}, {"top_k": 0}, {"max_gap": 0.0},
        {"max_gap": math.inf}, {"selection": "best"}, {"recognition_rate": -1.0, "top_k": -1, "max_gap": -1.0},
    ],
    DecisionConfig(): [
        {"keep_score": 0.9, "start_score": 0.5}, {"start_score": 1.1}, {"keep_score": 0.0}, {"sure_score": 1.1},
        {"sure_score": math.nan}, {"min_duration": -1.0}, {"min_duration": math.nan}, {"smoothing": -0.1},
        {"smoothing": math.inf},
    ],
    MotionConfig(): [
        {"stop_motion": 0.0}, {"stop_motion": 0.5, "start_motion": 0.4}, {"still_time": 0.0},
        {"still_time": 2.0, "max_still_time": 1.0}, {"returned": 1.5}, {"returned": math.nan},
        {"stop_motion": -1, "still_time": -1, "returned": -1},
    ],
    PeopleConfig(): [{"max_people": 0}, {"expiry": 0.0}, {"expiry": math.nan}, {"search_period": -1.0}],
}  # fmt: skip


@pytest.mark.parametrize(("config", "changes"), [(config, wrong) for config in WRONG for wrong in WRONG[config]])
def test_all_settings_out_of_range_are_named_at_once(config: Any, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=".*".join(changes)):
        replace(config, **changes)


def test_every_number_can_be_changed_and_no_other_changes_with_it() -> None:
    usual = settings_of(RecognizerConfig())
    assert {"recognition_rate", "top_k", "start_score", "max_still_time"} <= usual.keys()
    falling = {"start_motion", "start_score", "max_still_time"}  # what others may not exceed has to rise
    for name, value in usual.items():
        other = value + 1 if isinstance(value, int) else value + 0.01 if name in falling else abs(value - 0.01)
        found = settings_of(with_settings(RecognizerConfig(), {name: other}))
        assert found == {**usual, name: other}
        assert type(found[name]) is type(value)


def test_what_was_there_before_stays() -> None:
    config = RecognizerConfig(selection="uniform", decision=DecisionConfig(smoothing=0.1))
    changed = apply_settings(config, ["start_score=0.7", "top_k=3"])
    assert (changed.selection, changed.top_k) == ("uniform", 3)
    assert (changed.decision.smoothing, changed.decision.start_score) == (0.1, 0.7)
    assert apply_settings(config, []) == config


def test_values_that_belong_together_move_together() -> None:
    times = ["max_still_time=0.2", "still_time=0.1"]
    changed = apply_settings(RecognizerConfig(), ["keep_score=0.8", "start_score=0.9", *times])
    assert (changed.decision.keep_score, changed.decision.start_score) == (0.8, 0.9)
    assert (changed.decision.motion.still_time, changed.decision.motion.max_still_time) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("start=0.5", "no setting start; known are recognition_rate"),
        ("backend=auto", "NAME=VALUE"),
        ("start_score", "NAME=VALUE"),
        ("start_score=high", "NAME=VALUE"),
        ("start_score=nan", "start_score must be"),
        ("keep_score=0.9", r"keep_score \(0.9\) must be at most start_score"),
        ("sure_score=1.5", "sure_score"),
        ("top_k=2.5", "whole number"),
        ("top_k=inf", "whole number"),
        ("top_k=0", "top_k"),
        ("still_time=2", "still_time"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(given: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        apply_settings(RecognizerConfig(), [given])
