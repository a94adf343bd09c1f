"""Read the results of a recogniser on a robot from the bag that recorded its topics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from fluxformer_core.errors import SourceError
from fluxformer_core.evaluation.bags.finding import BagFault, BagStream
from fluxformer_core.evaluation.bags.stream_result import StreamResult, Track, TrackBuilder
from fluxformer_core.evaluation.metrics.stream_output import predicted_events
from fluxformer_core.io.sources.bag import bag_damage
from fluxformer_core.types import OTHER, SECOND, ActionEvent, ActionScore, EventKind, Recognition, State

_LABELS, _DIAGNOSTICS = "fluxformer/msg/ActionLabels", "diagnostic_msgs/msg/DiagnosticArray"
_ONE_CLOCK = 60.0  # s: a longer delay from image to recorder means that the two have different clocks
_DROPS = {
    "unreadable": "images refused",
    "lost": "images lost in transport",
    "replaced": "images replaced",
    "discarded": "images discarded",
    "duplicate": "images with a repeated stamp",
    "late": "images late",
}
"""Causes of dropped images, and the names of their counters in /diagnostics."""


def read_results(stream: BagStream) -> StreamResult:
    """Read the results of one recogniser from recorded topics; a bag that cannot be read has a fatal fault.

    The latency of a recognition is the time from its stamp to its arrival at the recorder, if both have one clock.
    """
    try:
        with bag_damage(stream.bag), Reader(stream.path) as reader:
            results = _Results(stream)
            for topic, received, message in _messages(reader, stream):
                results.add(topic, received, message)
        return results.result()
    except SourceError as error:
        return StreamResult(stream).with_fault(str(error), fatal=True)


def _messages(reader: Reader, stream: BagStream) -> Iterator[tuple[str, int, Any]]:
    node = stream.topic.rstrip("/")
    topics = (f"{node}/recognition", f"{node}/events", f"{node}/labels")
    kinds = ("/diagnostics", _DIAGNOSTICS)
    wanted = [c for c in reader.connections if c.topic in topics or (c.topic, c.msgtype) == kinds]
    types = _types(wanted)
    for connection, received, raw in reader.messages(wanted):
        try:
            yield connection.topic, received, types.deserialize_cdr(raw, connection.msgtype)
        except (SerdeError, TypeError, KeyError) as error:
            raise SourceError(f"a message on {connection.topic} cannot be read: {error}") from None


def _types(connections: list[Any]) -> Typestore:
    """The message types as the bag defines them; this version may define them differently."""
    types = get_typestore(Stores.LATEST)
    for connection in connections:
        if connection.msgtype in types.types:
            continue
        definition = connection.msgdef
        try:
            if definition.format is MessageDefinitionFormat.MSG:
                found = get_types_from_msg(definition.data, connection.msgtype)
            elif definition.format is MessageDefinitionFormat.IDL:
                found = get_types_from_idl(definition.data)
            else:
                raise SourceError(f"it does not define {connection.msgtype}; record it with a newer ROS 2")
        except TypesysError as error:
            raise SourceError(f"its definition of {connection.msgtype} cannot be read: {error}") from None
        types.register({name: fields for name, fields in found.items() if name not in types.types})
    return types


class _Results:
    def __init__(self, stream: BagStream) -> None:
        self._stream = stream
        self._labels: tuple[str, ...] = ()
        self._recognitions: list[Recognition] = []
        self._delays: list[float] = []  # s, of the recognitions
        self._events: list[ActionEvent] = []
        self._last_labels: dict[int, str] = {}  # of each action instance
        self._event_delays: dict[tuple[int, int, int], int] = {}  # ns
        self._values: dict[str, str] = {}

    def add(self, topic: str, received: int, message: Any) -> None:
        name = topic.rpartition("/")[2]
        if name == "recognition":
            recognition = _recognition(message)
            last = self._recognitions[-1] if self._recognitions else recognition
            if recognition.stamp == last.stamp and recognition.person_id != last.person_id:
                return  # of several people in one image, figures of frames are about the first, as in `Watcher`
            self._recognitions.append(recognition)
            self._delays.append((received - recognition.stamp) / SECOND)
        elif name == "events":
            event = self._event(message)
            self._events.append(event)
            self._event_delays[event.instance, event.kind, event.stamp] = received - event.stamp
        elif name == "labels":
            self._labels = tuple(dict.fromkeys((*self._labels, *message.labels)))
        else:
            for status in message.status:
                if status.name.lstrip("/").startswith(f"{self._stream.topic.lstrip('/')}:"):
                    values = {entry.key: entry.value for entry in status.values}
                    self._values = values if values.get("state") == "active" else self._values

    def _event(self, message: Any) -> ActionEvent:
        kind, label, instance = EventKind(int(message.kind)), message.label, int(message.instance)
        if kind is EventKind.ENDED and not label:  # version 0.1.0 wrote retractions without their label
            kind, label = EventKind.RETRACTED, self._last_labels.get(instance, "")
        self._last_labels[instance] = label
        stamp, start, end = (_time(time) for time in (message.header.stamp, message.start, message.end))
        return ActionEvent(stamp, kind, label, instance, start, end, float(message.score), message.person_id)

    def result(self) -> StreamResult:
        stream, faults = self._stream, []
        if len(self._recognitions) < 2:
            text = f"{stream.topic}: {len(self._recognitions)} recognitions, too few to measure anything"
            return StreamResult(stream).with_fault(text, fatal=True)
        if not self._labels:
            faults.append(f"{stream.topic}: no labels were recorded; the labels of recognitions and events count")
            named = {entry.label for recognition in self._recognitions for entry in recognition.scores}
            self._labels = tuple(sorted(named | {event.label for event in self._events if event.label}))
        labels = tuple(label for label in self._labels if label != OTHER)
        delay = float(np.median(self._delays))
        one_clock = 0 <= delay < _ONE_CLOCK
        if not one_clock:
            text = "images and recorder have different clocks, so delays leave out the computing time"
            faults.append(f"{stream.topic}: {text}")
        listed = min((len(r.scores) for r in self._recognitions if r.scores), default=len(labels))
        if listed < len(labels):
            faults.append(
                f"{stream.topic}: recognitions list {listed} of {len(labels)} scores, so figures of frames are lower "
                f"bounds; run the recogniser with top_k:={len(self._labels)}"
            )
        tracks = self._tracks(labels, one_clock, faults)
        if not tracks:
            faults.append(f"{stream.topic}: too few recognitions to measure anything")
        latency = np.array(self._delays if one_clock else [], np.float32) * 1e3
        return StreamResult(
            stream,
            labels,
            stream.origin or self._recognitions[0].stamp,
            tuple(tracks),
            tuple(BagFault(stream.bag, text, fatal=not tracks) for text in faults),
            {cause: self._count(key) for cause, key in _DROPS.items() if key in self._values},
            {key.removeprefix("resets: "): self._count(key) for key in self._values if key.startswith("resets: ")},
            self._count("images received"),
            {"stamp to recorder": latency},
        )

    def _count(self, key: str) -> int:
        value = self._values.get(key, "0")
        return int(value) if value.isdecimal() else 0

    def _tracks(self, labels: tuple[str, ...], one_clock: bool, faults: list[str]) -> list[Track]:
        """Runs of growing stamps; an event belongs to the run in which it was published."""
        stretches: list[list[Recognition]] = [[]]
        for recognition in self._recognitions:
            if stretches[-1] and recognition.stamp <= stretches[-1][-1].stamp:
                back = f"stamps jump back by {(stretches[-1][-1].stamp - recognition.stamp) / SECOND:.1f} s"
                faults.append(f"{self._stream.topic}: {back}; what follows counts as another pass")
                stretches.append([])
            stretches[-1].append(recognition)
        tracks, left = [], list(self._events)
        for number, stretch in enumerate(stretches):
            builder = TrackBuilder(labels)
            for recognition in stretch:
                builder.add(recognition)
            mine = left if number == len(stretches) - 1 else _until_back(left)
            left = left[len(mine) :]
            if len(builder) > 1:
                closed = _closed(mine, stretch[-1].stamp, faults, self._stream.topic)
                told = predicted_events(closed, self._delay if one_clock else lambda event: 0)
                tracks.append(builder.build(told))
        return tracks

    def _delay(self, event: ActionEvent) -> int:
        return max(0, self._event_delays.get((event.instance, event.kind, event.stamp), 0))


def _until_back(events: list[ActionEvent]) -> list[ActionEvent]:
    """The events before the stamps jump back."""
    back = (i for i, (before, after) in enumerate(pairwise(events), start=1) if after.stamp < before.stamp)
    return events[: next(back, len(events))]


def _closed(events: list[ActionEvent], last: int, faults: list[str], topic: str) -> list[ActionEvent]:
    """The events of actions with a recorded start; an action without an end ends with the recording."""
    open_: dict[int, ActionEvent] = {}
    kept = []
    for event in events:
        if event.kind is EventKind.STARTED:
            open_[event.instance] = event
        elif event.instance not in open_:
            continue
        elif event.kind in (EventKind.ENDED, EventKind.RETRACTED):
            del open_[event.instance]
        kept.append(event)
    if open_:
        faults.append(f"{topic}: the recording ends within {len(open_)} action{'s' * (len(open_) > 1)}")
    for event in open_.values():
        kept.append(ActionEvent(last, EventKind.ENDED, event.label, event.instance, event.start, last, event.score))
    return kept


def _time(message: Any) -> int:
    return int(message.sec) * SECOND + int(message.nanosec)


def _recognition(message: Any) -> Recognition:
    return Recognition(
        _time(message.header.stamp),
        _time(message.window_start),
        _time(message.window_end),
        State(int(message.state)),
        message.label,
        float(message.score),
        tuple(ActionScore(entry.label, float(entry.score)) for entry in message.scores),
        float(message.unknown_score),
        float(message.motion),
        int(message.frames_in_window),
        message.person_id,
    )
