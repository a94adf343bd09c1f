"""`train_bundle`: a bundle from a folder of clips, in Python, with a typed result."""

from __future__ import annotations

import pytest
from helpers import LABELS, PLAIN, saved_bundle

from fluxformer_core.bundle import Bundle
from fluxformer_core.data.assembly import RecordingFilter
from fluxformer_core.errors import ConfigError
from fluxformer_core.training import train_bundle as module
from fluxformer_core.training.recipe import TrainConfig
from fluxformer_core.training.train import Trained
from fluxformer_core.training.train_bundle import train_bundle

CONFIG = TrainConfig(epochs=1, batch=4, workers=0, augment=PLAIN)


def test_a_bundle_is_trained_checked_and_saved(index, tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    rows = [*index.read_text().split()[1:], f"broken.mp4,{LABELS[1]}"]
    lines = (f"{row},{'val' if i % 4 == 3 else 'train'}\n" for i, row in enumerate(rows))
    index.write_text("path,label,split\n" + "".join(lines))
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


def test_a_table_of_labels_is_read_before_anything_is_decoded(index, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("label,gait\nwalk,fast\n")
    with pytest.raises(ConfigError, match="gait must be LOW:HIGH"):
        train_bundle([index], tmp_path / "out.safetensors", label_table=table, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_change_that_no_clip_knows_is_refused(index, tmp_path):
    with pytest.raises(ConfigError, match="colour"):
        train_bundle([index], tmp_path / "out.safetensors", clip={"colour": True}, cache=tmp_path / "cache")
