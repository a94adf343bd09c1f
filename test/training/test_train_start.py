"""Training goes on from a model that is there: its architecture and clip stay, its weights move a little."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers import LABELS, moving_pictures, saved_bundle

from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import main


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return moving_pictures(tmp_path)


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
