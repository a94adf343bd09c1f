"""The player's time line: every frame once, with holds and pauses in their places."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fluxformer_core.errors import SourceError
from fluxformer_core.io.sources import SourceFrame
from fluxformer_core.types import SECOND, Pixels
from fluxformer_ros.tools import playback
from fluxformer_ros.tools.playback import Arrangement, Opener, TimedFrame, arrange, read_ahead

PERIOD = SECOND // 20


def clip(length: int, begins: int = 1000) -> Opener:
    """A source at 20 Hz whose images hold their own number."""
    frames = [SourceFrame(begins + n * PERIOD, np.full((2, 2), n, np.uint8), Pixels.GREY) for n in range(length)]
    return lambda: nullcontext(frames)


def numbers(shots: Iterable) -> list[int]:
    return [int(shot.image[0, 0]) for shot in shots]


def played(*clips: Opener, **arrangement: Any) -> list[TimedFrame]:
    return list(islice(arrange([*clips], Arrangement(**arrangement)), 100))


def test_frames_keep_their_times() -> None:
    shots = played(clip(4))
    assert numbers(shots) == [0, 1, 2, 3]
    assert [shot.due for shot in shots] == [0, PERIOD, 2 * PERIOD, 3 * PERIOD]
    assert [shot.stamp - 1000 for shot in shots] == [shot.due for shot in shots]


def test_the_first_frame_stands_still_on_both_sides() -> None:
    shots = played(clip(3), hold_before=1.0, hold_after=1.0, return_to_first=True)
    moving = [shot for shot in shots if SECOND <= shot.due < SECOND + 3 * PERIOD]
    assert numbers(moving) == [0, 1, 2]
    assert set(numbers(shot for shot in shots if shot not in moving)) == {0}
    assert (shots[0].due, shots[-1].due >= 2 * SECOND + 2 * PERIOD) == (0, True)
    assert all(0 < b.due - a.due <= PERIOD for a, b in pairwise(shots))
    assert all(b.stamp - a.stamp == b.due - a.due for a, b in pairwise(shots))
    assert shots[0].stamp > 0


def test_the_last_frame_stands_still_at_the_end() -> None:
    assert numbers(played(clip(3), hold_after=0.5)) == [0, 1, 2, *[2] * 10]


def test_clips_follow_each_other_after_a_silence() -> None:
    shots = played(clip(2), clip(2, begins=0), pause=0.7)
    assert [shot.source for shot in shots] == [0, 0, 1, 1]
    assert shots[2].due - shots[1].due == round(0.7 * SECOND)


def test_a_loop_goes_on_in_time() -> None:
    shots = played(clip(3), loop=True)
    assert numbers(shots) == [0, 1, 2] * 33 + [0]
    assert all(a.due < b.due for a, b in pairwise(shots))


def test_prefetching_changes_nothing() -> None:
    with read_ahead(arrange([clip(200)], Arrangement())) as shots:
        assert numbers(shots) == list(range(200))


def test_what_the_source_raises_reaches_the_reader() -> None:
    def broken() -> Iterator[SourceFrame]:
        yield SourceFrame(0, np.zeros((2, 2), np.uint8), Pixels.GREY)
        raise SourceError("the file is cut short")

    with read_ahead(arrange([lambda: nullcontext(broken())], Arrangement())) as shots:
        next(shots)
        with pytest.raises(SourceError, match="cut short"):
            next(shots)


@pytest.mark.parametrize("depth", [False, True])
def test_the_actor_drawn_ahead_is_the_actor(depth: bool) -> None:
    with playback.open_drawn_actor(depth=depth, seconds=0.1) as ahead:
        pairs = list(zip(playback.actor_frames(depth=depth, seconds=0.1), ahead, strict=True))
    assert len(pairs) == 3
    for one, other in pairs:
        assert (one.stamp, one.pixels, one.image.dtype) == (other.stamp, other.pixels, other.image.dtype)
        np.testing.assert_array_equal(one.image, other.image)


def test_leaving_early_ends_the_thread_even_while_it_waits_for_room() -> None:
    # The interpreter aborts when it ends while the thread is inside OpenCV.
    with read_ahead(arrange([clip(200)], Arrangement(loop=True))) as shots:
        next(shots)
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())


_LISTENER = """
import rclpy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("listener")
node.create_subscription(Image, "image", lambda m: print(m.header.stamp.sec, m.header.stamp.nanosec, flush=True), 10)
rclpy.spin(node)
"""


@pytest.mark.slow
def test_a_player_stays_until_its_last_image_has_arrived(ros: None, tmp_path: Path) -> None:
    for number in range(12):
        assert cv2.imwrite(str(tmp_path / f"{number:02}.png"), np.full((32, 32), number, np.uint8))
    log, space = tmp_path / "log", ["--ros-args", "-r", "__ns:=/lasting"]
    listener = subprocess.Popen([sys.executable, "-c", _LISTENER, *space], stdout=subprocess.PIPE, text=True)
    played = ["--folder-rate", "4", "--reliable", "--wait", "60", "--log", str(log)]
    command = [sys.executable, "-m", "fluxformer_ros.tools.player_node", str(tmp_path), *played, *space]
    player = subprocess.Popen(command)
    try:
        assert listener.stdout is not None
        seen = [listener.stdout.readline() for _ in range(8)]
        listener.send_signal(signal.SIGSTOP)  # as on a machine that is too busy to listen
        with pytest.raises(subprocess.TimeoutExpired):
            player.wait(4.0)
        listener.send_signal(signal.SIGCONT)
        assert player.wait(120.0) == 0
        seen += [listener.stdout.readline() for _ in range(4)]
        published = [json.loads(line)["stamp"] for line in log.read_text().splitlines()]
        assert [int(s) * SECOND + int(ns) for s, ns in (line.split() for line in seen)] == published
    finally:
        for process in (player, listener):
            process.kill()
            process.communicate()
