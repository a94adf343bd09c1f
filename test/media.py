"""Videos and bags for tests, written frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from helpers import rgb, texture, view, write_frames
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from fluxformer_core.types import SECOND

HEIGHT, WIDTH = 48, 64
IRREGULAR = [0, 33_000, 70_000, 100_000, 400_000, 433_333, 500_000]  # us: what a phone in poor light records


def picture(brightness: int) -> np.ndarray:
    """Dark red at the top, the rest of one brightness."""
    image = np.full((HEIGHT, WIDTH, 3), brightness, np.uint8)
    image[: HEIGHT // 4] = (160, 20, 20)
    return image


def write_video(
    path: Path, times: Iterable[int], *, codec: str = "libx264", format: str = "yuv420p", source: str = "rgb24"
) -> Path:
    """Write one frame of brightness 40 + 2 * index at each time in microseconds."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, format
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1_000_000)
        for index, time in enumerate(times):
            if source == "rgb24":
                frame = av.VideoFrame.from_ndarray(picture(40 + 2 * index), format="rgb24")
            else:
                frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH), 1000 + index, np.uint16), format=source)
            frame.pts, frame.time_base = time, Fraction(1, 1_000_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


TYPES = get_typestore(Stores.ROS2_HUMBLE)


def header(stamp: int) -> Any:
    time = TYPES.types["builtin_interfaces/msg/Time"](stamp // SECOND, stamp % SECOND)
    return TYPES.types["std_msgs/msg/Header"](time, "camera")


def raw_image(stamp: int, value: int) -> tuple[str, bytes]:
    kind = "sensor_msgs/msg/Image"
    data = np.full(4 * 20, value, np.uint8)
    return kind, bytes(TYPES.serialize_cdr(TYPES.types[kind](header(stamp), 4, 6, "rgb8", 0, 20, data), kind))


def write_bag(path: Path, storage: StoragePlugin, topics: dict[str, list[tuple[int, tuple[str, bytes]]]]) -> Path:
    """Write the (time in the bag, (type, bytes)) of each topic."""
    with Writer(path, version=8, storage_plugin=storage) as writer:
        for topic, messages in topics.items():
            connection = writer.add_connection(topic, messages[0][1][0], typestore=TYPES)
            for received, (_, raw) in messages:
                writer.write(connection, received, raw)
    return path


def record(path: Path, frames: int = 12, *, rate: int = 20, brightness: float = 1.0) -> Path:
    picture = texture(120, 120)
    images = (rgb(view(picture, 2 * i, 0, 64)) * brightness for i in range(frames))
    return write_frames(path, (image.astype(np.uint8) for image in images), rate=rate)
