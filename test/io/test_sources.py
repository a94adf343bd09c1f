"""Sources of images, each read back from a real file written here: videos, folders, bags, and damaged ones."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from bag_bench import storage_file
from media import HEIGHT, IRREGULAR, TYPES, WIDTH, header, raw_image, write_bag, write_video
from rosbags.rosbag2 import StoragePlugin

from fluxformer_core.errors import ConfigError, SourceError
from fluxformer_core.io.sources import SourceFrame, open_source
from fluxformer_core.io.sources.camera import CameraSource
from fluxformer_core.types import SECOND, Pixels

MICROSECOND = 1_000
EVEN = [40_000 * index for index in range(100)]


def read(path: Path) -> list[SourceFrame]:
    with open_source(str(path)) as source:
        return list(source)


def bag_of(folder: Path, *messages: tuple[str, bytes], storage: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """A bag of messages on /image, received at 1, 2, ... ns; without any, one image."""
    return write_bag(folder / "bag", storage, {"/image": list(enumerate(messages or [raw_image(1, 1)], 1))})


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "even.mp4", EVEN)


def test_video_gives_every_frame_at_its_true_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mp4", IRREGULAR)
    with open_source(str(path)) as source:
        assert (source.name, source.length, source.live) == (str(path), len(IRREGULAR), False)
        frames = list(source)
    assert [frame.stamp for frame in frames] == [time * MICROSECOND for time in IRREGULAR]
    for index, frame in enumerate(frames):
        assert (frame.pixels, frame.image.shape, frame.image.dtype) == (Pixels.RGB, (HEIGHT, WIDTH, 3), np.dtype("u1"))
        assert abs(float(frame.image[HEIGHT // 2 :].mean()) - (40 + 2 * index)) < 3
    red, green, blue = frames[0].image[2:8].mean(axis=(0, 1))
    assert red > max(green, blue) + 80


def test_recordings_start_over_at_every_iteration(video: Path) -> None:
    with open_source(str(video)) as source:
        assert source.rate == pytest.approx(25)
        first = next(iter(source))
        again = list(source)
    assert len(again) == len(EVEN)
    np.testing.assert_array_equal(first.image, again[0].image)


def test_videos_that_hold_deep_grey_are_depth(tmp_path: Path) -> None:
    path = write_video(tmp_path / "depth.mkv", EVEN[:3], codec="ffv1", format="gray16le", source="gray16le")
    frames = read(path)
    assert [(frame.pixels, frame.image.dtype) for frame in frames] == [(Pixels.DEPTH, np.dtype(np.uint16))] * 3
    assert [int(frame.image[5, 5]) for frame in frames] == [1000, 1001, 1002]


def test_videos_of_a_phone_held_upright_are_turned(tmp_path: Path) -> None:
    path = write_video(tmp_path / "upright.mp4", EVEN[:2])
    content = bytearray(path.read_bytes())
    # The track header's matrix says how to show the picture; this one says: a quarter turn clockwise.
    matrix = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    content[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, HEIGHT * one, 0, 1 << 30)
    path.write_bytes(content)
    image = read(path)[0].image
    assert image.shape == (WIDTH, HEIGHT, 3)
    assert image[:, -HEIGHT // 4 + 2 :, 0].mean() > image[:, : HEIGHT // 2, 0].mean() + 80


def test_videos_with_names_in_another_encoding_are_read(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "named.mp4"
    path.write_bytes(video.read_bytes().replace(b"VideoHandler", b"Vid\xe9oHandler"))
    assert path.read_bytes() != video.read_bytes()
    assert len(read(path)) == len(EVEN)


def test_bare_streams_without_times_run_at_their_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "bare.h264", EVEN[:5])
    stamps = [frame.stamp for frame in read(path)]
    assert len(stamps) == 5
    assert len(set(np.diff(stamps))) == 1


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.7, 0.9])
def test_videos_cut_short_are_refused(video: Path, tmp_path: Path, share: float) -> None:
    whole, cut = video.read_bytes(), tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SourceError, match="cut short") as caught:
        read(cut)
    assert "\n" not in str(caught.value)


def test_videos_cut_short_between_two_frames_are_refused(video: Path, tmp_path: Path) -> None:
    with av.open(str(video)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        boundary = packets[len(packets) // 2]
        assert boundary.pos is not None
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(video.read_bytes()[: boundary.pos])
    with pytest.raises(SourceError, match=r"cut short: its last \d\.\d s are missing"):
        read(cut)


@pytest.mark.parametrize(
    ("name", "content"), [("notes.txt", b"no video\n" * 50), ("empty.mp4", b""), ("a.mp4", bytes(99))]
)
def test_files_that_are_no_video_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"is not a video|holds no video"):
        open_source(str(path))


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match="holds no video"):
        open_source(str(path))


def write_images(folder: Path, names: Iterable[str]) -> Path:
    folder.mkdir()
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((4, 6), 10 * index, np.uint8))
    return folder


def test_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", ["frame2.png", "frame10.png", "frame9.png", "frame1.png"])
    (folder / "notes.txt").write_text("not an image")
    with open_source(str(folder), rate=25) as source:
        assert (source.rate, source.length) == (25, 4)
        frames = list(source)
    assert [int(frame.image[0, 0]) for frame in frames] == [30, 0, 20, 10]
    assert [frame.stamp for frame in frames] == [index * SECOND // 25 for index in range(4)]
    assert {frame.pixels for frame in frames} == {Pixels.GREY}


def test_folder_of_deep_images_is_depth_at_thirty_hertz(tmp_path: Path) -> None:
    depth = np.arange(24, dtype=np.uint16).reshape(4, 6) * 100
    for name in ("0.png", "1.png"):
        cv2.imwrite(str(tmp_path / name), depth)
    first, second = read(tmp_path)
    assert first.pixels == Pixels.DEPTH
    np.testing.assert_array_equal(first.image, depth)
    assert second.stamp == round(SECOND / 30)


def test_broken_image_of_a_folder_is_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", ["1.png", "2.png"])
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:30])
    with pytest.raises(SourceError, match=r"2\.png cannot be read: compressed image is cut short"):
        read(folder)


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(SourceError, match=r"neither images .* nor a bag"):
        open_source(str(tmp_path))


STORAGES = pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])


def compressed_image(stamp: int, value: int) -> tuple[str, bytes]:
    kind = "sensor_msgs/msg/CompressedImage"
    data = np.frombuffer(cv2.imencode(".png", np.full((4, 6), value, np.uint8))[1], np.uint8)
    return kind, bytes(TYPES.serialize_cdr(TYPES.types[kind](header(stamp), "mono8; png compressed ", data), kind))


def text(value: str) -> tuple[str, bytes]:
    kind = "std_msgs/msg/String"
    return kind, bytes(TYPES.serialize_cdr(TYPES.types[kind](value), kind))


@STORAGES
def test_bag_gives_the_stamps_of_the_headers(tmp_path: Path, storage: StoragePlugin) -> None:
    images = [(9_000 + index, raw_image(5 * SECOND + index, index)) for index in range(4)]
    bag = write_bag(tmp_path / "bag", storage, {"/camera/image": images, "/said": [(8_000, text("wave"))]})
    for spec in (bag, storage_file(bag)):
        with open_source(str(spec)) as source:
            assert (source.length, source.live) == (4, False)
            for _ in range(2):
                frames = list(source)
                assert [frame.stamp for frame in frames] == [5 * SECOND + index for index in range(4)]
                assert [int(frame.image[3, 5, 2]) for frame in frames] == [0, 1, 2, 3]
                assert {(frame.pixels, frame.image.shape) for frame in frames} == {(Pixels.RGB, (4, 6, 3))}


def test_bag_of_compressed_images_without_stamps_gives_the_times_of_the_bag(tmp_path: Path) -> None:
    messages = [(7_000, compressed_image(0, 77)), (8_000, compressed_image(0, 88))]
    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, {"/image/compressed": messages})
    found = [(frame.stamp, frame.pixels, int(frame.image[0, 0])) for frame in read(bag)]
    assert found == [(7_000, Pixels.GREY, 77), (8_000, Pixels.GREY, 88)]


def test_bag_with_several_image_topics_asks_for_one_and_a_bag_without_any_names_its_topics(tmp_path: Path) -> None:
    topics = {"/right": [(1, raw_image(1, 10))], "/left": [(2, raw_image(2, 20))], "/said": [(3, text("wave"))]}
    bag = str(write_bag(tmp_path / "bag", StoragePlugin.MCAP, topics))
    with pytest.raises(SourceError, match="several image topics; choose one with topic: /left, /right"):
        open_source(bag)
    for topic in ("/front", "/said"):
        with pytest.raises(SourceError, match=f"no images on {topic}; its image topics: /left, /right"):
            open_source(bag, topic=topic)
    with open_source(bag, topic="/left") as source:
        assert [int(frame.image[0, 0, 0]) for frame in source] == [20]
    silent = write_bag(tmp_path / "silent", StoragePlugin.MCAP, {"/said": [(3, text("wave"))]})
    with pytest.raises(SourceError, match="has no images; it holds /said"):
        open_source(str(silent))


@STORAGES
def test_unreadable_messages_are_skipped_counted_and_logged(
    tmp_path: Path, storage: StoragePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    kind, whole = raw_image(3, 30)
    wrong_encoding = (kind, whole.replace(b"rgb8\0", b"rgb7\0"))
    bag = bag_of(tmp_path, raw_image(1, 10), (kind, whole[:40]), wrong_encoding, raw_image(4, 40), storage=storage)
    with caplog.at_level(logging.WARNING), open_source(str(bag)) as source:
        assert [frame.stamp for frame in source] == [1, 4]
        assert getattr(source, "skipped", None) == 2
    assert "message at 2 ns on /image skipped" in caplog.text
    assert "'rgb7' is not supported" in caplog.text


def test_bag_of_nothing_but_unreadable_messages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no frame"):
        read(bag_of(tmp_path, (raw_image(1, 1)[0], b"\0\1\0\0")))


@STORAGES
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.98])
def test_bags_cut_short_are_refused(tmp_path: Path, storage: StoragePlugin, share: float) -> None:
    bag = bag_of(tmp_path, *(raw_image(index, index) for index in range(1, 200)), storage=storage)
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    for spec in (bag, file):
        with pytest.raises(SourceError, match="not a bag that can be read") as caught:
            read(spec)
        assert "\n" not in str(caught.value)


def test_bag_whose_file_is_missing_is_refused(tmp_path: Path) -> None:
    bag = bag_of(tmp_path)
    storage_file(bag).unlink()
    with pytest.raises(SourceError, match="missing"):
        open_source(str(bag))


def test_absent_cameras_are_refused() -> None:
    for spec in ("97", "/dev/video97"):
        with pytest.raises(SourceError, match=f"camera {spec} cannot be opened"):
            open_source(spec)


def test_camera_gives_fresh_images_with_growing_stamps_until_it_stops(video: Path) -> None:
    # OpenCV reads a file as it reads a camera, so a video stands in for the device.
    stamps: list[int] = []
    with CameraSource(str(video)) as source:
        assert source.live
        assert source.rate == pytest.approx(25)
        with pytest.raises(SourceError, match="stopped giving images"):
            stamps.extend(frame.stamp for frame in source if frame.image.shape == (HEIGHT, WIDTH, 3))
    assert stamps
    assert stamps == sorted(set(stamps))


def test_camera_can_be_left_while_it_runs(video: Path) -> None:
    with CameraSource(str(video)) as source:
        assert next(iter(source)).pixels == Pixels.BGR


@pytest.mark.parametrize("spec", ["nowhere.mp4", "no/such/folder", "", "rtsp"])
def test_what_does_not_exist_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError):
        open_source(spec)


def test_settings_that_a_source_does_not_have_are_refused(video: Path, tmp_path: Path) -> None:
    folder, bag = write_images(tmp_path / "images", ["1.png"]), bag_of(tmp_path)
    for spec in (str(video), str(folder), "0"):
        with pytest.raises(ConfigError, match="no topic"):
            open_source(spec, topic="/image")
    for spec in (str(video), str(bag), "0"):
        with pytest.raises(ConfigError, match="rate is for folders"):
            open_source(spec, rate=10)
    with pytest.raises(ConfigError, match="positive"):
        open_source(str(folder), rate=0)
