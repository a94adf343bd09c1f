"""The demo and the checks as users start them: player, recogniser and listener as processes over DDS."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest
from ros_bench import LABELS, filmed

from fluxformer_core.actor import DEMO_SCRIPT
from fluxformer_ros.checks.__main__ import main as check_main
from fluxformer_ros.checks.rate import account
from fluxformer_ros.tools import demo
from fluxformer_ros.tools.actor_report import compare, table
from fluxformer_ros.tools.graph import Run, run_graph

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ros")]

NAMED = 8  # of the script's ten performances
TIME_ERROR = 0.5  # s: between the script's start and end, and the event's


def running(pid: str) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and ") Z " not in stat.read_text()


def test_the_demo_shows_the_actor_and_writes_a_video(model: Path, tmp_path: Path, capfd: Any, monkeypatch: Any) -> None:
    runs: list[Run] = []
    monkeypatch.setattr(demo, "run_graph", lambda *args, **options: runs.append(run_graph(*args, **options)) or runs[0])
    video = tmp_path / "seen.mp4"
    assert demo.main(["actor", "--duration", "6", "--model", str(model), "--overlay", str(video)]) == 0
    said = capfd.readouterr().out
    assert all(words in said for words in ("180 images published", "started", "of 1 performances named", str(video)))
    with av.open(str(video)) as container:
        pictures = list(container.decode(video=0))
    assert len(pictures) == 90
    assert float(pictures[-1].time) == pytest.approx(178 / 30, abs=0.5)

    numbers = account(runs[0])
    assert (numbers["frames published"], numbers["frames unaccounted"]) == (180, 0)
    assert numbers["frames received"] + numbers["frames lost in transport"] == 180
    assert numbers["recognitions"] == len(runs[0].transcript.recognitions) > 0
    assert 0 < numbers["delay p50 [ms]"] <= numbers["delay p99 [ms]"]
    assert {recognition.stamp for recognition in runs[0].transcript.recognitions} <= {f.stamp for f in runs[0].frames}


@pytest.mark.realtime
def test_the_shipped_weights_name_the_actors_actions_and_their_times() -> None:
    for rate in (1.0, 0.4):  # a machine that is too busy for the images gets them more slowly
        played = ["actor", "--size", "320x240", "--clock", "--rate", str(rate)]
        answers, wrong = compare(DEMO_SCRIPT, run_graph(played, quiet=True))
        good = [a for a in answers if a.named and abs(a.start_error) <= TIME_ERROR and abs(a.end_error) <= TIME_ERROR]
        if len(good) >= NAMED:
            return
    pytest.fail(table(answers, wrong))


def test_the_clip_check_judges_every_clip(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name in ("wave", "squat"):
        filmed(tmp_path / f"{name}.mp4")
    (tmp_path / "clips.csv").write_text("path,label,subject\nwave.mp4,wave,s01\nsquat.mp4,squat,s01\n")
    options = ["--json", str(tmp_path / "result.json"), "--model", str(model)]
    assert check_main(["clips", str(tmp_path / "clips.csv"), str(tmp_path), *options]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert [clip["label"] for clip in result["results"]] == ["wave", "squat"]
    assert {clip["answer"] for clip in result["results"]} <= {*LABELS, ""}
    assert not result["results"][1]["right"]  # the model does not know squats
    assert f"{result['right']} of 2 clips named" in capsys.readouterr().out


def test_a_source_that_cannot_be_opened_is_named(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert demo.main([str(tmp_path / "nothing.mp4"), "--model", str(model)]) == 2
    assert "nothing.mp4 does not exist" in capsys.readouterr().err


def test_ctrl_c_ends_every_process(model: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "fluxformer_ros.tools.demo", "--model", str(model)])
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        deadline = time.monotonic() + 60
        while len(children := listed.read_text().split()) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(children) == 3
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert [pid for pid in children if running(pid)] == []
    finally:
        process.terminate()
        process.wait(60)
