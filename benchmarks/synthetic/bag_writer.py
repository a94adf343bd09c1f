"""Write images to a ROS 2 bag without ROS, for tests and benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, get_typestore

from fluxformer_core.errors import ConfigError, ImageError
from fluxformer_core.io.image_encodings import encoding_of
from fluxformer_core.types import SECOND, Pixels

if TYPE_CHECKING:
    from typing_extensions import Self

Storage = Literal["mcap", "sqlite3"]
_RAW, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_VERSION: Literal[8] = 8  # of the bag format; ROS 2 Iron and later read the format
_TO_BGR = {Pixels.RGB: cv2.COLOR_RGB2BGR, Pixels.RGBA: cv2.COLOR_RGBA2BGR, Pixels.BGRA: cv2.COLOR_BGRA2BGR}
_QUALITY = 90  # of JPEG, 0..100


class ImageBag:
    """A new bag to write images to; a context manager.

    `zstd` compresses every message, or the file as a whole when it is closed (sqlite3 only). A compressed bag has JPEG,
    of depth in millimetres PNG, as sensor_msgs/CompressedImage. Notes are custom data in the bag's metadata.

    Raises:
        ConfigError: if the folder exists or cannot be made.
    """

    def __init__(
        self,
        path: Path,
        *,
        storage: Storage = "mcap",
        zstd: Literal["", "message", "file"] = "",
        compressed: bool = False,
        notes: dict[str, str] | None = None,
    ) -> None:
        self._types = get_typestore(Stores.LATEST)
        self._kind = _COMPRESSED if compressed else _RAW
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(path, version=_VERSION, storage_plugin=StoragePlugin[storage.upper()])
            if zstd:
                self._writer.set_compression(CompressionMode[zstd.upper()], CompressionFormat.ZSTD)
            for name, text in (notes or {}).items():
                self._writer.set_custom_data(name, text)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise ConfigError(f"{path} cannot be written: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, topic: str, image: np.ndarray, pixels: Pixels, stamp: int, *, received: int | None = None) -> None:
        """Append an image (H, W) or (H, W, C) with the stamp of its header and the bag's own time, both in ns.

        Raises:
            ImageError: if the image's type is not that of `pixels`, or depth in metres is to be compressed.
        """
        make = self._compressed if self._kind == _COMPRESSED else self._raw
        message = make(image, pixels, stamp)
        self.write_raw(topic, self._kind, bytes(self._types.serialize_cdr(message, self._kind)), received or stamp)

    def write_raw(self, topic: str, kind: str, data: bytes, received: int) -> None:
        """Append a serialised message of a common type."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._types)
        self._writer.write(self._connections[topic], received, data)

    def _header(self, stamp: int) -> Any:
        time = self._types.types["builtin_interfaces/msg/Time"](stamp // SECOND, stamp % SECOND)
        return self._types.types["std_msgs/msg/Header"](time, "camera")

    def _raw(self, image: np.ndarray, pixels: Pixels, stamp: int) -> Any:
        rows = np.ascontiguousarray(image)
        (height, width), step = image.shape[:2], rows.strides[0]
        big, data = int(sys.byteorder == "big"), rows.reshape(-1).view(np.uint8)
        kind = self._types.types[_RAW]
        return kind(self._header(stamp), height, width, encoding_of(image, pixels), big, step, data)

    def _compressed(self, image: np.ndarray, pixels: Pixels, stamp: int) -> Any:
        encoding = encoding_of(image, pixels)
        if encoding == "32FC1":
            raise ImageError("depth in metres cannot be compressed; give millimetres, or write raw images")
        form = "png" if pixels is Pixels.DEPTH else "jpeg"
        source = cv2.cvtColor(image, _TO_BGR[pixels]) if pixels in _TO_BGR else image
        _, data = cv2.imencode(f".{form}", source, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if form == "jpeg" else [])
        return self._types.types[_COMPRESSED](self._header(stamp), f"{encoding}; {form} compressed ", data.reshape(-1))
