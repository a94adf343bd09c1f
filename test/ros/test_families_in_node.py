"""The node runs a model of any family by one changed parameter, on the same images."""

from __future__ import annotations

from pathlib import Path

import pytest
from fluxformer.msg import Recognition
from ros_bench import LABELS, robot_and_recognizer

from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.models.registry import clip_spec, create_model, model_config

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["emim_nano", "video_focalnet_nano"])
def test_a_model_of_another_family_recognises_the_same_images(ros: None, name: str, tmp_path: Path) -> None:
    model, weights = tmp_path / "model.safetensors", create_model(name, len(LABELS)).state_dict()
    Bundle(Metadata(name, model_config(name), clip_spec(name), LABELS), weights).save(model)
    with robot_and_recognizer(tmp_path / "stderr", model=model, start_score=0.02, keep_score=0.01) as (robot, process):
        robot.wait(lambda: "waiting for images" in process.said, "the node")
        robot.ready()
        robot.show(45)
        robot.wait(lambda: any(r.state == Recognition.ACTION for r in robot.recognitions), "a named action")
        named = next(r for r in robot.recognitions if r.state == Recognition.ACTION)
        assert sorted(score.label for score in named.scores) == sorted(LABELS)
        assert robot.labels[-1].model.startswith(name)
        assert process.process.poll() is None, process.said
        assert "Traceback" not in process.said
