"""The Python example of the README, run on a small folder of videos."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers import actor_images, write_frames

README = Path(__file__).resolve().parents[2] / "README.md"


def example() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    found = [block for block in blocks if "train_bundle" in block]
    assert len(found) == 1, "the README has one Python example, which trains a bundle"
    return found[0]


def record(path: Path, label: str, seed: int) -> None:
    write_frames(path, actor_images((0.6, 1.8), still=0.8, label=label, seed=seed, rate=15.0), rate=15)


@pytest.mark.slow
def test_the_example_trains_evaluates_and_recognises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("wave", "squat"):
        for seed in range(3):
            record(tmp_path / "clips" / label / f"{seed}.mp4", label, seed)
    record(tmp_path / "video.mp4", "wave", seed=9)
    monkeypatch.chdir(tmp_path)
    exec(compile(example(), str(README), "exec"), {})
    assert (tmp_path / "mine.safetensors").exists()
    assert capsys.readouterr().out != ""
