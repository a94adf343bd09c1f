"""The command `evaluate` on real videos: what it prints and writes, and how it refuses bad input."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import LABELS, PageLinks, small_bundle, texture, view

from fluxformer_core.cli import BAD_INPUT, main
from fluxformer_core.evaluation.clips import evaluate_clips, recipe
from fluxformer_core.evaluation.report.json_document import clip_document
from fluxformer_core.evaluation.report.text import clip_table
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.types import SECOND

CLIPS = {"clap": 3, "wave": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of moving blobs; one more that is no video."""
    folder = tmp_path_factory.mktemp("clips")
    lines = ["path,label,subject,split"]
    for label, count in CLIPS.items():
        for i in range(count):
            picture = texture(80, 80, seed=len(lines))
            with VideoRecorder(folder / f"{label}{i}.mp4") as recorder:
                for k in range(12):
                    frame = view(picture, 6 * np.sin(k / 2), i * k / 4, 48)
                    recorder.write(np.repeat(frame[..., None], 3, axis=2), k * SECOND // 20)
            lines.append(f"{label}{i}.mp4,{label},s{i},{'test' if i else 'train'}")
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "index.csv").write_text("\n".join([*lines, "broken.mp4,clap,s1,test"]) + "\n")
    return folder / "index.csv"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of one recipe, and another recipe."""
    folder = tmp_path_factory.mktemp("models")
    paths = [folder / f"{name}.safetensors" for name in "abc"]
    for seed, (path, data_name) in enumerate(zip(paths, ("none", "none", "other"), strict=True)):
        bundle = small_bundle(seed=seed)
        metadata = replace(bundle.metadata, provenance={"data": data_name, "seed": seed, "minutes": seed})
        replace(bundle, metadata=metadata).save(path)
    return paths


def evaluate(tmp_path: Path, *arguments: object) -> int:
    return main(["evaluate", *map(str, arguments), "--cache", str(tmp_path / "cache")])


def figures_of(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    """The JSON document of an evaluation."""
    out = tmp_path / "figures.json"
    assert evaluate(tmp_path, *arguments, "--json", out) == 0
    return json.loads(out.read_text())


def test_writes_every_figure(
    data: Path, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, shown = figures_of(tmp_path, data, "--model", models[0]), capsys.readouterr().out
    assert figures["data"]["clips"] == sum(CLIPS.values())
    (model,) = figures["models"]
    assert [entry["clips"] for entry in model["labels"]] == [CLIPS.get(label, 0) for label in LABELS]
    assert model["labels"][LABELS.index("walk")]["recall"] is None
    assert [sum(row) for row in model["confusion"]] == [CLIPS.get(label, 0) for label in LABELS]
    right = sum(model["confusion"][i][i] for i in range(len(LABELS)))
    assert model["top1"] == pytest.approx(right / 5)
    assert model["top1_interval"][0] < model["top1"] < model["top1_interval"][1] or right in (0, 5)
    assert sum(entry["clips"] for entry in model["reliability"]) == 5
    assert 0 < model["latency_ms"]["forward"]["p50"] <= model["latency_ms"]["forward"]["p99"]
    assert figures["recipes"] == []
    assert len(figures["data"]["skipped"]) == 1
    assert "broken.mp4" in figures["data"]["skipped"][0]
    assert "skipped: " in shown
    assert shown.splitlines()[-1].startswith("5 clips: top-1 ")


def test_the_library_function_returns_what_the_command_prints(data: Path, models: list[Path], tmp_path: Path) -> None:
    evaluation = evaluate_clips(models[0], data, splits=["test"], cache=tmp_path / "cache")
    (model,) = evaluation.models
    assert (evaluation.data.clips, model.file) == (model.report.clips, "a.safetensors") == (3, "a.safetensors")
    assert clip_document(evaluation)["models"][0]["top1"] == model.report.top1
    assert clip_table(evaluation).splitlines()[-1].startswith("3 clips: top-1 ")


def test_subjects_and_splits_choose_the_clips(data: Path, models: list[Path], tmp_path: Path) -> None:
    for choice, clips in (([data, "--subjects", "s1"], 2), ([data, "--splits", "train"], 2), ([data, data], 10)):
        assert figures_of(tmp_path, *choice, "--model", models[0])["data"]["clips"] == clips


def test_restricted_models_answer_with_the_labels_of_the_data(data: Path, models: list[Path], tmp_path: Path) -> None:
    (model,) = figures_of(tmp_path, data, "--model", models[0], "--restrict")["models"]
    assert [entry["label"] for entry in model["labels"]] == ["clap", "wave"]
    assert np.sum(model["confusion"]) == 5


def test_labels_can_be_renamed(data: Path, models: list[Path], tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("clap,walk\nwave,\n")
    (model,) = figures_of(tmp_path, data, "--model", models[0], "--labels", names)["models"]
    assert {entry["label"]: entry["clips"] for entry in model["labels"]} == {"clap": 0, "wave": 0, "walk": 3}


def test_seeds_of_one_recipe_have_a_mean(
    data: Path, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = figures_of(tmp_path, data, "--model", *models)
    (group,) = figures["recipes"]
    first, second, _ = figures["models"]
    assert group["models"] == [first["digest"], second["digest"]]
    assert group["top5"]["mean"] == pytest.approx((first["top5"] + second["top5"]) / 2)
    assert group["top1"]["sd"] == pytest.approx(abs(first["top1"] - second["top1"]) / 2**0.5)
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert lines[:5] == ["model", "a.safetensors", "b.safetensors", "mean", "c.safetensors"]


def test_the_page_is_whole_and_loads_nothing(data: Path, models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert evaluate(tmp_path, data, "--model", *models, "--report", out) == 0
    page = out.read_text(encoding="utf-8")
    links = PageLinks(page).found
    assert links
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)
    assert "<script" not in page
    assert page.count('class="matrix"') == len(models)
    assert "broken.mp4" in page
    assert re.search(r"(clap|wave)\d\.mp4: ", page)  # which clip is shown as a mistake


def test_names_are_text_on_the_page(data: Path, tmp_path: Path) -> None:
    bundle, out = small_bundle(), tmp_path / "report.html"
    labels = ("clap", "wave", "<b>walk</b>")
    metadata = replace(bundle.metadata, labels=labels, provenance={"data": "<script>alert(1)</script>"})
    path = tmp_path / "<i>.safetensors"
    replace(bundle, metadata=metadata).save(path)
    names = tmp_path / "names.csv"
    names.write_text("wave,<b>walk</b>\n")
    assert evaluate(tmp_path, data, "--model", path, "--report", out, "--labels", names) == 0
    page = out.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>walk" not in page
    assert "<i>" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "nowhere.csv"),
        (["{data}", "--model", "nowhere.safetensors"], "cannot read nowhere.safetensors"),
        (["{data}", "--splits", "holiday"], "no recording is left: look"),
        (["{data}", "--labels", "{names}"], "small.safetensors has no label somersault"),
        (["{data}", "--json", "no/folder/out.json"], "there is no folder no/folder"),
        (["{data}", "--report", "no/folder/out.html"], "there is no folder no/folder"),
        (["{data}", "--threads", "0"], "--threads must be at least 1"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    arguments: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names, path = tmp_path / "names.csv", tmp_path / "small.safetensors"
    names.write_text("clap,somersault\n")
    small_bundle().save(path)
    given = [argument.format(data=data, names=names) for argument in arguments]
    if "--model" not in given:
        given += ["--model", str(path)]
    assert evaluate(tmp_path, *given) == BAD_INPUT
    shown = capsys.readouterr()
    assert message in shown.err
    assert (shown.err.count("\n"), shown.out) == (1, "")


def test_a_recipe_is_the_same_for_every_seed() -> None:
    metadata = small_bundle().metadata
    one, two = (replace(metadata, provenance={"data": "x", "seed": seed}) for seed in (0, 1))
    assert recipe(one) == recipe(two)
    assert recipe(one) != recipe(replace(two, provenance={"data": "y", "seed": 1}))
    assert recipe(one) != recipe(replace(two, labels=("clap", "wave", "jog")))
