"""A bag is played in real time to the running node, recorded, scored and compared with the offline run."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bag_bench import START, TOPIC, opinionated_bundle, write_bag, write_truth
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_bench import LAUNCH, a_robot

from fluxformer_core.cli import main
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.bags.agreement import compare_runs
from fluxformer_core.evaluation.bags.finding import BagStream
from fluxformer_core.io.sources.bag import ORIGIN_NOTE, SOURCE_NOTE, TOPIC_NOTE, bag_contents
from fluxformer_core.types import SECOND
from fluxformer_ros.checks.replay import check
from fluxformer_ros.tools.recorder_node import ResultsBag, notes_on

FOLDER = Path(__file__).resolve().parents[2] / "launch"


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bags") / "run"
    return write_bag(folder, seconds=6.0, segments=((2.0, 4.0),), topics=(TOPIC, "/rear"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return opinionated_bundle(tmp_path_factory.mktemp("model") / "waver.safetensors", "wave")


def evaluated(folder: Path, *arguments: object) -> dict[str, Any]:
    """The figures of bags with one wave."""
    truth, figures = write_truth(folder / "truth.csv", ("run", TOPIC, 2, 4, "wave")), folder / "figures.json"
    assert main(["evaluate", *map(str, arguments), "--truth", str(truth), "--json", str(figures)]) == 0
    return json.loads(figures.read_text())


def test_a_bag_of_results_says_what_was_played(bag: Path, tmp_path: Path) -> None:
    notes = notes_on(bag, TOPIC)
    assert notes == {SOURCE_NOTE: "run", TOPIC_NOTE: TOPIC, ORIGIN_NOTE: str(START)}
    results = ResultsBag(tmp_path / "results", notes)
    results.add("/recognizer/labels", "fluxformer/msg/ActionLabels")
    results.close()
    assert bag_contents(tmp_path / "results").notes == notes
    with pytest.raises(ConfigError, match="exists already"):
        ResultsBag(tmp_path / "results", notes)


def test_what_arrives_before_the_clock_is_kept_for_its_first_moment(tmp_path: Path) -> None:
    from rosbags.rosbag2 import Reader

    results = ResultsBag(tmp_path / "results", {})
    results.add("/recognizer/labels", "fluxformer/msg/ActionLabels")
    for data, received in ((b"a", 0), (b"b", 0), (b"c", START), (b"d", START + 1)):
        results.write("/recognizer/labels", data, received)
    results.close()
    with Reader(tmp_path / "results") as reader:
        found = [(received - START, bytes(data)) for _, received, data in reader.messages()]
    assert found == [(0, b"a"), (0, b"b"), (0, b"c"), (1, b"d")]


@pytest.mark.slow
def test_a_recorder_whose_disk_is_full_says_so_and_how_the_bag_is_mended(ros: None, tmp_path: Path) -> None:
    limit = 8 << 20  # more than the middleware's shared memory, which counts as files, too
    out = tmp_path / "results"
    command = ["-m", "fluxformer_ros.tools.recorder_node", str(out), "--ros-args", "-r", "__ns:=/full"]
    recorder = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, (limit, limit))
    message = DiagnosticArray(status=[DiagnosticStatus(message="x" * 200_000)])
    try:
        with a_robot("full") as robot:
            publisher = robot.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
            robot.wait(lambda: publisher.publish(message) or recorder.poll() is not None, "the recorder's end")
    finally:
        recorder.kill()
        said = recorder.communicate()[1]
    assert recorder.returncode == 2
    assert f"{out} cannot be written on: File too large; mend the bag with 'mcap recover'" in said
    assert "Traceback" not in said
    assert (out / "results.mcap").stat().st_size > 4 << 20


@pytest.mark.slow
@pytest.mark.realtime
def test_the_live_run_says_what_the_offline_run_says_and_is_scored_alike(
    ros: None, bag: Path, model: Path, tmp_path: Path
) -> None:
    job = BagStream("run", TOPIC, bag, length=120)
    for rate in (1.0, 0.5, 0.2):
        out = tmp_path / f"live_{rate}"
        agreement, live = check(job, out, model=model, rate=rate)
        images = {START + i * SECOND // 20 for i in range(120)}
        assert all(int(stamp) in images for track in live.tracks for stamp in track.stamps)
        if not any(live.drops.values()):
            break
    else:
        pytest.skip("this machine is too busy to look at every image even at a fifth of its time")
    assert agreement.share >= 0.98, agreement.differences
    assert live.frames == 120

    found = evaluated(tmp_path, out, bag, "--model", model)
    assert [(s["bag"], s["results_of"]) for s in found["streams"]] == [(out.name, "run"), ("run", None)]
    said, offline = (stream["figures"] for stream in found["streams"])
    alike = ("actions", "detection_rate", "false_per_minute", "mean_jaccard", "edit", "f1_50", "clip_top1")
    assert [said[name] for name in alike] == pytest.approx([offline[name] for name in alike], abs=0.02)
    assert said["onset_delay_p50"] >= offline["onset_delay_p50"]  # live events also had to be computed and sent
    latency = found["streams"][0]["latency_ms"]["stamp to recorder"]
    assert 0 <= latency["p50"] <= latency["p99"]
    assert compare_runs(live, live).share == 1.0


@pytest.mark.slow
def test_launching_a_replay_makes_a_bag_of_results(ros: None, bag: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("launch_ros.actions", reason="launch_ros comes with ROS 2 itself, not with the wheels")
    out = tmp_path / "results"
    arguments = [f"bag:={bag}", f"topic:={TOPIC}", f"out:={out}", f"model:={model}", "player:=fluxformer"]
    words = [sys.executable, "-c", LAUNCH, str(FOLDER / "replay.launch.py"), *arguments]
    ended = subprocess.run(words, env=os.environ, timeout=300, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = evaluated(tmp_path, out)
    assert found["streams"][0]["results_of"] == "run"
    assert found["figures"]["actions"] == 1
    assert found["streams"][0]["recognitions"] > 10
