"""The images of a ROS 2 bag (mcap or sqlite3) as a source, read without ROS."""

from __future__ import annotations

import logging
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rosbags.rosbag2 import Reader
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from fluxformer_core.errors import ImageError, SourceError, first_line
from fluxformer_core.io.image_encodings import decode_compressed, decode_image
from fluxformer_core.io.sources import Source, SourceFrame
from fluxformer_core.types import SECOND, Pixels

if TYPE_CHECKING:
    import numpy as np
    from rosbags.interfaces import Connection

_LOG = logging.getLogger(__name__)
_RAW, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_MAX_CAUSES = 16  # different causes that are counted; further ones count as "other causes"

SOURCE_NOTE, TOPIC_NOTE, ORIGIN_NOTE = "fluxformer_bag", "fluxformer_topic", "fluxformer_origin"
"""Names of the notes in a bag of results: the bag that was played, its image topic, the stamp of its first image."""


@dataclass(frozen=True)
class BagContents:
    """The contents of a bag according to its metadata."""

    images: dict[str, int]  # number of messages of each image topic
    compressed: frozenset[str]  # image topics with compressed images
    others: dict[str, str]  # type of each other topic
    notes: dict[str, str]  # custom metadata that the recorder wrote


def bag_contents(path: Path) -> BagContents:
    """Read the metadata of a bag: its folder, or its only file; a SourceError if the bag cannot be read."""
    with bag_damage(str(path)), Reader(path) as reader:
        images: Counter[str] = Counter()
        for connection in reader.connections:
            if connection.msgtype in (_RAW, _COMPRESSED):
                images[connection.topic] += connection.msgcount
        others = {c.topic: c.msgtype for c in reader.connections if c.topic not in images}
        notes = getattr(getattr(reader.storage, "metadata", None), "custom", None)
        compressed = frozenset(c.topic for c in reader.connections if c.msgtype == _COMPRESSED)
        return BagContents(dict(sorted(images.items())), compressed, dict(sorted(others.items())), dict(notes or {}))


class BagSource(Source):
    """The images of one topic. Messages that cannot be read are skipped, counted and logged.

    The stamp of a frame is the stamp of the message header; if the header has none, it is the bag's receive time.

    Args:
        path: the bag's folder, or its only file.
        topic: the image topic; may be None if the bag has only one.

    Attributes:
        skipped: number of unreadable messages since the last iteration began.
        causes: number of unreadable messages by cause.
        missing: number of messages in the metadata that the bag does not hold; known after an iteration.

    Raises:
        SourceError: if the bag cannot be read, or the topic is missing or ambiguous; the message names the topics.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        with ExitStack() as resources:
            with bag_damage(str(path)):
                reader = resources.enter_context(Reader(path))
            self._connections = _choose(reader.connections, topic, str(path))
            self._resources = resources.pop_all()
        self.topic = self._connections[0].topic
        super().__init__(str(path), length=sum(c.msgcount for c in self._connections) or None)
        self._reader = reader
        # Image messages are the same in all ROS 2 releases, so the definitions in the bag are not needed.
        self._types = get_typestore(Stores.LATEST)
        self.skipped, self.missing = 0, 0
        self.causes: Counter[str] = Counter()

    def pick(self, wanted: Callable[[int], bool]) -> Iterator[SourceFrame]:
        """Decode only the images whose stamps (ns) are wanted, which is far faster than decoding all images.

        Messages that cannot be read are skipped silently.

        Raises:
            SourceError: if the bag is damaged or cut short.
        """
        for connection, received, raw in self._messages():
            try:
                if wanted(_stamp(raw, received)):
                    yield self._decode(connection, received, raw)
            except (SerdeError, ImageError, TypeError, struct.error, IndexError):
                continue

    def _frames(self) -> Iterator[SourceFrame]:
        self.skipped = 0
        self.causes.clear()
        for connection, received, raw in self._messages():
            try:
                frame = self._decode(connection, received, raw)
            # A damaged database may return text instead of bytes, which is a TypeError.
            except (SerdeError, ImageError, TypeError) as error:
                self.skipped += 1
                cause = re.split(r"[:;\n]", str(error), maxsplit=1)[0]
                self.causes[cause if cause in self.causes or len(self.causes) < _MAX_CAUSES else "other causes"] += 1
                _LOG.warning("%s: message at %d ns on %s skipped: %s", self.name, received, connection.topic, error)
                continue
            yield frame

    def _decode(self, connection: Connection, received: int, raw: bytes) -> SourceFrame:
        message: Any = self._types.deserialize_cdr(raw, connection.msgtype)
        image, pixels = _decode(message)
        stamp = message.header.stamp
        return SourceFrame(stamp.sec * SECOND + stamp.nanosec or received, image, pixels)

    def _messages(self) -> Iterator[tuple[Connection, int, bytes]]:
        count = 0
        with bag_damage(self.name):
            for message in self._reader.messages(self._connections):
                yield message
                count += 1
        self.missing = max(0, (self.length or 0) - count)
        if self.missing:
            _LOG.warning("%s is damaged: it holds %d of its %d images", self.name, count, self.length)

    def close(self) -> None:
        """Close the bag's files."""
        self._resources.close()


@contextmanager
def bag_damage(name: str) -> Iterator[None]:
    """Turn any error of the bag reader into a SourceError of one line."""
    try:
        yield
    # A damaged bag causes errors of the reader, of the database and of Python, which have no common base class.
    except Exception as error:
        raise SourceError(
            f"{name} is not a bag that can be read: {first_line(error)} "
            "(an interrupted recording is repaired by 'ros2 bag reindex' or 'mcap recover')"
        ) from error


def _choose(connections: list[Connection], topic: str | None, name: str) -> list[Connection]:
    images = [c for c in connections if c.msgtype in (_RAW, _COMPRESSED)]
    topics = sorted({c.topic for c in images})
    if not topics:
        others = ", ".join(sorted({f"{c.topic} ({c.msgtype})" for c in connections})) or "nothing at all"
        raise SourceError(f"{name} has no images; it holds {others}")
    if topic is None and len(topics) > 1:
        raise SourceError(f"{name} has several image topics; choose one with topic: {', '.join(topics)}")
    if topic is not None and topic not in topics:
        raise SourceError(f"{name} has no images on {topic}; its image topics: {', '.join(topics)}")
    return [c for c in images if c.topic == (topic or topics[0])]


def _stamp(raw: bytes, received: int) -> int:
    """The stamp of a serialised message that begins with a header, without decoding the rest."""
    order = "<" if raw[1] & 1 else ">"  # the second byte of CDR states the byte order
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", raw, 4)
    return int(seconds * SECOND + nanoseconds) or received


def _decode(m: Any) -> tuple[np.ndarray, Pixels]:
    if hasattr(m, "format"):
        return decode_compressed(m.format, m.data)
    return decode_image(m.height, m.width, m.encoding, m.is_bigendian, m.step, m.data)
