"""The command line: what it prints and writes, and how it refuses bad input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers import write_frames

from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.cli import BAD_INPUT, COMMANDS, main
from fluxformer_core.io.sources import open_source
from fluxformer_core.models.registry import create_model, model_config
from fluxformer_core.types import SECOND, ClipSpec, EventKind, State

LABELS = ("clap", "wave")
RATE, QUIET, MOVING = 15, 2, 3  # Hz, s, s: of the test's video: rest, then something waves about, then rest


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing, but is sure of itself: each motion segment becomes one of its two actions."""
    torch.manual_seed(0)
    model = create_model("fluxformer_nano", len(LABELS))
    config = model_config("fluxformer_nano")
    spec = ClipSpec(frames=config.trunk.frames, size=config.trunk.size)
    provenance = {"data": "none", "metrics": {"top1": 0.5}}
    metadata = Metadata("fluxformer_nano", config, spec, LABELS, temperature=1e-4, provenance=provenance)
    path = tmp_path_factory.mktemp("bundle") / "sure.safetensors"
    Bundle(metadata, model.state_dict()).save(path)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright bar that rests, swings to and fro for a while, and rests again."""
    texture = np.random.default_rng(1).integers(90, 160, (120, 160, 3), np.uint8)
    pictures = np.repeat(texture[None], (2 * QUIET + MOVING) * RATE, axis=0)
    for index, picture in enumerate(pictures):
        time = index / RATE - QUIET
        place = 60 + (round(30 * np.sin(2 * np.pi * time)) if 0 < time < MOVING else 0)
        picture[30:90, place : place + 25] = 230
    return write_frames(tmp_path_factory.mktemp("video") / "swing.mp4", pictures, rate=RATE)


def write_images(video: Path, folder: Path) -> None:
    folder.mkdir()
    with open_source(str(video)) as source:
        for index, frame in enumerate(source):
            cv2.imwrite(str(folder / f"{index}.png"), frame.image)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_recognize_prints_the_action_and_its_times(bundle, video, capsys) -> None:
    assert main(["recognize", str(video), "--model", str(bundle)]) == 0
    shown = capsys.readouterr()
    printed = [line.split() for line in shown.out.splitlines()]
    assert [line[-4] for line in printed if line[-4] != "updated"] == ["started", "ended"]
    began, _, _, end, _, _, label, _, _ = printed[-1]  # 2.0 s .. 5.0 s ended wave 99 %
    assert label in LABELS
    assert float(began) == pytest.approx(QUIET, abs=0.4)
    assert float(end) == pytest.approx(QUIET + MOVING, abs=0.4)
    assert shown.err.startswith(f"{(2 * QUIET + MOVING) * RATE} frames, ")
    assert shown.err.endswith(", 1 action\n")


def test_recognize_writes_every_recognition_and_event_as_json(bundle, video, tmp_path) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["recognize", str(video), "--model", str(bundle), "--json", str(out), "--quiet"]) == 0
    recognitions = [line for line in lines(out) if line["type"] == "recognition"]
    events = [line for line in lines(out) if line["type"] == "event"]
    assert len(recognitions) == pytest.approx((2 * QUIET + MOVING) * 7.5, abs=3)
    assert [line["stamp"] for line in recognitions] == sorted({line["stamp"] for line in recognitions})
    states = {line["state"] for line in recognitions}
    assert {"WARMING_UP", "IDLE", "ACTION"} <= states <= {state.name for state in State}
    action = next(line for line in recognitions if line["state"] == "ACTION")
    assert action["scores"][0] == {"label": action["label"], "score": pytest.approx(1, abs=0.4)}
    assert {line["kind"] for line in events} <= {kind.name for kind in EventKind}
    assert (events[0]["kind"], events[-1]["kind"]) == ("STARTED", "ENDED")
    assert {line["instance"] for line in events} == {1}
    assert {line["distance"] for line in recognitions + events} == {None}  # JSON has no NaN


def test_recognize_prints_nothing_but_json_when_asked_to(bundle, video, capsys) -> None:
    assert main(["recognize", str(video), "--model", str(bundle), "--json", "-"]) == 0
    shown = capsys.readouterr()
    assert {json.loads(line)["type"] for line in shown.out.splitlines()} == {"recognition", "event"}
    assert shown.err == ""


def test_recognize_draws_an_overlay_of_every_frame(bundle, video, tmp_path) -> None:
    out = tmp_path / "overlay.mp4"
    assert main(["recognize", str(video), "--model", str(bundle), "--overlay", str(out), "--quiet"]) == 0
    with open_source(str(video)) as source, open_source(str(out)) as overlay:
        before, after = list(source), list(overlay)
    assert len(after) == len(before)
    np.testing.assert_allclose([f.stamp for f in after], [f.stamp for f in before], atol=SECOND // 10_000)
    assert after[0].image.shape == (480, 854, 3)
    headline = after[(QUIET + MOVING - 1) * RATE].image[17:75, 401:405].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(headline, (52, 211, 153), atol=20)  # the colour of an action


def test_recognize_explains_each_start_and_end_with_a_picture(bundle, video, tmp_path, capsys) -> None:
    assert main(["recognize", str(video), "--model", str(bundle), "--explain", str(tmp_path / "why")]) == 0
    shown = capsys.readouterr()
    kinds = [line.split()[-4] for line in shown.out.splitlines()]
    files = sorted(path.name for path in (tmp_path / "why").iterdir())
    assert [name.split("_")[2] for name in files] == kinds
    assert shown.err.endswith(f", {len(files)} pictures\n")


def test_recognize_selects_frames_as_it_is_told(bundle, video, tmp_path) -> None:
    windows = {}
    for name in ("flow_guided", "uniform"):
        out = tmp_path / name
        command = ["recognize", str(video), "--model", str(bundle), "--json", str(out), "--quiet", "--selection", name]
        assert main(command) == 0
        windows[name] = [line["window_start"] for line in lines(out) if line.get("state") == "ACTION"]
    assert len(windows["uniform"]) == len(windows["flow_guided"]) > 0
    assert windows["uniform"] != windows["flow_guided"]
    assert main(["recognize", str(video), "--model", str(bundle), "--selection", "best"]) == BAD_INPUT


def test_events_before_a_damage_are_printed(bundle, video, tmp_path, capsys) -> None:
    folder = tmp_path / "images"
    write_images(video, folder)
    (folder / f"{(QUIET + 2) * RATE}.png").write_bytes(b"\x89PNG cut")
    assert main(["recognize", str(folder), "--rate", str(RATE), "--model", str(bundle)]) == BAD_INPUT
    shown = capsys.readouterr()
    assert " started " in shown.out
    assert " ended " in shown.out.splitlines()[-1]
    assert "60.png cannot be read" in shown.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["recognize", "nowhere.mp4"], "nowhere.mp4 does not exist"),
        (["recognize", "{video}", "--model", "nowhere.safetensors"], "cannot read nowhere.safetensors"),
        (["recognize", "{video}", "--model", "{video}"], "not a safetensors file"),
        (["recognize", "{video}", "--topic", "/image"], "is not a bag"),
        (["recognize", "{video}", "--rate", "5"], "a rate is for folders"),
        (["recognize", "{video}", "--model", "{bundle}", "--json", "no/folder/out"], "no/folder/out cannot be written"),
        (["recognize", "{video}", "--model", "{bundle}", "--overlay", "no/folder/o.mp4"], "o.mp4 cannot be written"),
        (["recognize", "{video}", "--model", "{bundle}", "--overlay", "{video}"], "is the source itself"),
        (["inspect", "nowhere.safetensors"], "cannot read nowhere.safetensors"),
        (["models", "--labels", "0"], "--labels must be at least 1"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, error, bundle, video, capsys) -> None:
    before = video.read_bytes()
    assert main([argument.format(bundle=bundle, video=video) for argument in arguments]) == BAD_INPUT
    shown = capsys.readouterr()
    assert error in shown.err
    assert (shown.err.count("\n"), shown.err[:12], shown.out) == (1, "fluxformer: ", "")
    assert video.read_bytes() == before


def test_inspect_lists_every_ancestor_once(bundle, tmp_path, capsys) -> None:
    first = {"bundle": "aaa", "seed": 1}
    parents = [{"bundle": name, "seed": 2, "started_from": first} for name in ("bbb", "ccc")]
    model = Bundle.load(bundle)
    provenance = {"minutes": 3, "started_from": {"mean_of": parents}}
    Bundle(replace(model.metadata, provenance=provenance), model.weights).save(tmp_path / "mean.safetensors")
    assert main(["inspect", str(tmp_path / "mean.safetensors")]) == 0
    shown = capsys.readouterr().out
    assert "mean_of  bbb, ccc" in shown
    lines = [line.strip() for line in shown.splitlines()]
    assert [line for line in lines if line in ("aaa", "bbb", "ccc")] == ["bbb", "aaa", "ccc"]
    assert shown.count("started_from  aaa") == 2
    assert [line.split()[1] for line in lines if line.startswith("seed ")] == ["2", "1", "2"]


def test_inspect_shows_the_contents_of_a_bundle(bundle, capsys) -> None:
    digest = Bundle.load(bundle).digest
    assert main(["inspect", str(bundle)]) == 0
    shown = capsys.readouterr().out
    for part in ("fluxformer_nano", digest, "clap, wave", "top1", "0.5"):
        assert part in shown
    assert main(["inspect", str(bundle), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["model"], content["digest"], content["labels"]) == ("fluxformer_nano", digest, list(LABELS))
    assert content["provenance"]["metrics"]["top1"] == 0.5
    assert content["bytes"] == bundle.stat().st_size
    model = create_model("fluxformer_nano", len(LABELS))
    assert content["parameters"] == sum(weights.numel() for weights in model.state_dict().values())


def test_help_names_every_command_and_gives_examples(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {name}" in shown for name in COMMANDS)
    for name, command in COMMANDS.items():
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert f"examples:\n{command.EXAMPLES}" in capsys.readouterr().out


def test_wrong_arguments_have_the_exit_code_of_bad_input(capsys) -> None:
    for arguments in ([], ["dance"], ["recognize"], ["recognize", "x.mp4", "--rate", "fast"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == BAD_INPUT
        assert "usage: fluxformer" in capsys.readouterr().err


COMMAND: list[str | Path] = [sys.executable, "-m", "fluxformer_core.cli"]


def test_help_imports_nothing_slow() -> None:
    slow = "{'numpy', 'torch', 'cv2', 'av', 'PIL', 'tqdm', 'rosbags'}"
    code = f"import sys, fluxformer_core.cli as cli; cli.build_parser(); print(*{slow} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_reader_that_has_seen_enough_is_no_error(bundle) -> None:
    command = [*COMMAND, "inspect", bundle]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_interrupting_ends_open_actions_and_closes_the_files(bundle, video, tmp_path) -> None:
    folder, overlay = tmp_path / "images", tmp_path / "overlay.mp4"
    write_images(video, folder)
    swing = range(QUIET * RATE, (QUIET + MOVING) * RATE)
    for number in range(20_000):  # far more than can be read before the interruption
        (folder / f"later{number}.png").symlink_to(folder / f"{swing[number % len(swing)]}.png")
    command = [*COMMAND, "recognize", folder, "--rate", str(RATE), "--model", bundle, "--overlay", overlay]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert " started " in first, process.communicate()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert " ended " in out.splitlines()[-1]
    assert " frames, " in err.splitlines()[-1]
    with open_source(str(overlay)) as source:
        assert sum(1 for _ in source) > QUIET * RATE
