"""Results of a recogniser that were recorded in a bag, with the retractions of this version and of 0.1.0."""

from __future__ import annotations

from pathlib import Path

import pytest
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from fluxformer_core.evaluation.bags.finding import find_bags, find_streams
from fluxformer_core.evaluation.bags.recorded import read_results
from fluxformer_core.types import SECOND, EventKind

MESSAGES = Path(__file__).parents[2] / "msg"
START = 1_700_000_000


def definition(name: str, *, old: bool) -> str:
    """A message as this version defines it, or as versions up to 0.2.0 did."""
    text = (MESSAGES / f"{name}.msg").read_text()
    return text.partition("sensor_msgs/RegionOfInterest")[0] if old else text


def record(
    path: Path, events: list[tuple[float, int, str]], *, old: bool = False, people: tuple[str, ...] = ("",)
) -> Path:
    """A bag of results with a recognition each half second, and events given as (seconds, kind, label)."""
    types = get_typestore(Stores.LATEST)
    for name in ("ActionScore", "Recognition", "ActionEvent"):
        types.register(get_types_from_msg(definition(name, old=old), f"fluxformer/msg/{name}"))
    time, header = types.types["builtin_interfaces/msg/Time"], types.types["std_msgs/msg/Header"]

    def at(seconds: float) -> object:
        return time(START + int(seconds), round(seconds % 1 * SECOND))

    recognition, event = (types.types[f"fluxformer/msg/{name}"] for name in ("Recognition", "ActionEvent"))
    score = types.types["fluxformer/msg/ActionScore"]
    region = types.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    direction = types.types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    said = 3, "wave", 0.8, [score("wave", 0.8)], 0.1, 0.2, 64
    found, where = ((), ()) if old else ((region, 1.5, "pose"), (region, 1.5, direction))
    messages = [
        (i / 2, recognition(header(at(i / 2), ""), at(0), at(i / 2), *said, person, *found))
        for i in range(20)
        for person in people
    ]
    messages += [
        (when, event(header(at(when), ""), kind, label, 1, at(1.0), at(when if kind >= 2 else 0), 0.8, "", *where))
        for when, kind, label in events
    ]
    with Writer(path, version=8) as writer:
        connections = {
            kind: writer.add_connection(f"/recognizer/{topic}", f"fluxformer/msg/{kind}", typestore=types)
            for kind, topic in (("Recognition", "recognition"), ("ActionEvent", "events"))
        }
        for seconds, message in sorted(messages, key=lambda item: item[0]):
            connection = connections[type(message).__name__.rpartition("__")[2]]
            data = bytes(types.serialize_cdr(message, connection.msgtype))
            writer.write(connection, round((START + seconds + 0.1) * SECOND), data)
    return path


@pytest.mark.parametrize("old", [False, True], ids=["this version", "0.2.0 and before"])
@pytest.mark.parametrize(
    ("last", "withdrawn"),
    [((EventKind.RETRACTED, "clap"), True), ((EventKind.ENDED, ""), True), ((EventKind.ENDED, "clap"), False)],
    ids=["retracted", "retracted by 0.1.0", "ended"],
)
def test_results_of_every_version_are_read_and_retractions_withdraw_labels(
    tmp_path: Path, last: tuple, withdrawn: bool, old: bool
) -> None:
    kind, label = last
    events = [(2.0, EventKind.STARTED, "wave"), (3.0, EventKind.UPDATED, "clap"), (4.0, kind, label)]
    (stream,), faults = find_streams(find_bags([record(tmp_path / "results", events, old=old)]), {})
    assert (stream.recorded, stream.topic, faults) == (True, "/recognizer", [])
    (track,) = read_results(stream).tracks
    (event,) = track.events
    assert event.label == ("" if withdrawn else "clap")
    assert event.withdrawn == (("wave", "clap") if withdrawn else ("wave",))


def test_recognitions_of_several_people_are_one_track(tmp_path: Path) -> None:
    (stream,), _ = find_streams(find_bags([record(tmp_path / "results", [], people=("ann", "bob"))]), {})
    result = read_results(stream)
    (track,) = result.tracks
    assert len(track.stamps) == 20
    assert not [fault.text for fault in result.faults if "jump back" in fault.text]
