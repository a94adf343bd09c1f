"""Bags in several processes, some of which are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bag_bench import TOPIC
from crashing_workers import CrashingWatcher

from fluxformer_core.evaluation.bags.finding import BagStream
from fluxformer_core.evaluation.bags.processes import watch_streams


def test_a_killed_process_costs_no_other_stream_its_result() -> None:
    streams = [BagStream(name, TOPIC, Path(name), length=k) for k, name in enumerate(("a", "crash", "b", "c"))]
    found = watch_streams(CrashingWatcher(), streams, 2, quiet=True)  # type: ignore[arg-type]
    assert [result.stream.bag for result in found] == ["a", "crash", "b", "c"]
    assert [bool(result.faults) for result in found] == [False, True, False, False]
    assert "was killed" in found[1].faults[0].text
    assert not multiprocessing.active_children()


ENDLESS = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from crashing_workers import EndlessWatcher
from fluxformer_core.evaluation.bags.finding import BagStream
from fluxformer_core.evaluation.bags.processes import watch_streams

if __name__ == "__main__":
    streams = [BagStream(path, "/image", Path(path), length=1) for path in sys.argv[2:]]
    watch_streams(EndlessWatcher(), streams, 2, quiet=True)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="asks /proc which processes run")
def test_workers_stop_when_their_parent_is_killed(tmp_path: Path) -> None:
    script, notes = tmp_path / "endless.py", [tmp_path / "a", tmp_path / "b"]
    script.write_text(ENDLESS)
    main_process = subprocess.Popen([sys.executable, script, Path(__file__).parents[1], *notes])
    try:
        wait_until(lambda: all(note.exists() and note.read_text() for note in notes))
        main_process.kill()
        main_process.wait()
        wait_until(lambda: not any(_runs(note) for note in notes))
    finally:
        main_process.kill()
        main_process.wait()
        for note in notes:
            if _runs(note):
                os.kill(int(note.read_text()), signal.SIGKILL)


def _runs(note: Path) -> bool:
    try:
        state = Path(f"/proc/{note.read_text()}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return ") Z " not in state  # Z: a zombie has ended


def wait_until(true: Callable[[], bool], patience: float = 60.0) -> None:
    """Look again and again."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
