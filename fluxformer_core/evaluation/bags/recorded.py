"""What a recogniser said on a robot, read from the bag in which its topics were recorded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from fluxformer_core.errors import SourceError
from fluxformer_core.evaluation.bags.finding import Fault, Job
from fluxformer_core.evaluation.bags.outcome import Outcome, Track, TrackBuilder
from fluxformer_core.evaluation.metrics.stream_output import predicted_events
from fluxformer_core.io.sources.bag import bag_damage
from fluxformer_core.types import OTHER, SECOND, ActionEvent, ActionScore, EventKind, Recognition, State

_LABELS, _DIAGNOSTICS = "fluxformer/msg/ActionLabels", "diagnostic_msgs/msg/DiagnosticArray"
_ONE_CLOCK = 60.0  # s: a longer way from image to recorder means that they have different clocks
_DROPS = {
    "unreadable": "images refused",
    "lost": "images lost in transport",
    "replaced": "images replaced",
    "discarded": "images discarded",
    "duplicate": "images with a repeated stamp",
    "late": "images late",
}
"""Causes of drops, and the diagnostics that count them."""


def read_results(job: Job) -> Outcome:
    """Read what one recogniser said.

    A recognition's latency is the time from its stamp to its arrival at the recorder, if both have one clock.

    Args:
        job: a bag of results; its topic is the recogniser's name.

    Returns:
        What was said, or why that cannot be told.
    """
    try:
        with bag_damage(job.bag), Reader(job.path) as reader:
            said = _Said(job)
            for topic, received, message in _messages(reader, job):
                said.hear(topic, received, message)
        return said.outcome()
    except SourceError as error:
        return Outcome(job, faults=(Fault(job.bag, str(error), fatal=True),))


def read_recognitions(job: Job) -> list[Recognition]:
    """Every recognition in a bag of results, in the order of arrival.

    Raises:
        SourceError: if the bag cannot be read.
    """
    with bag_damage(job.bag), Reader(job.path) as reader:
        return [_recognition(m) for topic, _, m in _messages(reader, job) if topic.endswith("/recognition")]


def _messages(reader: Reader, job: Job) -> Iterator[tuple[str, int, Any]]:
    node = job.topic.rstrip("/")
    wanted = [
        connection
        for connection in reader.connections
        if connection.topic in (f"{node}/recognition", f"{node}/events", f"{node}/labels")
        or (connection.topic == "/diagnostics" and connection.msgtype == _DIAGNOSTICS)
    ]
    types = _types(wanted)
    for connection, received, raw in reader.messages(wanted):
        try:
            yield connection.topic, received, types.deserialize_cdr(raw, connection.msgtype)
        except (SerdeError, TypeError, KeyError) as error:
            raise SourceError(f"a message on {connection.topic} cannot be read: {error}") from None


def _types(connections: list[Any]) -> Typestore:
    """Our messages as the bag itself defines them: they may have changed since."""
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
                raise SourceError(f"it does not say what a {connection.msgtype} is; record it with a newer ROS 2")
        except TypesysError as error:
            raise SourceError(f"its definition of {connection.msgtype} cannot be read: {error}") from None
        types.register({name: fields for name, fields in found.items() if name not in types.types})
    return types


class _Said:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._labels: tuple[str, ...] = ()
        self._recognitions: list[Recognition] = []
        self._delays: list[float] = []  # s, of the recognitions
        self._events: list[ActionEvent] = []
        self._event_delays: dict[tuple[int, int, int], int] = {}  # ns
        self._values: dict[str, str] = {}

    def hear(self, topic: str, received: int, message: Any) -> None:
        name = topic.rpartition("/")[2]
        if name == "recognition":
            self._recognitions.append(_recognition(message))
            self._delays.append((received - self._recognitions[-1].stamp) / SECOND)
        elif name == "events":
            event = _event(message)
            self._events.append(event)
            self._event_delays[event.instance, event.kind, event.stamp] = received - event.stamp
        elif name == "labels":
            self._labels = tuple(dict.fromkeys((*self._labels, *message.labels)))
        else:
            for status in message.status:
                if status.name.lstrip("/").startswith(f"{self._job.topic.lstrip('/')}:"):
                    values = {entry.key: entry.value for entry in status.values}
                    self._values = values if values.get("state") == "active" else self._values

    def outcome(self) -> Outcome:
        job, faults = self._job, []
        if len(self._recognitions) < 2:
            text = f"{job.topic}: {len(self._recognitions)} recognitions, too few to measure anything"
            return Outcome(job, faults=(Fault(job.bag, text, fatal=True),))
        if not self._labels:
            faults.append(f"{job.topic}: no labels were recorded; those that were named count")
            named = {entry.label for recognition in self._recognitions for entry in recognition.scores}
            self._labels = tuple(sorted(named | {event.label for event in self._events if event.label}))
        labels = tuple(label for label in self._labels if label != OTHER)
        delay = float(np.median(self._delays))
        one_clock = 0 <= delay < _ONE_CLOCK
        if not one_clock:
            faults.append(f"{job.topic}: images and recorder have different clocks, so delays leave out the computing")
        listed = min((len(r.scores) for r in self._recognitions if r.scores), default=len(labels))
        if listed < len(labels):
            faults.append(
                f"{job.topic}: recognitions list {listed} of {len(labels)} scores, so figures of frames are lower "
                f"bounds; run the recogniser with top_k:={len(self._labels)}"
            )
        tracks = self._tracks(labels, one_clock, faults)
        if not tracks:
            faults.append(f"{job.topic}: too few recognitions to measure anything")
        latency = np.array(self._delays if one_clock else [], np.float32) * 1e3
        return Outcome(
            job,
            labels,
            job.origin or self._recognitions[0].stamp,
            tuple(tracks),
            tuple(Fault(job.bag, text, fatal=not tracks) for text in faults),
            {cause: self._count(key) for cause, key in _DROPS.items() if key in self._values},
            {
                key[len("resets: ") :]: int(value)
                for key, value in self._values.items()
                if key.startswith("resets: ") and value.isdecimal()
            },
            self._count("images received"),
            {"stamp to recorder": latency},
        )

    def _count(self, key: str) -> int:
        value = self._values.get(key, "0")
        return int(value) if value.isdecimal() else 0

    def _tracks(self, labels: tuple[str, ...], one_clock: bool, faults: list[str]) -> list[Track]:
        """Stretches of growing stamps; an event belongs to the stretch in which it was told."""
        stretches: list[list[Recognition]] = [[]]
        for recognition in self._recognitions:
            if stretches[-1] and recognition.stamp <= stretches[-1][-1].stamp:
                back = (stretches[-1][-1].stamp - recognition.stamp) / SECOND
                faults.append(
                    f"{self._job.topic}: stamps jump back by {back:.1f} s; what follows counts as another pass"
                )
                stretches.append([])
            stretches[-1].append(recognition)
        tracks, left = [], list(self._events)
        for number, stretch in enumerate(stretches):
            builder = TrackBuilder(labels)
            for recognition in stretch:
                builder.add(recognition)
            last = number == len(stretches) - 1
            mine = left if last else _until_back(left)
            left = left[len(mine) :]
            if len(builder) > 1:
                closed = _closed(mine, stretch[-1].stamp, faults, self._job.topic)
                told = predicted_events(closed, self._delay if one_clock else lambda event: 0)
                tracks.append(builder.build(told))
        return tracks

    def _delay(self, event: ActionEvent) -> int:
        return max(0, self._event_delays.get((event.instance, event.kind, event.stamp), 0))


def _until_back(events: list[ActionEvent]) -> list[ActionEvent]:
    """The events before stamps jump back."""
    newest = -math.inf
    for i, event in enumerate(events):
        if event.stamp < newest:
            return events[:i]
        newest = event.stamp
    return events


def _closed(events: list[ActionEvent], last: int, faults: list[str], topic: str) -> list[ActionEvent]:
    """The events of actions that were recorded from their start, ended where the recording broke off before."""
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
        faults.append(f"{topic}: the recording breaks off within {len(open_)} action{'s' * (len(open_) > 1)}")
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


def _event(message: Any) -> ActionEvent:
    kind = EventKind(int(message.kind))
    if kind is EventKind.ENDED and not message.label:  # as version 0.1.0 wrote a retraction
        kind = EventKind.RETRACTED
    return ActionEvent(
        _time(message.header.stamp),
        kind,
        message.label,
        int(message.instance),
        _time(message.start),
        _time(message.end),
        float(message.score),
        message.person_id,
    )
