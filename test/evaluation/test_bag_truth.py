"""Truth files: the bag of a line, its times, and refused lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from bag_bench import START, write_truth

from fluxformer_core.data.label_mapping import LabelMap
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.bags.finding import BagStream
from fluxformer_core.evaluation.bags.truth import intervals, read_truth
from fluxformer_core.evaluation.metrics.intervals import Interval
from fluxformer_core.types import SECOND

END = START + 10 * SECOND


def actions(
    path: Path, *rows: tuple, stream: BagStream | None = None, first: int = START, last: int = END
) -> list[Interval]:
    bags = {"run": path.parent / "run"}
    truth, faults = read_truth([write_truth(path, *rows)], bags, {})
    assert not faults
    lines = truth.of(stream or BagStream("run", "/camera", bags["run"]))
    return intervals(lines, first, last, START)[0]


def test_times_are_seconds_from_the_first_image_or_stamps(tmp_path: Path) -> None:
    stamps = f"{(START + 3 * SECOND) // SECOND}.5", START + 4 * SECOND
    times = ((1, 2.5, "wave"), (*stamps, "clap"), ("", 0.5, "jog"), (9, "", "squat"))
    assert actions(tmp_path / "truth.csv", *(("run", "", *row) for row in times)) == [
        Interval(START, START + SECOND // 2, "jog"),
        Interval(START + SECOND, START + 5 * SECOND // 2, "wave"),
        Interval(START + 7 * SECOND // 2, START + 4 * SECOND, "clap"),
        Interval(START + 9 * SECOND, END + 1, "squat"),
    ]


def test_actions_are_clipped_to_the_track(tmp_path: Path) -> None:
    rows = [("run", "", 1, 4, "wave"), ("run", "", 4, 5, "clap"), ("run", "", 7, 8, "jog")]
    found = actions(tmp_path / "truth.csv", *rows, first=START + 3 * SECOND, last=START + 6 * SECOND)
    expected = ((3, 4, "wave"), (4, 5, "clap"))
    assert found == [Interval(START + a * SECOND, START + b * SECOND, label) for a, b, label in expected]


def test_lines_about_another_camera_are_not_about_this_one(tmp_path: Path) -> None:
    rows = [("run", "/left", 1, 2, "wave"), ("run", "", 3, 4, "clap"), ("run", "/right", 5, 6, "jog")]
    for topic, expected in (("/left", ["wave", "clap"]), ("/right", ["clap", "jog"])):
        found = actions(tmp_path / "truth.csv", *rows, stream=BagStream("run", topic, tmp_path / "run"))
        assert [action.label for action in found] == expected


def test_results_have_the_truth_of_the_bag_that_was_played(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth.csv", ("bags/run", "/left", 1, 2, "wave"), ("run", "/right", 1, 2, "clap"))
    bags = {"live": tmp_path / "live", "other": tmp_path / "other"}
    found, _ = read_truth([truth], bags, {"live": "run", "other": ""})
    stream = BagStream("live", "/recognizer", bags["live"], recorded=True, of="run", of_topic="/left")
    lines = found.of(stream)
    assert [line.label for line in lines] == ["wave"]
    assert found.of(BagStream("other", "/recognizer", bags["other"], recorded=True)) is None


def test_a_bag_is_named_by_path_or_by_name(tmp_path: Path) -> None:
    bags = {"monday/run": tmp_path / "monday" / "run", "tuesday/run": tmp_path / "tuesday" / "run"}
    file = tmp_path / "truth.csv"
    truth, _ = read_truth([write_truth(file, ("tuesday/run", "", 1, 2, "wave"))], bags, {})
    assert set(truth.lines) == {"tuesday/run"}
    with pytest.raises(ConfigError, match=r"run may be any of monday/run, tuesday/run: write more"):
        read_truth([write_truth(file, ("run", "", 1, 2, "wave"))], bags, {})
    truth, _ = read_truth([write_truth(file, ("wednesday", "", 1, 2, "wave"))], bags, {})
    assert (dict(truth.lines), truth.strangers) == ({}, ("wednesday",))


def test_a_bag_in_which_nothing_is_performed_has_a_truth(tmp_path: Path) -> None:
    assert actions(tmp_path / "truth.csv", ("run", "", "", "", "")) == []


def test_labels_are_renamed_and_dropped(tmp_path: Path) -> None:
    bags = {"run": tmp_path / "run"}
    file = write_truth(tmp_path / "truth.csv", ("run", "", 1, 2, "winken"), ("run", "", 3, 4, "yawn"))
    truth, _ = read_truth([file], bags, {}, LabelMap({"winken": "wave", "yawn": ""}))
    assert [a.label for a in intervals(truth.lines["run"], START, END, START)[0]] == ["wave"]


def test_an_empty_file_is_reported_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    files = [tmp_path / "empty.csv", write_truth(tmp_path / "truth.csv", ("run", "", 1, 2, "wave"))]
    truth, (fault,) = read_truth(files, {"run": tmp_path / "run"}, {})
    assert set(truth.lines) == {"run"}
    assert (fault.bag, fault.fatal) == ("empty.csv", True)
    assert "has no line" in fault.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("", "", 1, 2, "wave"), "bag must not be empty"),
        (("run", "", 1, 2, ""), "label must not be empty"),
        (("run", "", 1, 2, "?"), "label is still \\?"),
        (("run", "", 2, 2, "wave"), r"end \(2\) must be later than start \(2\)"),
        (("run", "", "soon", 2, "wave"), "start must be a number of seconds"),
    ],
)
def test_lines_that_cannot_be_used_are_named(tmp_path: Path, row: tuple, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"truth\.csv: line 2: .*{message}"):
        read_truth([write_truth(tmp_path / "truth.csv", row)], {}, {})


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("file,label\na,wave\n")
    with pytest.raises(ConfigError, match="must have the columns bag, topic, start, end, label; it has file, label"):
        read_truth([tmp_path / "truth.csv"], {}, {})
