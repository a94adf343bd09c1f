"""Clips are decoded once, into files of their own; what cannot be decoded is skipped and listed, whatever it does."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import Pipe

import numpy as np
import pytest
from crashing_workers import crashing_worker
from helpers import small_spec
from media import IRREGULAR, raw_image, record, write_bag, write_video
from rosbags.rosbag2 import StoragePlugin

from fluxformer_core.actor import perform
from fluxformer_core.data import worker_processes
from fluxformer_core.data.clip_store import FLOW_STEP, ActorClip, ClipStore, actor_clips
from fluxformer_core.data.decoding import ClipPart, DecodeJob, decode
from fluxformer_core.data.recordings import Recording
from fluxformer_core.data.worker_processes import Failure, run_in_processes
from fluxformer_core.errors import ConfigError
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream.buffer import RollingBuffer
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.types import SECOND, Pixels

LABELS = ("squat", "wave")
SPEC = small_spec()


def test_a_store_holds_what_the_recognisers_buffer_would(tmp_path):
    clips = actor_clips(LABELS, 2, seed=1)
    store = ClipStore.build(clips, LABELS, SPEC, tmp_path, name="actor")
    assert (len(store), store.labels, store.name, store.skipped) == (4, LABELS, "actor", [])
    assert store.classes.tolist() == [0, 1, 0, 1]
    assert [store[i].depth for i in range(4)] == [True, True, False, False]
    buffer = RollingBuffer(small_spec(window=512), DisFlow())
    for i, image in enumerate(perform(clips[1].label, clips[1].seed, rate=SPEC.rate, size=(64, 64), mode="depth")):
        buffer.push(prepare(image, Pixels.DEPTH, SPEC), round(i * SECOND / SPEC.rate))
    window, sample = buffer.window(), store[1]
    assert sample.label == LABELS.index(clips[1].label)
    for name in ("stamps", "frames", "motion", "change", "descriptors"):
        assert np.array_equal(getattr(sample, name), getattr(window, name)), name
    reach = 127 * FLOW_STEP
    assert np.abs(sample.flow * FLOW_STEP - window.flow.clip(-reach, reach)).max() <= 0.51 * FLOW_STEP


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_recordings_are_skipped_and_listed(tmp_path, workers):
    good, cut = record(tmp_path / "good.mp4"), record(tmp_path / "cut.mp4")
    cut.write_bytes(cut.read_bytes()[:900])
    (tmp_path / "text.mp4").write_text("no video")
    paths = [tmp_path / "missing.mp4", good, cut, tmp_path / "text.mp4"]
    clips = [Recording(str(path), "wave") for path in paths]
    for _ in range(2):  # decoding, and finding it decoded
        store = ClipStore.build(clips, LABELS, SPEC, tmp_path / "cache", depth=True, workers=workers)
        assert len(store) == 1
        assert (store[0].label, len(store[0].frames), store[0].depth) == (1, 12, True)
        assert len(store.skipped) == 3
        for name, message in zip(("missing", "cut", "text"), store.skipped, strict=True):
            assert f"{name}.mp4" in message
    with pytest.raises(ConfigError, match=r"none of 1 clips could be read.*missing\.mp4"):
        ClipStore.build(clips[:1], LABELS, SPEC, tmp_path / "cache")
    record(tmp_path / "text.mp4")
    mended = ClipStore.build(clips, LABELS, SPEC, tmp_path / "cache")
    assert (len(mended), len(mended.skipped)) == (2, 2), "a mended file is tried again"


def test_a_decoder_whose_training_was_killed_blames_no_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_processes, "_BEAT_PERIOD", 0.0)
    ours, theirs = Pipe()
    target = tmp_path / "cache" / "clip.safetensors"

    def work(job: DecodeJob, beat: Callable[[], None]) -> list[str]:
        ours.close()  # as when the process that waits is gone
        return decode(job, beat)

    ours.send(DecodeJob(ActorClip("wave", 1, "depth"), (ClipPart(None, None, target),), SPEC, "none"))
    with pytest.raises(SystemExit):
        worker_processes._serve(theirs, work)
    assert list(tmp_path.rglob("*")) == [], "no clip, and nothing that says it cannot be read"


def test_a_decoder_that_crashes_or_hangs_loses_nothing_else():
    items = ["a", "crash", "b", "hang", "c", "crash", "d"]
    results = dict(run_in_processes(crashing_worker, items, 2, patience=4.0))
    told = [result.reason if isinstance(result, Failure) else result for _, result in sorted(results.items())]
    expected = ["A", "crashed", "B", "gave nothing for 4 s", "C", "crashed", "D"]
    assert all(part in found for part, found in zip(expected, told, strict=True))


def test_a_recording_that_lost_its_order_gives_the_frames_that_are_in_order(tmp_path):
    stamps = [1, 2, 2, 3, 1, 4]
    images = [(i, raw_image(stamp * SECOND // 20, 10 * i)) for i, stamp in enumerate(stamps)]
    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, {"/image": images})
    store = ClipStore.build([Recording(str(bag), "wave")], LABELS, SPEC, tmp_path / "cache")
    assert store.skipped == []
    assert store[0].frames[:, 0, 0, 0].tolist() == [0, 10, 30, 50]


def test_frames_are_admitted_by_their_own_times(tmp_path):
    fast = record(tmp_path / "fast.mp4", frames=60, rate=60)
    phone = write_video(tmp_path / "phone.mp4", IRREGULAR)
    store = ClipStore.build([Recording(str(p), "wave") for p in (fast, phone)], LABELS, SPEC, tmp_path / "cache")
    assert len(store[0].frames) == 20, "of 60 Hz, every third frame"
    brightness = np.rint((store[1].frames[:, -1, 0, 0].astype(float) - 40) / 2).tolist()
    assert brightness == [0, 2, 3, 4, 6], "at 20 Hz, those at 0, 70, 100, 400 and 500 ms"


def test_parts_of_a_bag_are_clips_of_their_own(tmp_path):
    begin = 1_700_000_000 * SECOND
    topics = {
        topic: [(i, raw_image(begin + i * SECOND // 20, i + plus)) for i in range(60)]
        for topic, plus in (("/left", 0), ("/right", 100))
    }
    bag = str(write_bag(tmp_path / "bag", StoragePlugin.SQLITE3, topics))
    clips = [
        Recording(bag, "wave", topic="/left", start=0, end=SECOND // 2),
        Recording(bag, "squat", topic="/left", start=begin + SECOND, end=begin + 2 * SECOND),
        Recording(bag, "wave", topic="/right", start=2 * SECOND),
        Recording(bag, "wave", topic="/right", start=70 * SECOND),
        Recording(bag, "wave"),
    ]
    store = ClipStore.build(clips, LABELS, SPEC, tmp_path / "cache")
    found = [store[i].frames[:, 0, 0, 0].tolist() for i in range(len(store))]
    assert found == [list(range(11)), list(range(20, 41)), list(range(140, 160))]
    assert store.classes.tolist() == [1, 0, 1]
    assert np.all(store[1].flow[0] == 0), "the flow begins with the part"
    assert len(store.skipped) == 2
    assert "shows no image between" in store.skipped[0]
    assert "several image topics" in store.skipped[1]


def test_only_what_changed_is_decoded_again(tmp_path):
    paths = [record(tmp_path / f"{i}.mp4") for i in range(3)]
    clips = [Recording(str(path), "wave") for path in paths]
    cache = tmp_path / "cache"
    ClipStore.build(clips, LABELS, SPEC, cache)
    before = {file: file.stat().st_mtime_ns for file in cache.glob("*/*.safetensors")}
    assert len(before) == 3
    ClipStore.build(clips[::-1], ("wave",), SPEC, cache)  # order and labels do not matter
    record(paths[1], brightness=0.5)
    store = ClipStore.build(clips, LABELS, SPEC, cache)
    after = {file: file.stat().st_mtime_ns for file in cache.glob("*/*.safetensors")}
    assert len(after) == 4
    assert all(after[file] == time for file, time in before.items())
    assert store[1].frames.mean() < 0.6 * store[0].frames.mean()
    ClipStore.build(clips, LABELS, small_spec(size=48), cache)  # another size is another set
    ClipStore.build(clips, LABELS, SPEC, cache, flow="farneback")
    assert len(list(cache.glob("*/*.safetensors"))) == 10
    assert not list(cache.glob("*/*.[0-9]*"))


def test_a_damaged_cache_says_which_file(tmp_path):
    store = ClipStore.build([Recording(str(record(tmp_path / "a.mp4")), "wave")], LABELS, SPEC, tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*/*.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=f"{file.name} is damaged"):
        store[0]


@pytest.mark.parametrize(
    ("labels", "cache", "flow", "message"),
    [
        (("wave",), "file", "dis", "cannot keep decoded clips"),
        (("walk", "jog"), "cache", "dis", "not in the list: jog, walk"),
        (("wave",), "cache", "guess", "no flow estimator"),
    ],
)
def test_what_cannot_be_kept_or_estimated_is_refused(tmp_path, labels, cache, flow, message):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=message):
        ClipStore.build([ActorClip(label, 1, "depth") for label in labels], LABELS, SPEC, tmp_path / cache, flow=flow)
