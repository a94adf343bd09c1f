"""Records the topics of a recogniser to a bag, which `fluxformer evaluate` scores like a bag of images."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from fluxformer import msg
from rclpy.event_handler import QoSSubscriptionMatchedInfo, SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from fluxformer_core.errors import ConfigError, FluxformerError
from fluxformer_core.io.sources.bag import ORIGIN_NOTE, SOURCE_NOTE, TOPIC_NOTE, BagSource
from fluxformer_ros.node.process import StopSignals, resource, spin_until_stopped

HEARS = "somebody publishes"
"""Logged with the topic, so that a player can wait until the recorder listens."""

_DEPTH = 100  # messages
_LINGER = 1.0  # s: for the last events, when recogniser and recorder are stopped at once
_OURS = ("ActionScore", "Recognition", "ActionEvent", "ActionLabels")
_DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"


class ResultsBag:
    """A new bag of serialised messages, with notes (text by name) in the bag's metadata.

    Raises:
        ConfigError: if the folder exists already or cannot be written.
    """

    def __init__(self, path: Path, notes: dict[str, str]) -> None:
        self._types = _types()
        self._connections: dict[str, Connection] = {}
        self._waiting: list[tuple[str, bytes]] = []
        self.count = 0
        try:
            self._writer = Writer(path, version=8, storage_plugin=StoragePlugin.MCAP)
            for name, text in notes.items():
                self._writer.set_custom_data(name, text)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise ConfigError(f"{path} cannot be written: {error}") from None

    def add(self, topic: str, kind: str) -> None:
        """Announce a topic."""
        self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._types)

    def write(self, topic: str, data: bytes, received: int) -> None:
        """Append a serialised message, received at a time in ns; at time 0 it waits for the first time of the clock."""
        self._waiting.append((topic, data))
        if received:
            self._flush(received)

    def close(self) -> None:
        """Write the waiting messages, and the description of the bag."""
        self._flush(1)
        self._writer.close()

    def _flush(self, received: int) -> None:
        waiting, self._waiting = self._waiting, []
        for topic, data in waiting:
            self._writer.write(self._connections[topic], received, data)
            self.count += 1


class RecorderNode(Node):
    """Writes the messages of a recogniser as they arrive, with the time of the node's clock.

    `failure` says why the bag cannot be written any more, as on a full disk. The node then sets the signals to stop.
    """

    def __init__(self, recognizer: str, bag: ResultsBag, signals: StopSignals) -> None:
        super().__init__("recorder")
        self.failure = ""
        self._bag, self._signals = bag, signals
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._record(msg.Recognition, "fluxformer/msg/Recognition", f"{recognizer}/recognition", _DEPTH)
        self._record(msg.ActionEvent, "fluxformer/msg/ActionEvent", f"{recognizer}/events", _DEPTH)
        self._record(msg.ActionLabels, "fluxformer/msg/ActionLabels", f"{recognizer}/labels", latched)
        self._record(DiagnosticArray, _DIAGNOSTICS, "/diagnostics", _DEPTH)

    def _record(self, kind: Any, name: str, topic: str, qos: QoSProfile | int) -> None:
        topic = self.resolve_topic_name(topic)
        self._bag.add(topic, name)

        def write(data: bytes) -> None:
            if self.failure:
                return
            try:
                self._bag.write(topic, data, int(self.get_clock().now().nanoseconds))
            except OSError as error:
                self.failure = error.strerror or str(error)
                self._signals.stopped = True

        def matched(info: QoSSubscriptionMatchedInfo) -> None:
            if info.current_count_change > 0:
                self.get_logger().info(f"{HEARS} {topic}")

        callbacks = SubscriptionEventCallbacks(matched=matched)
        self.create_subscription(kind, topic, write, qos, raw=True, event_callbacks=callbacks)


def notes_on(bag: Path, topic: str | None) -> dict[str, str]:
    """What a bag of results notes about the played bag: name, image topic and first stamp; may raise a SourceError."""
    with BagSource(bag, topic) as source:
        first = next(iter(source))
        return {SOURCE_NOTE: bag.resolve().name, TOPIC_NOTE: source.topic, ORIGIN_NOTE: str(first.stamp)}


def _types() -> Typestore:
    types = get_typestore(Stores.LATEST)
    for name in _OURS:
        text = resource(f"msg/{name}.msg").read_text(encoding="utf-8")
        types.register(get_types_from_msg(text, f"fluxformer/msg/{name}"))
    return types


def main(args: Sequence[str] | None = None) -> int:
    """Record until one second after Ctrl-C; the exit code is 2 if a bag cannot be written or read."""
    arguments = list(sys.argv if args is None else args)
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("out", type=Path, metavar="BAG", help="folder to make for the bag")
    add("--node", default="recognizer", help="the recogniser to record (default: %(default)s)")
    add("--played", type=Path, metavar="BAG", help="the played bag, noted for `fluxformer evaluate`")
    add("--topic", help="of the images in the played bag; needed where that has several image topics")
    options = parser.parse_args(remove_ros_args(arguments)[1:])
    try:
        bag = ResultsBag(options.out, notes_on(options.played, options.topic) if options.played else {})
    except FluxformerError as error:
        print(f"recorder: {error}", file=sys.stderr)
        return 2
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    signals = StopSignals()
    node = RecorderNode(options.node, bag, signals)
    try:
        spin_until_stopped(node, signals)
        if not node.failure:
            _linger(node)
    finally:
        try:
            bag.close()
        except OSError as error:
            node.failure = node.failure or error.strerror or str(error)
        node.destroy_node()
        rclpy.shutdown()
    if node.failure:
        failure = f"{options.out} cannot be written on: {node.failure}; mend the bag with 'mcap recover'"
        print(f"recorder: {failure}", file=sys.stderr)
        return 2
    print(f"{bag.count} messages recorded in {options.out}", flush=True)
    return 0


def _linger(node: Node) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + _LINGER
    while (left := end - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left)
    executor.remove_node(node)
    executor.shutdown()


if __name__ == "__main__":
    sys.exit(main())
