"""The command `evaluate` on bags of every format, and on damaged bags beside good ones."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bag_bench import RATE, START, TOPIC, moving, opinionated_bundle, storage_file, write_bag, write_truth
from helpers import PageLinks
from rosbags.typesys import get_types_from_msg

from benchmarks.synthetic.bag_writer import ImageBag
from fluxformer_core.cli import BAD_INPUT, main
from fluxformer_core.cli.evaluate_bags import INCOMPLETE, WORSE
from fluxformer_core.evaluation.bags.finding import IMAGES, find_bags, find_streams
from fluxformer_core.evaluation.report.json_document import MEASURED_HERE
from fluxformer_core.evaluation.report.thumbnails import HEIGHT, Stretch, strips
from fluxformer_core.io.sources.bag import BagSource
from fluxformer_core.types import SECOND, ClipSpec, Pixels

SAID = "walk"  # the model's label for every movement


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return opinionated_bundle(tmp_path_factory.mktemp("model") / "walker.safetensors", SAID)


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One recording in every form, and a truth about it."""
    folder = tmp_path_factory.mktemp("bags")
    write_bag(folder / "mcap")
    write_bag(folder / "sqlite", storage="sqlite3")
    write_bag(folder / "zstd_file", storage="sqlite3", zstd="file")
    write_bag(folder / "more" / "zstd_message", zstd="message")
    write_truth(folder / "truth.csv", *((n, "", 2, 4, SAID) for n in ("mcap", "sqlite", "zstd_file", "zstd_message")))
    return folder


def evaluate(model: Path, *arguments: object) -> int:
    return main(["evaluate", *map(str, arguments), "--model", str(model)])


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def same(found: dict[str, Any]) -> dict[str, Any]:
    """The figures that do not depend on the machine."""
    kept = {key: value for key, value in found.items() if key not in MEASURED_HERE}
    kept["streams"] = [{k: v for k, v in s.items() if k not in MEASURED_HERE} for s in found["streams"]]
    return kept


def test_bags_of_every_form_give_the_same_figures(
    bags: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    assert evaluate(model, bags, "--truth", bags / "truth.csv", "--json", out, "--workers", 1) == 0
    found = read(out)
    assert [stream["bag"] for stream in found["streams"]] == ["mcap", "zstd_message", "sqlite", "zstd_file"]
    for stream in found["streams"]:
        assert stream["figures"] == found["streams"][0]["figures"]
        assert stream["timeline"] == found["streams"][0]["timeline"]
        assert stream["images"] == 6 * RATE
        (track,) = stream["timeline"]
        assert (track["from"], track["truth"]) == (0.0, [{"label": SAID, "start": 2.0, "end": 4.0}])
        (event,) = track["events"]
        assert (event["start"], event["end"]) == (pytest.approx(2, abs=0.3), pytest.approx(4, abs=0.3))
    assert (found["figures"]["detection_rate"], found["figures"]["actions"]) == (1.0, 4)
    shown = capsys.readouterr().out
    assert "4 of 4 actions detected" in shown
    assert "times real time" in shown


def test_other_thresholds_can_be_set_and_are_reported(
    bags: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    given = ["--set", "start_score=0.4", "sure_score=1", "--json", out, "--report", page]
    assert evaluate(model, bags / "mcap", "--truth", bags / "truth.csv", *given) == 0
    found = read(out)
    assert found["figures"]["detection_rate"] == 0.0, "no score reaches 1"
    assert found["figures"]["withdrawn_per_minute"] > 0
    assert (found["settings"]["start_score"], found["settings"]["sure_score"]) == (0.4, 1.0)
    assert found["settings"]["max_still_time"] == 1.0, "unchanged settings are reported, too"
    assert "set      start_score 0.4, sure_score 1" in capsys.readouterr().out
    assert "with start_score 0.4, sure_score 1" in page.read_text()


@pytest.mark.slow
def test_figures_do_not_depend_on_the_processes(bags: Path, model: Path, tmp_path: Path) -> None:
    found = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}.json"
        arguments = [bags / "mcap", bags / "sqlite", "--truth", bags / "truth.csv"]
        assert evaluate(model, *arguments, "--json", out, "--workers", workers) == 0
        found.append(same(read(out)))
    assert found[0] == found[1]
    assert "the truth names it, but it is not evaluated" in found[0]["faults"][0]["text"]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag for each possible fault."""
    folder = tmp_path_factory.mktemp("damaged")
    write_bag(folder / "good")
    with ImageBag(folder / "corrupt") as bag:
        for i, (stamp, image) in enumerate(moving(6.0, [(2.0, 4.0)])):
            bag.write(TOPIC, image, Pixels.RGB, stamp)
            if i % 40 == 7:
                bag.write_raw(TOPIC, "sensor_msgs/msg/Image", b"\0\1\0\0" + bytes(9), stamp + 1)
    others = ("strange", "/thing", "my_msgs/msg/Thing", 3), ("blind", "/said", "std_msgs/msg/String", "hi")
    for name, topic, kind, value in others:
        with ImageBag(folder / name) as bag:
            if name == "strange":
                bag._types.register(get_types_from_msg("int32 number\n", kind))
            bag.write_raw(topic, kind, bytes(bag._types.serialize_cdr(bag._types.types[kind](value), kind)), START)
    for name, storage in (("cut", "mcap"), ("cut_database", "sqlite3")):
        file = storage_file(write_bag(folder / name, storage=storage))
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with ImageBag(folder / "loop") as bag:
        for turn in range(2):
            for i, (stamp, image) in enumerate(moving(6.0, [(2.0, 4.0)])):
                bag.write(TOPIC, image, Pixels.RGB, stamp, received=START + (120 * turn + i) * SECOND // RATE)
    write_bag(folder / "untold")
    write_bag(folder / "short", seconds=0.04)
    names = ("good", "corrupt", "strange", "blind", "cut", "cut_database", "loop", "short")
    write_truth(folder / "truth.csv", *((name, "", 2, 4, SAID) for name in names))
    (folder / "empty.csv").write_text("bag,topic,start,end,label\n")
    return folder


def test_faults_of_a_bag_are_reported_and_other_bags_have_their_figures(
    damaged: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    truth = [damaged / "truth.csv", damaged / "empty.csv"]
    with caplog.at_level(logging.WARNING):
        code = evaluate(model, damaged, "--truth", *truth, "--json", out, "--report", page, "--workers", 1)
    assert code == INCOMPLETE
    found = read(out)
    rates = {s["bag"]: s["figures"] and s["figures"]["detection_rate"] for s in found["streams"]}
    assert rates == {"corrupt": 1.0, "good": 1.0, "loop": 1.0, "untold": None, "short": None}
    expected = (
        ("corrupt", False, "3 of 123 messages could not be read"),
        ("strange", True, f"has no images ({IMAGES}); it holds /thing (my_msgs/msg/Thing)"),
        ("blind", True, "it holds /said (std_msgs/msg/String)"),
        ("cut", True, "is not a bag that can be read"),
        ("cut_database", True, "is not a bag that can be read"),
        ("loop", False, "stamps jump back by 6.0 s after 6.0 s; what follows counts as another pass"),
        ("untold", True, "the truth does not name it"),
        ("short", True, "1 images, too few to recognise anything"),
        ("empty.csv", True, "it has no line"),
    )
    assert {fault["bag"] for fault in found["faults"]} == {name for name, _, _ in expected}
    for name, fatal, text in expected:
        assert any((f["bag"], f["fatal"]) == (name, fatal) and text in f["text"] for f in found["faults"]), name
    by_name = {stream["bag"]: stream for stream in found["streams"]}
    assert (by_name["loop"]["resets"]["time_jump"], by_name["corrupt"]["drops"]["unreadable"]) == (1, 3)
    assert [by_name[name]["figures"]["actions"] for name in ("loop", "good")] == [2, 1]
    assert caplog.text == ""  # one report, not one for each message
    shown = capsys.readouterr().out
    assert shown.count("FAULT") == 7
    assert all(fault["text"] in shown for fault in found["faults"])
    assert "stamps jump back" in page.read_text(encoding="utf-8")


def test_several_cameras_are_several_streams(model: Path, tmp_path: Path) -> None:
    topics = ("/left", "/left/compressed", "/right")
    bag, out, truth = write_bag(tmp_path / "rig", topics=topics), tmp_path / "out.json", tmp_path / "truth.csv"
    given = (bag, "--truth", truth, "--json", out, "--workers", 1)
    for topic, streams in (("", ["/left", "/right"]), ("/left/compressed", ["/left/compressed"])):
        write_truth(truth, ("rig", topic, 2, 4, SAID))
        assert evaluate(model, *given) == 0
        assert [stream["topic"] for stream in read(out)["streams"]] == streams
    assert evaluate(model, *given, "--topic", "/front") == INCOMPLETE
    text = "/front is not in the bag; its image topics: /left, /left/compressed, /right"
    assert text in read(out)["faults"][0]["text"]


def test_the_gate_exits_with_one_and_says_what_is_worse(
    bags: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, worse = tmp_path / "old.json", tmp_path / "worse.json"
    arguments = (bags / "mcap", "--truth", bags / "truth.csv", "--workers", 1)
    assert evaluate(model, *arguments, "--json", old) == 0
    assert evaluate(model, *arguments, "--baseline", old, "--max-drop", 0) == 0
    assert "not worse than" in capsys.readouterr().out
    other = opinionated_bundle(tmp_path / "silent.safetensors", "")
    assert evaluate(other, *arguments, "--baseline", old, "--json", worse) == WORSE
    told = capsys.readouterr().err
    assert "WORSE  detection rate: was 100.0%, 0.0%, 100.0 points less" in told
    assert f"{SAID}: was 1 of 1 with 0 false, detected 0 of 1 with 0 false" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{bags}/mcap"], "is a bag: name a truth file with --truth"),
        (["{bags}/nowhere", "--truth", "{truth}"], "does not exist; give bags, or folders of bags"),
        (["{model}", "--truth", "{truth}"], "is neither a bag (metadata.yaml, .mcap, .db3) nor a folder of bags"),
        (["{bags}/mcap", "--truth", "nowhere.csv"], "cannot read the list nowhere.csv"),
        (["{bags}/mcap", "--truth", "{truth}", "--splits", "test"], "--splits cannot be used with bags"),
        (["{bags}/truth.csv", "--topic", "/a"], "--topic cannot be used with recordings of single actions"),
        (["{bags}/mcap", "--truth", "{truth}", "--workers", "0"], "--workers must be at least 1"),
        (["{bags}/mcap", "--truth", "{truth}", "--max-drop", "-1"], "--max-drop must not be negative"),
        (["{bags}/mcap", "--truth", "{truth}", "--flow", "magic"], "magic"),
        (["{bags}/mcap", "--truth", "{truth}", "--baseline", "{truth}"], "cannot read the baseline"),
        (["{bags}/mcap", "--truth", "{truth}", "--report", "no/folder/out.html"], "there is no folder no/folder"),
        (["{bags}/mcap", "--truth", "{truth}", "--model", "{model}", "{model}"], "with one model at a time"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    arguments: list[str], message: str, bags: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.format(bags=bags, truth=bags / "truth.csv", model=model) for argument in arguments]
    assert main(["evaluate", *given]) == BAD_INPUT
    shown = capsys.readouterr()
    assert message in shown.err
    assert (shown.err.count("\n"), shown.out) == (1, "")


def test_bags_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("monday", "tuesday"):
        write_bag(tmp_path / folder / "run", seconds=0.2)
    found = find_bags([tmp_path / "monday" / "run", tmp_path])
    assert list(found) == ["monday/run", "tuesday/run"]
    streams, faults = find_streams(found, {})
    names = [(stream.bag, stream.topic, stream.length) for stream in streams]
    assert names == [("monday/run", TOPIC, 4), ("tuesday/run", TOPIC, 4)]
    assert not faults


def test_only_images_that_are_wanted_are_decoded(bags: Path) -> None:
    for name in ("mcap", "sqlite", "zstd_file", "more/zstd_message"):
        with BagSource(bags / name) as source:
            frames = list(source.pick(lambda stamp: stamp - START in (0, 3 * SECOND)))
            assert [frame.stamp - START for frame in frames] == [0, 3 * SECOND]
            whole = {frame.stamp: frame.image for frame in source}
        assert all(np.array_equal(frame.image, whole[frame.stamp]) for frame in frames)


def test_a_strip_shows_its_stretch_evenly(bags: Path, tmp_path: Path) -> None:
    path = tmp_path / "grey"
    with ImageBag(path) as bag:
        for i in range(100):
            bag.write(TOPIC, np.full((48, 48, 3), 2 * i, np.uint8), Pixels.RGB, START + i * SECOND // RATE)
    stretches = [Stretch(START, START + 5 * SECOND, 5), Stretch(START + 4 * SECOND, START + 6 * SECOND, 4)]
    shown = []
    for jpeg in strips(path, TOPIC, stretches, ClipSpec()):
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture.shape[0] == HEIGHT
        places = range(20, len(picture[0]), HEIGHT + 2)
        shown.append([int(picture[20:50, left : left + 30].mean()) for left in places])
    assert shown[0] == pytest.approx([20, 60, 100, 140, 180], abs=3)
    assert shown[1][0] == pytest.approx(170, abs=3)
    assert shown[1][2:] == pytest.approx([236, 236], abs=2)  # after the recording's end


@pytest.fixture(scope="module")
def page(bags: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that has every kind of content."""
    folder = tmp_path_factory.mktemp("page")
    write_bag(folder / "<i>long", seconds=8.0, segments=((1.0, 2.5), (4.0, 6.0)))
    rows = [("<i>long", "", 1, 2.5, SAID), ("<i>long", "", 4, 6, "clap"), ("mcap", "", 2, 4, "<b>fall")]
    truth = write_truth(folder / "truth.csv", *rows)
    out = folder / "report.html"
    assert evaluate(model, folder, bags / "mcap", "--truth", truth, "--report", out, "--workers", 1) == 0
    return out


def test_the_page_is_whole_and_loads_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = PageLinks(text).found
    assert "<script" not in text
    assert len(links) == 2  # the clap taken for a walk, and what the model does not know
    assert all(link.startswith("data:image/jpeg;base64,") for link in links)
    assert "http://" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    for kind in ("timeline", "matrix", "earliness", "histogram"):
        assert f'class="{kind}"' in text
    assert f"clap taken for {SAID}" in text
    assert "&lt;b&gt;fall" in text
    assert not any(name in text for name in ("<i>long", "<b>fall"))


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_the_page_without_a_network(page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "page.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1500"]
    # Whatever the page might want to load from elsewhere fails.
    options += ["--proxy-server=127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND"]
    for action in ("--dump-dom", f"--screenshot={shot}"):
        command = [BROWSER, *options, action, page.as_uri()]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        if action == "--dump-dom":
            assert ran.stdout.count("<svg") >= 5
            assert "</main>" in ran.stdout
    picture = cv2.imread(str(shot))
    assert picture.shape[:2] == (1500, 1400)
    # Labels' colours of the timelines, the red rims of mistakes and the blue of the charts are on the screen.
    hue, saturation, _ = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV))
    strong = saturation > 90
    assert ((hue > 100) & (hue < 115) & strong).sum() > 2000  # blue
    assert (((hue < 8) | (hue > 172)) & strong).sum() > 500  # red
