"""Training goes on from a model that is there: its architecture and clip stay, its weights move a little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import LABELS, rgb, saved_bundle, texture, view

from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import main
from fluxformer_core.clip import SECOND
from fluxformer_core.errors import ConfigError
from fluxformer_core.learn.transfer import mean_of
from fluxformer_core.stream.recording import VideoRecorder


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Sixteen recordings of two of the model's three labels: a picture that moves to the left or to the right."""
    picture = texture(96, 160)
    lines = ["path,label"]
    for number in range(16):
        label, direction = (LABELS[1], 1) if number % 2 else (LABELS[2], -1)
        with VideoRecorder(tmp_path / f"{number}.mp4") as recorder:
            for step in range(12):
                frame = rgb(view(picture, direction * 2.0 * step, number / 4, 64))
                recorder.write(np.ascontiguousarray(frame), step * SECOND // 20)
        lines.append(f"{number}.mp4,{label}")
    path = tmp_path / "index.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_training_starts_from_a_bundle(index, tmp_path):
    start, out = saved_bundle(tmp_path), tmp_path / "out.safetensors"
    arguments = ["train", str(index), "--from", str(start), "--out", str(out), "--epochs", "1", "--keep-labels"]
    assert main([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    before, after = Bundle.load(start), Bundle.load(out)
    assert (after.name, after.labels, after.spec, after.metadata.config) == (
        before.name, before.labels, before.spec, before.metadata.config,
    )  # fmt: skip
    assert after.metadata.provenance["started_from"]["bundle"] == before.digest
    weight = "blocks.0.attn.qkv.weight"
    moved = (after.weights[weight] - before.weights[weight]).norm() / before.weights[weight].norm()
    assert 0 < moved < 0.1
    assert torch.equal(after.weights[weight].isfinite(), torch.ones_like(after.weights[weight], dtype=torch.bool))


def test_a_new_model_may_have_another_size_and_one_that_is_there_keeps_its_own(index, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    arguments = ["train", str(index), "--out", str(out), "--epochs", "1", "--cache", str(tmp_path / "cache")]
    assert main([*arguments, "--size", "32"]) == 0
    bundle = Bundle.load(out)
    assert (bundle.spec.size, bundle.metadata.config.size) == (32, 32)
    assert main(["recognize", str(tmp_path / "0.mp4"), "--model", str(out), "--quiet"]) == 0
    capsys.readouterr()
    assert main([*arguments, "--size", "32", "--from", str(saved_bundle(tmp_path))]) == 2
    assert "--size is of a new model" in capsys.readouterr().err


def test_new_labels_start_anew_and_known_ones_keep_their_part_of_the_head(index, tmp_path):
    index.write_text(index.read_text().replace(f",{LABELS[1]}", ",juggle"))
    start, out = saved_bundle(tmp_path), tmp_path / "out.safetensors"
    arguments = ["train", str(index), "--from", str(start), "--out", str(out), "--epochs", "1", "--train", "head"]
    assert main([*arguments, "--learning-rate", "1e-9", "--cache", str(tmp_path / "cache")]) == 0
    before, after = Bundle.load(start), Bundle.load(out)
    assert after.labels == ("juggle", LABELS[2])
    for name in ("head.weight", "head.bias"):
        assert torch.allclose(after.weights[name][1], before.weights[name][2], atol=1e-4)
    assert torch.equal(after.weights["blocks.0.attn.qkv.weight"], before.weights["blocks.0.attn.qkv.weight"])


def moved(start: Path, by: float) -> Path:
    """The same model with all weights changed by as much."""
    bundle = Bundle.load(start)
    weights = {name: w + by if w.is_floating_point() else w for name, w in bundle.weights.items()}
    path = start.with_name(f"by{by}.safetensors")
    replace(bundle, weights=weights).save(path)
    return path


def test_the_mean_of_two_models_lies_between_them_and_knows_its_parents(tmp_path):
    start = saved_bundle(tmp_path)
    parents = [Bundle.load(moved(start, by)) for by in (-0.25, 0.75)]
    mean, before = mean_of(parents), Bundle.load(start)
    for name, weight in before.weights.items():
        expected = weight + 0.25 if weight.is_floating_point() else weight
        torch.testing.assert_close(mean.weights[name], expected, atol=1e-3, rtol=1e-3)  # files hold half precision
    assert [parent["bundle"] for parent in mean.metadata.provenance["mean_of"]] == [p.digest for p in parents]
    assert (mean.metadata.temperature, mean.statistics) == (1.0, None)
    assert mean_of(parents[:1]) is parents[0]


def test_training_goes_on_from_the_mean_of_two_models(index, tmp_path):
    start, out = saved_bundle(tmp_path), tmp_path / "out.safetensors"
    two = [moved(start, by) for by in (-0.01, 0.01)]
    arguments = ["train", str(index), "--from", *map(str, two), "--out", str(out), "--epochs", "1", "--keep-labels"]
    still = ["--train", "head", "--learning-rate", "1e-9", "--cache", str(tmp_path / "cache")]
    assert main([*arguments, *still]) == 0
    before, after = Bundle.load(start), Bundle.load(out)
    for name, weight in before.weights.items():
        torch.testing.assert_close(after.weights[name], weight, atol=1e-3, rtol=1e-3)
    parents = after.metadata.provenance["started_from"]["mean_of"]
    assert [parent["bundle"] for parent in parents] == [Bundle.load(path).digest for path in two]


def test_a_mean_of_models_that_differ_is_refused(tmp_path):
    one = Bundle.load(saved_bundle(tmp_path))
    others = replace(one, metadata=replace(one.metadata, labels=tuple(reversed(one.labels))))
    with pytest.raises(ConfigError, match="differ in labels"):
        mean_of([one, others])
    slower = replace(one, metadata=replace(one.metadata, spec=replace(one.spec, rate=one.spec.rate / 2)))
    with pytest.raises(ConfigError, match="differ in clip"):
        mean_of([one, slower])
