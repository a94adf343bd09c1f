"""`fluxformer train`, and the same in Python: labels renamed, clips rendered, files damaged, models trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import LABELS, PLAIN, saved_bundle, train
from media import record

from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import BAD_INPUT, main
from fluxformer_core.data.assembly import RecordingFilter
from fluxformer_core.errors import ConfigError
from fluxformer_core.training import train_bundle as module
from fluxformer_core.training.recipe import TrainConfig
from fluxformer_core.training.train import Trained
from fluxformer_core.training.train_bundle import train_bundle


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Class folders below splits, with a file that is no video."""
    for split, count in (("train", 5), ("val", 2)):
        for label in ("clapping", "wave"):
            for i in range(count):
                (tmp_path / "clips" / split / label).mkdir(parents=True, exist_ok=True)
                record(tmp_path / "clips" / split / label / f"{i}.mp4", brightness=0.3 if label == "wave" else 1.0)
    (tmp_path / "clips/train/wave/broken.mp4").write_text("no video")
    return tmp_path / "clips"


def test_a_bundle_tells_what_it_was_made_of(clips, tmp_path, capsys):
    start, out, names = saved_bundle(tmp_path), tmp_path / "out.safetensors", tmp_path / "labels.csv"
    names.write_text("clapping,clap\n")
    recipe = ["--from", start, "--epochs", 2, "--batch", 4, "--labels", names, "--seed", 3]
    data = ["--splits", "train", "--check-splits", "val", "--actor", 2, "--weight", "actor=0.25", "--other", 0.2]
    assert train(clips, out, *recipe, *data) == 0
    bundle = Bundle.load(out)
    assert bundle.labels == ("clap", "wave", "other")
    assert bundle.metadata.temperature != 1.0
    account = bundle.metadata.provenance
    assert account["data"]["clips"] == 10
    assert account["data"]["actor"] in (4, 10)
    assert (account["skipped"], account["seed"], account["shares"]) == (1, 3, {"actor": 0.25})
    assert account["checked_on"] == {
        "splits": ["val"], "subjects": [], "actor": 0, "clips": 4, "used_for": "temperature and choice of weights",
    }  # fmt: skip
    assert 0 <= account["top1"] <= 1
    assert account["clips_per_second"] > 0
    assert account["precision"] in ("32", "bf16-mixed")
    assert 0 < account["waiting_for_data"] < 1
    assert account["started_from"]["bundle"] == Bundle.load(start).digest
    assert str(tmp_path) not in str(account), "a bundle travels: no folders of this machine"
    said = capsys.readouterr().out
    assert "1 recordings were skipped" in said
    assert "broken.mp4" in said
    assert "broken.mp4" in (tmp_path / "out.run/skipped.txt").read_text()
    assert sorted(path.name for path in (tmp_path / "out.run").iterdir()) == ["logs", "skipped.txt"]


def test_labels_of_the_model_may_be_kept(clips, tmp_path):
    start, out = saved_bundle(tmp_path), tmp_path / "out.safetensors"
    assert train(clips, out, "--from", start, "--keep-labels", "--epochs", 1, "--batch", 4) == 0
    assert Bundle.load(out).labels == (*LABELS, "clapping")


def test_training_starts_from_a_bundle(index, tmp_path):
    start, out, weight = saved_bundle(tmp_path), tmp_path / "out.safetensors", "blocks.0.attn.qkv.weight"
    assert train(index, out, "--from", start, "--epochs", 1, "--keep-labels") == 0
    before, after = Bundle.load(start), Bundle.load(out)
    assert replace(after.metadata, temperature=1.0, provenance={}) == replace(before.metadata, provenance={})
    assert after.metadata.provenance["started_from"]["bundle"] == before.digest
    moved = (after.weights[weight] - before.weights[weight]).norm() / before.weights[weight].norm()
    assert 0 < moved < 0.1


def test_a_new_model_may_have_another_size_and_one_that_is_there_keeps_its_own(index, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    assert train(index, out, "--epochs", 1, "--size", 32) == 0
    bundle = Bundle.load(out)
    assert (bundle.spec.size, bundle.metadata.config.size) == (32, 32)
    assert main(["recognize", str(tmp_path / "0.mp4"), "--model", str(out), "--quiet"]) == 0
    capsys.readouterr()
    assert train(index, out, "--epochs", 1, "--size", 32, "--from", saved_bundle(tmp_path)) == BAD_INPUT
    assert "--size is of a new model" in capsys.readouterr().err


def test_new_labels_start_anew_and_known_ones_keep_their_part_of_the_head(index, tmp_path):
    index.write_text(index.read_text().replace(f",{LABELS[1]}", ",juggle"))
    start, out = saved_bundle(tmp_path), tmp_path / "out.safetensors"
    assert train(index, out, "--from", start, "--epochs", 1, "--train", "head", "--learning-rate", 1e-9) == 0
    before, after = Bundle.load(start), Bundle.load(out)
    assert after.labels == ("juggle", LABELS[2])
    for name in ("head.weight", "head.bias"):
        assert torch.allclose(after.weights[name][1], before.weights[name][2], atol=1e-4)
    assert torch.equal(after.weights["blocks.0.attn.qkv.weight"], before.weights["blocks.0.attn.qkv.weight"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--weight", "actor"], "--weight takes NAME=SHARE"),
        (["--weight", "nobody=0.5"], "no data called nobody; known are clips"),
        (["--epochs", "0"], "epochs must be greater than or equal to 1, not 0"),
        (["--splits", "spring"], "no recording is left"),
        (["--model", "resnet"], "no model 'resnet'"),
        (["--flow", "guess"], "flow must be"),
        (["--augment", "colourised"], "--augment takes NAME=VALUE"),
        (["--augment", "scale=0.6"], "--augment takes NAME=LOW:HIGH"),
        (["--augment", "scale=1.2:0.6"], "--augment takes NAME=LOW:HIGH"),
        (["--augment", "clothing=1"], "--augment does not know clothing; known are partial, "),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(clips, tmp_path, capsys, more, message):
    assert train(clips, tmp_path / "out.safetensors", *more) == BAD_INPUT
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fluxformer: ")]
    assert message in line


CONFIG = TrainConfig(epochs=1, batch=4, workers=0, augment=PLAIN)


def test_a_bundle_is_trained_checked_and_saved(index, tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    index.write_text(f"{index.read_text()}broken.mp4,{LABELS[1]},train\n")
    out = tmp_path / "mine.safetensors"
    result = train_bundle(
        [str(index)], str(out), config=CONFIG, start=[saved_bundle(tmp_path)], cache=tmp_path / "cache",
        recordings=RecordingFilter(splits=("train",), check_splits=("val",)), clip={"selection": "uniform"},
    )  # fmt: skip
    assert (result.path, result.bundle.digest) == (out, Bundle.load(out).digest)
    assert result.bundle.spec.selection == "uniform"
    assert result.bundle.statistics is not None
    assert (result.not_teachable, result.checked) == ("", 4)
    assert 0 <= result.accuracy <= 1
    assert result.accuracy == pytest.approx(result.bundle.metadata.provenance["top1"], abs=1e-4)
    (line,) = result.skipped
    assert "broken.mp4" in line
    assert result.trained.first


def test_another_process_of_a_distributed_training_saves_nothing(index, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "train", lambda net, *_, **__: Trained(net.eval(), first=False))
    out = tmp_path / "mine.safetensors"
    result = train_bundle([index], out, config=CONFIG, start=[saved_bundle(tmp_path)], cache=tmp_path / "cache")
    assert not result.trained.first
    assert not out.exists()


def test_a_wrong_table_of_labels_or_clip_is_refused_before_anything_is_decoded(index, tmp_path):
    table, cache = tmp_path / "table.csv", tmp_path / "cache"
    table.write_text("label,gait\nwalk,fast\n")
    with pytest.raises(ConfigError, match="gait must be LOW:HIGH"):
        train_bundle([index], tmp_path / "out.safetensors", label_table=table, cache=cache)
    assert not cache.exists()
    with pytest.raises(ConfigError, match="colour"):
        train_bundle([index], tmp_path / "out.safetensors", clip={"colour": True}, cache=cache)
