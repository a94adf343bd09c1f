"""The reports of the demo and the checks, on runs written by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fluxformer_core.actor import Performance
from fluxformer_core.errors import SourceError
from fluxformer_core.types import SECOND, ActionEvent, ActionScore, EventKind, Recognition, State
from fluxformer_ros.checks.clips import ListedClip, judge, read_list
from fluxformer_ros.checks.rate import account, cpu_table
from fluxformer_ros.tools.actor_report import compare, table
from fluxformer_ros.tools.demo import newest
from fluxformer_ros.tools.graph import PlayedFrame, Run
from fluxformer_ros.tools.transcript import Status, Transcript, TranscriptWriter, read_transcript

CLIPS = [ListedClip("a.mp4", "wave"), ListedClip("b.mp4", "clap"), ListedClip("c.mp4", "knock")]
EPOCH = 1_000 * SECOND  # the stamps of a camera have nothing to do with the script's seconds


def frames(seconds: float, source: int = 0, begins: float = 0.0) -> list[PlayedFrame]:
    dues = [round((begins + n / 10) * SECOND) for n in range(round(seconds * 10))]
    return [PlayedFrame(EPOCH + due, source, n, due) for n, due in enumerate(dues)]


def ended(label: str, start: float, end: float, score: float = 0.8, instance: int = 1) -> ActionEvent:
    start_stamp, end_stamp = (EPOCH + round(moment * SECOND) for moment in (start, end))
    return ActionEvent(end_stamp, EventKind.ENDED, label, instance, start_stamp, end_stamp, score)


def run(played: list[PlayedFrame], *events: ActionEvent) -> Run:
    return Run(played, Transcript(events=list(events)))


def test_the_main_action_of_a_clip_is_the_longest_weighted_by_its_score() -> None:
    played = [*frames(4, 0, 0), *frames(4, 1, 5), *frames(4, 2, 10)]
    first = [ended("clap", 0.5, 1.5, score=0.9), ended("wave", 1.5, 3.5, score=0.6)]
    second = [ended("wave", 6.0, 6.5, score=0.9), ended("clap", 7.0, 8.0, score=0.9)]
    results = judge(CLIPS, run(played, *first, *second))
    assert [result.answer for result in results] == ["wave", "clap", ""]
    assert [result.right for result in results] == [True, True, False]
    assert [result.others for result in results] == [("clap",), ("wave",), ()]


def test_only_the_part_of_an_event_within_the_clip_counts() -> None:
    played = [*frames(4, 0, 0), *frames(4, 1, 4)]
    results = judge(CLIPS[:2], run(played, ended("wave", 1.0, 4.2), ended("clap", 5.0, 6.0)))
    assert [result.answer for result in results] == ["wave", "clap"]


@pytest.mark.parametrize("kind", [EventKind.STARTED, EventKind.UPDATED, EventKind.RETRACTED])
def test_events_that_have_not_ended_do_not_count(kind: EventKind) -> None:
    event = replace(ended("wave", 1.0, 2.0), kind=kind)
    assert judge(CLIPS[:1], run(frames(4), event))[0].answer == ""
    answers, wrong = compare([Performance("wave", 1.0, 2.0)], run(frames(4), event))
    assert (answers[0].named, wrong) == (False, [])


def test_performances_are_compared_on_the_scripts_time_line() -> None:
    script = [Performance("wave", 2.0, 4.0), Performance("clap", 6.0, 8.0)]
    times = {"wave": (2.2, 4.5), "knock": (6.1, 7.0), "jog": (9.0, 9.5)}
    events = [ended(label, *span, instance=number) for number, (label, span) in enumerate(times.items())]
    answers, wrong = compare(script, run(frames(10), *events))
    assert [answer.named for answer in answers] == [True, False]
    assert (answers[0].start_error, answers[0].end_error) == pytest.approx((0.2, 0.5))
    assert answers[1].instead == ("knock",)
    assert [event.label for event in wrong] == ["knock", "jog"]
    assert "1 of 2 performances named; 2 events" in table(answers, wrong)


def test_a_rate_check_accounts_for_every_frame() -> None:
    counts = {"received": 98, "pushed": 90, "replaced": 6, "refused": 1, "discarded": 0}
    values = {f"images {outcome}": str(count) for outcome, count in counts.items()}
    values |= {f"stamp to publish p{q} [ms]": str(q) for q in (50, 90, 99)}
    values |= {"state": "active", "failures": "0", "input rate [Hz]": "10", "cpu [%]": "40", "memory [MiB]": "300"}
    recognition = Recognition(EPOCH, EPOCH, EPOCH, State.IDLE)
    transcript = Transcript([recognition] * 50, [], [Status(0, "recognising", values)], [EPOCH] * 50)
    numbers = account(Run(frames(10), transcript))
    assert numbers["frames lost in transport"] == 2
    assert numbers["frames unaccounted"] == 1
    assert numbers["delay p99 [ms]"] == 99


def test_processor_time_is_given_for_each_image_and_adds_up() -> None:
    def status(images: int, **seconds: float) -> Status:
        values = {"input rate [Hz]": "30", "images received": str(images)}
        return Status(0, "recognising", values | {f"cpu: {part} [s]": str(cpu) for part, cpu in seconds.items()})

    heard = [
        Status(0, "inactive", {}),
        status(10, receive=1.0, flow=0.5, other=0.5, all=2.0),
        status(30, receive=1.1, flow=0.9, other=0.6, all=2.6),
        Status(0, "inactive", {"input rate [Hz]": ""}),
    ]
    table = cpu_table(Run(frames(1), Transcript(statuses=heard)))
    assert table == pytest.approx({"receive": 5.0, "flow": 20.0, "other": 5.0, "all": 30.0})
    assert cpu_table(Run(frames(1), Transcript(statuses=heard[:2]))) == {}


def test_a_transcript_is_read_as_it_was_written(tmp_path: Path) -> None:
    said = 5, 1, 4, State.ACTION, "wave", 0.9, (ActionScore("wave", 0.9),), 0.1, 0.5, 16
    recognition = Recognition(*said, "ann", (1, 2, 30, 40), 2.5, "depth")
    event, status = replace(ended("wave", 1.0, 2.0), distance=2.5), Status(1, "no image", {"state": "active"})
    writer = TranscriptWriter(tmp_path / "heard.jsonl")
    for arrival, item in enumerate((recognition, event, status)):
        writer.write(item, arrival)
    writer.close()
    expected = Transcript([recognition], [event], [status], [0])
    assert read_transcript(tmp_path / "heard.jsonl") == expected
    assert expected.last_values == {"state": "active"}


def test_the_newest_item_up_to_a_stamp_is_found() -> None:
    heard = [Recognition(stamp, 0, 0, State.IDLE) for stamp in (10, 20, 30)]
    assert [newest(heard, stamp) for stamp in (9, 20, 99)] == [None, *heard[1:]]


@pytest.mark.parametrize("text", ["", "path,label\n", "file,label\na.mp4,wave\n"])
def test_a_list_that_lists_nothing_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clips.csv"
    path.write_text(text)
    with pytest.raises(SourceError, match=r"clips\.csv"):
        read_list(path)
