"""`fluxformer enroll` from videos to the bundle: accepted, refused with the reason, forgotten; a model made ready."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import LABELS, actor_images, small_bundle, write_frames

from fluxformer_core.bundle import Bundle
from fluxformer_core.cli import BAD_INPUT, main
from fluxformer_core.data.clip_store import ClipStore, actor_clips
from fluxformer_core.enrolled import Statistics
from fluxformer_core.enrollment.examples import describe, read_example
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.training.calibration import known_statistics


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two videos of somebody who waves, and one in which nothing moves."""
    folder = tmp_path_factory.mktemp("clips")
    for name, seed in (("one", 0), ("two", 1)):
        images = actor_images((0.6, 1.6), still=0.6, seed=seed)
        write_frames(folder / f"{name}.mp4", images)
    write_frames(folder / "still.mp4", images[:1] * 40)
    return [str(folder / f"{name}.mp4") for name in ("one", "two", "still")]


@pytest.fixture(scope="module")
def model(clips: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model whose first label lies just where it sees the second video."""
    bare = small_bundle(window=64)
    recognizer = Recognizer(bare)
    seen = describe(recognizer, read_example(clips[1], bare.spec, recognizer.model.flow)).embeddings.mean(0)
    rng = np.random.default_rng(0)
    means = np.stack([seen, *rng.standard_normal((len(LABELS) - 1, len(seen)))]).astype(np.float32)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    replace(bare, statistics=Statistics(means, np.eye(len(seen), dtype=np.float32))).save(path)
    return path


def enroll(model: Path, out: Path, *more: str) -> int:
    return main(["enroll", str(model), "--out", str(out), *more])


def test_clips_become_an_action_that_inspect_shows_and_that_can_be_forgotten(model, clips, tmp_path, capsys) -> None:
    taught, again = tmp_path / "taught.safetensors", tmp_path / "again.safetensors"
    assert enroll(model, taught, "--even-if-similar", "--label", "hail", *clips[:2]) == 0
    printed = capsys.readouterr().out
    assert "2 examples, consistency" in printed
    assert f"most similar: {LABELS[0]}" in printed
    assert "hail is accepted" in printed
    assert main(["inspect", str(taught), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["labels"] == list(LABELS)
    assert shown["enrolled"]["hail"]["examples"] == 2
    assert main(["recognize", clips[0], "--model", str(taught), "--json", str(tmp_path / "said.jsonl"), "--quiet"]) == 0
    assert '"hail"' in (tmp_path / "said.jsonl").read_text()
    assert enroll(taught, again, "--forget", "hail") == 0
    forgotten = Bundle.load(again)
    assert (forgotten.enrolled, forgotten.digest) == ((), Bundle.load(model).digest)


def test_what_looks_like_a_known_action_is_refused_and_nothing_is_written(model, clips, tmp_path, capsys) -> None:
    assert enroll(model, tmp_path / "out.safetensors", "--label", "hail", clips[1]) == BAD_INPUT
    shown = capsys.readouterr()
    assert f"most similar: {LABELS[0]} (1.00)" in shown.out
    assert f"hail is refused: the examples look like {LABELS[0]}" in shown.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--label", "clap", "ONE"], "learnt in training"),
        (["--label", "Thumbs up", "ONE"], "lower-case"),
        (["--label", "hail"], "takes the action's name and 1 to 10 clips"),
        (["--label", "hail", *["ONE"] * 11], "more than 10"),
        (["--label", "hail", "STILL"], "shows no motion"),
        (["--label", "hail", "nowhere.mp4"], "nowhere.mp4 does not exist"),
        (["--forget", "hail"], "hail is not enrolled in this model; enrolled: none"),
    ],
)
def test_unusable_arguments_are_refused_in_one_line(model, clips, tmp_path, capsys, more: list[str], reason: str):
    words = [{"ONE": clips[0], "STILL": clips[2]}.get(word, word) for word in more]
    assert enroll(model, tmp_path / "out.safetensors", *words) == BAD_INPUT
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_statistics_is_prepared_from_clips_of_its_labels(clips, tmp_path, capsys) -> None:
    bare, ready = tmp_path / "bare.safetensors", tmp_path / "ready.safetensors"
    small_bundle(window=64).save(bare)
    assert enroll(bare, ready, "--label", "hail", clips[0]) == BAD_INPUT
    assert "--known DATA" in capsys.readouterr().err
    data = tmp_path / "data"
    for label in LABELS:
        (data / label).mkdir(parents=True)
        for clip in clips[:2]:
            (data / label / Path(clip).name).symlink_to(clip)
    known = ["--known", str(data), "--cache", str(tmp_path / "cache")]
    assert enroll(bare, ready, *known) == 0
    assert Bundle.load(ready).statistics is not None
    (data / LABELS[0]).rename(data / "nod")
    assert enroll(bare, ready, *known) == BAD_INPUT
    assert "the model does not know nod" in capsys.readouterr().err


def test_statistics_are_those_of_the_clips_and_other_is_left_out(tmp_path) -> None:
    bundle = small_bundle()
    labels = ("clap", "other", "wave")
    store = ClipStore.build(actor_clips(("clap", "wave"), 3, seed=0), labels, bundle.spec, tmp_path)
    model = bundle.build_model()
    statistics = known_statistics(model, [store], bundle.spec)
    assert not statistics.means[1].any()
    assert statistics.problems(3, bundle.width) == []
    assert np.trace(statistics.spread) == pytest.approx(bundle.width, rel=1e-4)
    few = known_statistics(model, [store], bundle.spec, most=1)
    assert not np.allclose(few.means[0], statistics.means[0])
    np.testing.assert_array_equal(few.spread, np.eye(bundle.width))
    lacking = ClipStore.build(actor_clips(("clap",), 1, seed=0), ("clap", "walk"), bundle.spec, tmp_path)
    with pytest.raises(ConfigError, match="no clip of walk"):
        known_statistics(model, [lacking], bundle.spec)
