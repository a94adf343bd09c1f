"""Prints the events of a recogniser: the smallest example of a node that reacts to people."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from fluxformer import msg
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from fluxformer_core.types import SECOND, ActionEvent, EventKind
from fluxformer_ros.node.messages import event_from_msg, recognition_from_msg
from fluxformer_ros.node.process import StopSignals, spin_until_stopped
from fluxformer_ros.tools.transcript import Status, TranscriptWriter

_DEPTH = 100  # messages that may wait while the terminal is slow


class ListenerNode(Node):
    """Prints the events of a recogniser, and records its recognitions, events and diagnostics."""

    def __init__(self, recognizer: str, record: TranscriptWriter) -> None:
        super().__init__("listener")
        self._record = record
        self._origin = 0  # ns: the first stamp that was heard
        self._delays: list[float] = []
        self._started = 0
        self._recognizer = self.resolve_topic_name(recognizer).lstrip("/")
        self.create_subscription(msg.Recognition, f"{recognizer}/recognition", self._on_recognition, _DEPTH)
        self.create_subscription(msg.ActionEvent, f"{recognizer}/events", self._on_event, _DEPTH)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, _DEPTH)

    def summary(self) -> str:
        """The counts and delays of what was heard, in one line."""
        if not self._delays:
            return "no recognition was heard"
        p50, p99 = np.percentile(self._delays, [50, 99])
        return (
            f"{len(self._delays)} recognitions and {self._started} actions heard; "
            f"from the image's stamp to here p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        )

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_recognition(self, message: msg.Recognition) -> None:
        now, recognition = self._now(), recognition_from_msg(message)
        self._origin = self._origin or recognition.stamp
        self._delays.append((now - recognition.stamp) / 1e6)
        self._record.write(recognition, now)

    def _on_event(self, message: msg.ActionEvent) -> None:
        now, event = self._now(), event_from_msg(message)
        self._origin = self._origin or event.start
        self._started += event.kind is EventKind.STARTED
        print(self._line(event, now), flush=True)
        self._record.write(event, now)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self._recognizer}:"):
                values = {entry.key: entry.value for entry in status.values}
                self._record.write(Status(int.from_bytes(status.level, "little"), status.message, values), self._now())

    def _line(self, event: ActionEvent, now: int) -> str:
        kind = "is now" if event.kind is EventKind.UPDATED else event.kind.name.lower()
        delay = (now - event.stamp) / 1e6
        who = f"person {event.person_id}  " if event.person_id else ""
        span = f"from {self._seconds(event.start)}" + (f" to {self._seconds(event.end)}" if event.end else "")
        return (
            f"{self._seconds(event.stamp)} s  {kind:<9} {event.label:<18} score {event.score:.2f}  "
            f"{who}{span}  ({delay:.0f} ms after the image)"
        )

    def _seconds(self, stamp: int) -> str:
        return f"{(stamp - self._origin) / SECOND:7.2f}"


def main(args: Sequence[str] | None = None) -> int:
    """Listen until Ctrl-C, then print a summary."""
    arguments = list(sys.argv if args is None else args)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", default="recognizer", help="the recogniser to listen to (default: %(default)s)")
    record = "write everything to this file, as JSON lines"
    parser.add_argument("--record", type=Path, default=os.devnull, metavar="FILE", help=record)
    options = parser.parse_args(remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    signals = StopSignals()
    writer = TranscriptWriter(options.record)
    node = ListenerNode(options.node, writer)
    spin_until_stopped(node, signals)
    print(node.summary(), flush=True)
    node.destroy_node()
    writer.close()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
