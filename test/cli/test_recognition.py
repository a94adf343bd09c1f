"""The library as the README shows it: recognition of a whole source as a function, and training."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import actor_images, write_frames

from fluxformer_core import EventKind, SourceError, Update, recognize
from fluxformer_core.bundle import Bundle
from fluxformer_core.recognition import RecognitionResult
from fluxformer_core.stream.config import DecisionConfig, RecognizerConfig

EAGER = RecognizerConfig(decision=DecisionConfig(start_score=0.01, keep_score=0.01, sure_score=0.0))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = actor_images((1.0, 2.4), still=1.6)
    return write_frames(tmp_path_factory.mktemp("video") / "wave.mp4", images)


def test_the_result_has_events_and_counts_and_recognitions_on_demand(video: Path, bundle: Bundle) -> None:
    result = recognize(video, bundle, config=EAGER)
    assert [event.kind for event in result.events][:1] == [EventKind.STARTED]
    assert result.events[-1].kind in (EventKind.ENDED, EventKind.RETRACTED)
    assert result.counters.frames == 80
    assert (result.recognitions, result.pictures, result.start) == ([], 0, 0)
    full = recognize(str(video), bundle, config=EAGER, keep_recognitions=True)
    assert full.events == result.events
    assert len(full.recognitions) == full.counters.recognitions > 0


def test_in_the_person_view_the_nets_find_the_actor(video: Path, bundle: Bundle) -> None:
    config = replace(EAGER, view="person", recognition_rate=5.0)
    result = recognize(video, bundle, config=config, keep_recognitions=True)
    found = [recognition for recognition in result.recognitions if recognition.person_id]
    assert len(found) > 0.8 * len(result.recognitions)
    assert {(recognition.person_id, recognition.found_by) for recognition in found} == {("1", "pose")}
    assert {event.person_id for event in result.events} == {"1"}


def test_each_frame_is_reported_and_the_end_closes_open_events(video: Path, bundle: Bundle) -> None:
    seen: list[Update] = []
    starts: set[int] = set()

    def on_update(update: Update, result: RecognitionResult) -> None:
        seen.append(update)
        starts.add(result.start)
        if len(seen) == 40:  # two seconds: the action is under way
            raise KeyboardInterrupt

    result = recognize(video, bundle, config=EAGER, on_update=on_update)
    assert (len(seen), starts) == (41, {0})
    assert [event for update in seen for event in update.events] == result.events
    assert result.events[-1].kind is EventKind.ENDED
    assert seen[-1].events == (result.events[-1],)


def test_an_error_comes_after_the_result_so_far(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"\x89PNG cut")
    results: list[RecognitionResult] = []
    with pytest.raises(SourceError, match="cannot be read"):
        recognize(tmp_path, bundle, on_update=lambda update, result: results.append(result))
    assert [result.counters.frames for result in results] == [0]


README = Path(__file__).resolve().parents[2] / "README.md"


def example() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    found = [block for block in blocks if "train_bundle" in block]
    assert len(found) == 1, "the README has one Python example, which trains a bundle"
    return found[0]


def record(path: Path, label: str, seed: int) -> None:
    write_frames(path, actor_images((0.6, 1.8), still=0.8, label=label, seed=seed, rate=15.0), rate=15)


@pytest.mark.slow
def test_the_example_of_the_readme_trains_evaluates_and_recognises(tmp_path, monkeypatch, capsys) -> None:
    for label in ("wave", "squat"):
        for seed in range(8):
            record(tmp_path / "clips" / label / f"{seed}.mp4", label, seed)
    record(tmp_path / "video.mp4", "wave", seed=9)
    monkeypatch.chdir(tmp_path)
    exec(compile(example(), str(README), "exec"), {})
    assert (tmp_path / "mine.safetensors").exists()
    assert capsys.readouterr().out != ""
