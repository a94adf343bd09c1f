"""The command `label`: its proposals, and that `evaluate` reads them once they are corrected."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from bag_bench import TOPIC, opinionated_bundle, write_bag

from fluxformer_core.cli import BAD_INPUT, main


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "run", seconds=8.0, segments=((1.0, 2.5), (4.0, 6.0)))


def label(*arguments: object) -> int:
    return main(["label", *map(str, arguments), "--workers", "1"])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_recogniser_proposes_labels_that_evaluate_reads(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = opinionated_bundle(tmp_path / "m.safetensors", "wave")
    out, figures = tmp_path / "run.csv", tmp_path / "f.json"
    assert label(bag, "--model", model, "--out", out) == 0
    assert "2 segments proposed" in capsys.readouterr().out
    first, second = rows(out)
    assert (first["bag"], first["topic"], first["label"], first["by"]) == ("run", TOPIC, "wave", "recogniser")
    for row, (start, end) in ((first, (1.0, 2.5)), (second, (4.0, 6.0))):
        assert float(row["start"]) == pytest.approx(start, abs=0.3)
        assert float(row["end"]) == pytest.approx(end, abs=0.3)
    arguments = ["--truth", out, "--json", figures, "--model", model, "--workers", 1]
    assert main(["evaluate", str(bag), *map(str, arguments)]) == 0
    found = json.loads(figures.read_text())["figures"]
    assert (found["detection_rate"], found["false_per_minute"]) == (1.0, 0.0)


def test_motion_alone_is_proposed_without_a_label_and_needs_one(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = opinionated_bundle(tmp_path / "m.safetensors", ""), tmp_path / "run.csv"
    assert label(bag, "--model", model, "--out", out) == 0
    assert [(row["label"], row["by"]) for row in rows(out)] == [("?", "motion")] * 2
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3  # a row of the whole bag, and one of each segment
    assert page.count('class="timeline"') == 1
    capsys.readouterr()
    assert main(["evaluate", str(bag), "--truth", str(out), "--model", str(model)]) == BAD_INPUT
    assert "line 2: the label is still ?" in capsys.readouterr().err


def test_a_bag_without_motion_gets_a_line_without_an_action(tmp_path: Path) -> None:
    still = write_bag(tmp_path / "still", seconds=3.0, segments=())
    model, out = opinionated_bundle(tmp_path / "m.safetensors", "wave"), tmp_path / "still.csv"
    assert label(still, "--model", model, "--out", out) == 0
    (row,) = rows(out)
    assert (row["bag"], row["start"], row["end"], row["label"]) == ("still", "", "", "")
    assert main(["evaluate", str(still), "--truth", str(out), "--model", str(model), "--workers", "1"]) == 0


def test_corrections_are_not_overwritten(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run.csv"
    out.write_text("corrected by hand")
    assert label(bag, "--out", out) == BAD_INPUT
    assert "perhaps corrected by hand" in capsys.readouterr().err
    assert out.read_text() == "corrected by hand"


def test_times_count_from_the_first_image(bag: Path, tmp_path: Path) -> None:
    late = write_bag(tmp_path / "late", seconds=6.0, segments=((3.0, 5.0),))
    model, out = opinionated_bundle(tmp_path / "m.safetensors", "wave"), tmp_path / "both.csv"
    assert label(late, bag, "--model", model, "--out", out) == 0
    assert [row["bag"] for row in rows(out)] == ["late", "run", "run"]
    assert float(rows(out)[0]["start"]) == pytest.approx(3.0, abs=0.3)
