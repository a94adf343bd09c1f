"""The parameter table: one source for the node, the parameter file and the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.config import RecognizerConfig, settings_of
from fluxformer_ros.node.parameters import SETTINGS, NodeConfig, as_markdown, as_yaml, build, declare, read, refusal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def node(ros: None) -> Iterator[Node]:
    node = Node("parameters")
    declare(node)

    def check(changes: list[Parameter]) -> SetParametersResult:
        reason = refusal(node, {p.name: p.value for p in changes}, configured=True)
        return SetParametersResult(successful=not reason, reason=reason)

    node.add_on_set_parameters_callback(check)
    yield node
    node.destroy_node()


def test_the_parameter_file_is_the_table() -> None:
    text = (ROOT / "config" / "recognizer.yaml").read_text()
    assert text == as_yaml(), "run: python -m fluxformer_ros.node.parameters --yaml > config/recognizer.yaml"
    assert yaml.safe_load(text) == {"/**": {"ros__parameters": {s.name: s.default for s in SETTINGS}}}


def test_the_page_of_the_node_shows_the_table() -> None:
    page = (ROOT / "docs" / "usage" / "node.md").read_text()
    assert as_markdown() in page, "run: python -m fluxformer_ros.node.parameters --markdown"


def test_every_row_is_complete() -> None:
    assert build({}) == NodeConfig()
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert setting.description
        assert (setting.range is not None) == (setting.type in ("int", "double")), setting.name
        assert not setting.limits.low_excluded  # ROS knows inclusive ranges only
        assert not setting.limits.high_excluded
        if setting.range:
            assert setting.range[0] <= setting.default <= setting.range[1]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_parameter_reaches_its_field_and_no_other(setting) -> None:
    other = {"bool": not setting.default, "string": "compressed"}.get(setting.type)
    if setting.limits.choices:
        other = next(choice for choice in setting.limits.choices if choice != setting.default)
    if setting.limits.high is not None:
        # keep_score must stay below start_score: of two dependent values the lower falls and the higher rises.
        step = 1 if setting.type == "int" else 0.01
        rises = setting.name in ("start_score", "sure_score", "start_motion", "max_still_time", "threads")
        other = setting.default + (step if rises else -step)
    changed = build({setting.name: other})
    assert leaves(changed) == {**leaves(NodeConfig()), setting.path: other}


def test_the_command_line_calls_the_numbers_of_the_recogniser_as_the_node_does() -> None:
    numbers = {s.name for s in SETTINGS if s.path.startswith("recognizer.") and s.type in ("int", "double")}
    assert numbers - {"person_expiry"} <= settings_of(RecognizerConfig()).keys()


def leaves(config: object, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        found |= leaves(value, f"{prefix}{field.name}.") if is_dataclass(value) else {prefix + field.name: value}
    return found


def test_a_node_declares_what_the_table_says(node: Node) -> None:
    assert read(node) == NodeConfig()
    for setting in SETTINGS:
        descriptor = node.describe_parameter(setting.name)
        assert setting.description in descriptor.description
        assert descriptor.read_only == (setting.change == "start")
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert [(r.from_value, r.to_value) for r in ranges] == ([setting.range] if setting.range else [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"top_k": 0}, "range"),
        ({"top_k": 2.0}, "type"),
        ({"recognition_rate": -1.0}, "range"),
        ({"recognition_rate": float("nan")}, "range"),
        ({"threads": 2}, "read-only"),
        ({"model": "other.safetensors"}, "clean up"),
        ({"keep_score": 0.9}, "keep_score (0.9) must be at most start_score"),
        ({"start_score": 0.2, "top_k": 3}, "keep_score (0.3) must be at most start_score"),
        ({"image_transport": "theora", "camera_timeout": 1.0}, "image_transport"),
    ],
)
def test_a_change_that_makes_no_sense_is_rejected_with_the_reason(node: Node, changes, reason: str) -> None:
    result = node.set_parameters_atomically([Parameter(name, value=value) for name, value in changes.items()])
    assert not result.successful
    assert reason in result.reason
    assert read(node) == NodeConfig()


def test_changes_that_belong_together_are_accepted_together(node: Node) -> None:
    result = node.set_parameters_atomically([Parameter("start_score", value=0.2), Parameter("keep_score", value=0.1)])
    decision = read(node).recognizer.decision
    assert (result.successful, decision.start_score, decision.keep_score) == (True, 0.2, 0.1)


def test_values_that_contradict_each_other_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="must be 'raw', 'compressed' or 'compressedDepth', not 'theora'"):
        build({"image_transport": "theora"})
