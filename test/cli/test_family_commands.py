"""One model of each family from training to use, by its name alone: `fluxformer train`, `evaluate` and `recognize`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import rgb, texture, train, view, write_frames

from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import main

pytestmark = pytest.mark.slow


def record(path: Path, direction: int, frames: int, height: float) -> None:
    """A picture that rests, then moves to one side."""
    picture, moved = texture(96, 220), (max(0, step - frames // 3) for step in range(frames))
    write_frames(path, (rgb(view(picture, direction * 2.5 * step, height, 64)) for step in moved))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    lines = ["path,label,split"]
    for number in range(6):
        label, direction = ("left", -1) if number % 2 else ("right", 1)
        record(folder / f"{number}.mp4", direction, 24, number / 2)
        lines.append(f"{number}.mp4,{label},{'test' if number >= 4 else 'train'}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    record(folder / "stream.mp4", 1, 60, 0.0)
    return folder / "index.csv"


@pytest.mark.parametrize("model", ["emim_nano", "video_focalnet_nano", "fluxformer_nano_mined"])
def test_a_model_is_trained_evaluated_and_used_by_its_name(model, index, tmp_path):
    out = tmp_path / "model.safetensors"
    splits = ["--splits", "train", "--check-splits", "test"]
    assert train(index, out, "--model", model, *splits, "--epochs", 1, "--batch", 4, "--precision", 32) == 0
    bundle = Bundle.load(out)
    assert (bundle.name, bundle.labels, bundle.spec.flow) == (model, ("left", "right"), "none")
    assert bundle.statistics is not None, "further actions can be taught to it"
    report = tmp_path / "report.json"
    evaluation = ["evaluate", str(index), "--splits", "test", "--model", str(out), "--json", str(report)]
    assert main([*evaluation, "--cache", str(tmp_path / "cache")]) == 0
    found = json.loads(report.read_text())
    assert model in json.dumps(found)
    lines = tmp_path / "lines.jsonl"
    assert main(["recognize", str(index.parent / "stream.mp4"), "--model", str(out), "--json", str(lines)]) == 0
    recognitions = [json.loads(line) for line in lines.read_text().splitlines()]
    assert any(r.get("scores") for r in recognitions), "the model has looked at a clip"
