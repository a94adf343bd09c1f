"""Learning: clips are decoded once, augmented together with their flow, and a training can be repeated or continued."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import rgb, small_config, small_model, small_spec, texture, view
from rosbags.rosbag2 import StoragePlugin
from test_augment import PLAIN
from test_sources import raw_image, write_bag
from torch import Tensor, nn

from fluxformer_core.clip import SECOND, Pixels
from fluxformer_core.errors import ConfigError
from fluxformer_core.flow.dis import DisFlow
from fluxformer_core.learn.actor import perform
from fluxformer_core.learn.datasets import (
    FLOW_STEP,
    ActorClip,
    ClipStore,
    Recording,
    actor_clips,
    read_index,
)
from fluxformer_core.learn.training import TrainConfig, accuracy, predict, train
from fluxformer_core.stream.buffer import RollingBuffer
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.stream.recording import VideoRecorder

LABELS = ("squat", "wave")
SPEC = small_spec()
RECIPE = TrainConfig(epochs=2, batch=4, learning_rate=3e-3, warmup=0.5, half=False, workers=0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def store(cache: Path) -> ClipStore:
    return ClipStore.build(actor_clips(LABELS, 4, seed=1), LABELS, SPEC, cache)


def record(path: Path, frames: int = 12) -> Path:
    with VideoRecorder(path) as recorder:
        for i in range(frames):
            recorder.write(rgb(view(texture(120, 120), 2 * i, 0, 64)), i * SECOND // 20)
    return path


def test_a_store_holds_what_the_recognisers_buffer_would(store):
    assert len(store) == 8
    assert store.labels == LABELS
    assert store.classes.tolist() == [0, 1] * 4
    assert [store[i].depth for i in range(8)] == [True, True, False, False] * 2
    clip = actor_clips(LABELS, 4, seed=1)[5]
    buffer = RollingBuffer(small_spec(window=512), DisFlow())
    for i, image in enumerate(perform(clip.label, clip.seed, rate=SPEC.rate, size=(64, 64), mode="depth")):
        buffer.push(prepare(image, Pixels.DEPTH, SPEC), round(i * SECOND / SPEC.rate))
    window, sample = buffer.window(), store[5]
    assert sample.label == LABELS.index(clip.label)
    for name in ("frames", "motion", "change", "descriptors"):
        assert np.array_equal(getattr(sample, name), getattr(window, name)), name
    assert np.abs(sample.flow * FLOW_STEP - window.flow.clip(-4, 4)).max() <= 0.51 * FLOW_STEP


def test_unreadable_recordings_are_skipped_and_listed(tmp_path):
    good, cut = record(tmp_path / "good.mp4"), record(tmp_path / "cut.mp4")
    cut.write_bytes(cut.read_bytes()[:900])
    (tmp_path / "text.mp4").write_text("no video")
    paths = [tmp_path / "missing.mp4", good, cut, tmp_path / "text.mp4"]
    clips = [Recording(str(path), "wave") for path in paths]
    store = ClipStore.build(clips, LABELS, SPEC, tmp_path / "cache", depth=True)
    assert len(store) == 1
    assert (store[0].label, len(store[0].frames), store[0].depth) == (1, 12, True)
    assert len(store.skipped) == 3
    for name, message in zip(("missing", "cut", "text"), store.skipped, strict=True):
        assert f"{name}.mp4" in message
    with pytest.raises(ConfigError, match=r"none of 1 clips could be read.*missing\.mp4"):
        ClipStore.build(clips[:1], LABELS, SPEC, tmp_path / "cache")


def test_a_recording_that_lost_its_order_gives_the_frames_that_are_in_order(tmp_path):
    stamps = [1, 2, 2, 3, 1, 4]
    images = [(i, raw_image(stamp * SECOND // 20, 10 * i)) for i, stamp in enumerate(stamps)]
    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, {"/image": images})
    store = ClipStore.build([Recording(str(bag), "wave")], LABELS, SPEC, tmp_path / "cache")
    assert store.skipped == []
    assert store[0].frames[:, 0, 0, 0].tolist() == [0, 10, 30, 50]


def test_the_second_time_the_cache_is_found(tmp_path):
    video = record(tmp_path / "clip.mp4")
    clips = [Recording(str(video), "wave")]
    first = ClipStore.build(clips, LABELS, SPEC, tmp_path / "cache")
    frames = np.array(first[0].frames)
    video.unlink()
    again = ClipStore.build(clips, LABELS, SPEC, tmp_path / "cache")
    assert np.array_equal(again[0].frames, frames)
    with pytest.raises(ConfigError, match="none of 1"):  # another size is another set
        ClipStore.build(clips, LABELS, small_spec(size=48), tmp_path / "cache")


def test_an_interrupted_decoding_starts_again(tmp_path):
    clips = [Recording(str(record(tmp_path / "clip.mp4")), "wave")]
    ClipStore.build(clips, LABELS, SPEC, tmp_path / "cache")
    (index,) = (tmp_path / "cache").glob("*/index.json")
    content = json.loads(index.read_text())
    index.unlink()
    (index.parent / "frames.npy").write_bytes(b"half")
    assert len(ClipStore.build(clips, LABELS, SPEC, tmp_path / "cache")[0].frames) == 12
    assert json.loads(index.read_text()) == content


def test_labels_outside_the_list_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="not in the list: jog, walk"):
        ClipStore.build([ActorClip("walk", 1, "depth"), ActorClip("jog", 1, "depth")], LABELS, SPEC, tmp_path)


def test_a_list_of_clips_is_read(tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("path,label,subject,split\na/1.mp4,wave,s1,train\n2.mp4,clap,,\n")
    assert read_index(index) == [
        Recording(str(tmp_path / "a/1.mp4"), "wave", "s1", "train"),
        Recording(str(tmp_path / "2.mp4"), "clap"),
    ]
    assert [Path(r.path) for r in read_index(index, media="small")] == [
        tmp_path / "small/1.mp4",
        tmp_path / "small/2.mp4",
    ]
    index.write_text("label,path\nwave,1.mp4\n")
    assert read_index(index) == [Recording(str(tmp_path / "1.mp4"), "wave")]


@pytest.mark.parametrize("content", [None, b"", b"path,label\n", b"path,subject\na,b\n", b"path,label\n\xff\xfe,x\n"])
def test_a_list_that_is_none_is_refused(tmp_path, content):
    index = tmp_path / "index.csv"
    if content is not None:
        index.write_bytes(content)
    with pytest.raises(ConfigError, match=r"index\.csv"):
        read_index(index)


def fresh() -> nn.Module:
    """Small, with every source of chance that a training has."""
    return small_model(small_config(trunk={"drop_path": 0.2}, readout="mean"), classes=len(LABELS))


def trained(store: ClipStore, config: TrainConfig, checkpoint: Path | None = None) -> dict[str, Tensor]:
    return train(fresh(), [store], SPEC, {}, config, checkpoint=checkpoint).state_dict()


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


def loss(model: nn.Module, store: ClipStore) -> float:
    logits = predict(model, store, SPEC)
    return nn.functional.cross_entropy(logits, torch.from_numpy(store.classes)).item()


@pytest.mark.parametrize("half", [False, True])
def test_a_handful_of_clips_is_learnt_by_heart(store, cache, half):
    clips = actor_clips(LABELS, 4, seed=1)
    parts = [ClipStore.build(part, LABELS, SPEC, cache) for part in (clips[::2], clips[1::2])]  # squats, waves
    model = small_model(small_config(readout="mean", head_dropout=0.0, flow_dropout=0.0), classes=len(LABELS))
    before = loss(model, store)
    model = train(model, parts, SPEC, {}, replace(RECIPE, epochs=25, half=half, augment=PLAIN))
    assert not model.training
    assert loss(model, store) < 0.3 * before
    assert accuracy(model, store, SPEC) == 1.0


def test_a_training_can_be_repeated(store):
    first, again = trained(store, RECIPE), trained(store, RECIPE)
    assert equal(first, again)
    assert not equal(first, trained(store, replace(RECIPE, seed=1)))


def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(store, tmp_path):
    config, checkpoint = replace(RECIPE, epochs=4), tmp_path / "run" / "checkpoint"
    whole = trained(store, config)

    class PowerCut(Exception):
        pass

    model = fresh()
    steps = 0

    def cut(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps > 2 * len(store) // config.batch:
            raise PowerCut

    model.register_forward_pre_hook(cut)
    with pytest.raises(PowerCut):
        train(model, [store], SPEC, {}, config, checkpoint=checkpoint)
    assert equal(trained(store, config, checkpoint), whole)
    assert not list(checkpoint.parent.glob("*.partial"))


def test_a_finished_training_is_not_repeated(store, tmp_path):
    whole = trained(store, RECIPE, tmp_path / "checkpoint")
    assert equal(trained(store, RECIPE, tmp_path / "checkpoint"), whole)


def damaged(path: Path) -> Sequence[bytes]:
    data = path.read_bytes()
    return (b"", b"nothing of the kind", data[: len(data) // 2], data[:-100])


def test_a_checkpoint_that_cannot_be_continued_is_refused(store, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    trained(store, replace(RECIPE, epochs=1), checkpoint)
    whole = checkpoint.read_bytes()
    for content in damaged(checkpoint):
        checkpoint.write_bytes(content)
        with pytest.raises(ConfigError, match=r"cannot continue from .*checkpoint"):
            trained(store, RECIPE, checkpoint)
    checkpoint.write_bytes(whole)
    other = small_model(small_config(clusters=0), classes=len(LABELS))
    with pytest.raises(ConfigError, match=r"cannot continue from .*checkpoint"):
        train(other, [store], SPEC, {}, RECIPE, checkpoint=checkpoint)
    torch.save({"epoch": 1, "other": []}, checkpoint)
    with pytest.raises(ConfigError, match=r"cannot continue from .*checkpoint"):
        trained(store, RECIPE, checkpoint)


def test_fewer_clips_than_a_batch_are_refused(store):
    with pytest.raises(ConfigError, match="8 clips are fewer than one batch of 16"):
        trained(store, replace(RECIPE, batch=16))


def test_the_weights_that_are_kept_are_a_running_mean_with_a_short_memory_at_first(store, tmp_path):
    config, checkpoint, name = replace(RECIPE, epochs=3, average=0.3), tmp_path / "checkpoint", "head.weight"
    model, seen = fresh(), []
    model.register_forward_pre_hook(lambda *_: seen.append(model.get_parameter(name).detach().clone()))
    mean = train(model, [store], SPEC, {}, config, checkpoint=checkpoint).state_dict()[name]
    begin, *after = [*seen, torch.load(checkpoint, weights_only=True)["model"][name]]
    expected = begin
    for weights, memory in zip(after, (1 / 10, 2 / 11, 3 / 12, 0.3, 0.3, 0.3), strict=True):
        expected = memory * expected + (1 - memory) * weights
    torch.testing.assert_close(mean, expected)
    assert not torch.allclose(mean, after[-1])


def test_the_rate_rises_then_falls_and_matrices_alone_decay(store, monkeypatch):
    rates: list[float] = []
    decays: dict[bool, set[float]] = {True: set(), False: set()}

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            for group in self.param_groups:
                for parameter in group["params"]:
                    decays[parameter.ndim > 1].add(group["weight_decay"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    trained(store, replace(RECIPE, epochs=6, warmup=2.0, batch=2))
    peak = int(np.argmax(rates))
    assert len(rates) == 24
    assert rates[0] < 0.2 * RECIPE.learning_rate
    assert 5 <= peak <= 8
    assert np.all(np.diff(rates[: peak + 1]) > 0)
    assert np.all(np.diff(rates[peak:]) < 0)
    assert rates[-1] < 0.05 * RECIPE.learning_rate
    assert decays == {True: {RECIPE.weight_decay}, False: {0.0}}


def test_a_training_may_start_at_full_rate(store):
    assert all(value.isfinite().all() for value in trained(store, replace(RECIPE, epochs=1, warmup=0.0)).values())
