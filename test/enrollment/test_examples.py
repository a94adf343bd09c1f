"""Examples of an action: read from files or captured from motion segments, and thinned to clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import StandInFinder, actor_images, small_bundle, texture, window_of, write_frames

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrollment.examples import THINNINGS, Thinning, read_example, thin
from fluxformer_core.enrollment.live_examples import MIN_MOTION, CaptureStatus, ExampleCapture
from fluxformer_core.errors import SourceError
from fluxformer_core.people.person import FoundBy, Sighting
from fluxformer_core.stream.buffer import Window
from fluxformer_core.stream.config import DecisionConfig, MotionConfig, RecognizerConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.stream.stream import LEAD
from fluxformer_core.types import SECOND


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return small_bundle(window=64)


def sliding(count: int = 30) -> Window:
    return window_of([np.roll(texture(32, 32), 2 * i, axis=1) for i in range(count)])


def test_the_first_thinning_is_the_clip_that_the_stream_would_show() -> None:
    seen = sliding()
    frames, flow = thin(seen, THINNINGS[0], 4, SELECTORS["flow_guided"])
    chosen = SELECTORS["flow_guided"](seen, 4).indices
    np.testing.assert_array_equal(frames, seen.frames[chosen])
    np.testing.assert_array_equal(flow, seen.flow[chosen])


@pytest.mark.parametrize("thinning", THINNINGS)
@pytest.mark.parametrize("count", [1, 4, 5, 30])
def test_every_thinning_gives_a_whole_clip_of_any_example(thinning: Thinning, count: int) -> None:
    frames, flow = thin(sliding(count), thinning, 4, SELECTORS["flow_guided"])
    assert (frames.shape, frames.dtype, flow.shape) == ((4, 32, 32, 3), np.uint8, (4, 32, 32, 2))


def test_a_file_is_an_example_and_one_without_motion_is_none(tmp_path: Path, bundle: Bundle) -> None:
    images, flow = actor_images((0.5, 1.5)), Recognizer(bundle).model.flow
    wave, still = write_frames(tmp_path / "wave.mp4", images), write_frames(tmp_path / "still.mp4", images[:1] * 40)
    assert len(read_example(str(wave), bundle.spec, flow)) == len(images)
    with pytest.raises(SourceError, match=r"still\.mp4 shows no motion"):
        read_example(str(still), bundle.spec, flow)


def statuses(recognizer: Recognizer, images: list[np.ndarray], start: int = 0) -> list[CaptureStatus]:
    capture, seen = ExampleCapture(), []
    for i, image in enumerate(images, start):
        recognizer.push(image, i * SECOND // 20)
        seen.append(capture.update(recognizer))
    return seen


def test_each_motion_segment_is_captured_once_with_its_surroundings(bundle: Bundle) -> None:
    recognizer = Recognizer(bundle)
    seen = statuses(recognizer, actor_images((1.0, 2.0), (3.5, 4.5)))
    caught = [status.example for status in seen if status.example is not None]
    assert len(caught) == 2
    for window, start in zip(caught, (1.0, 3.5), strict=True):
        assert window.stamps[0] / SECOND == pytest.approx(start - LEAD, abs=0.2)
        assert window.stamps[-1] / SECOND == pytest.approx(start + 1.0 + LEAD, abs=0.25)
        assert not np.shares_memory(window.frames, recognizer.scene.window.frames)
    moving = [i / 20 for i, status in enumerate(seen) if status.moving]
    assert min(moving) == pytest.approx(1.0, abs=0.5)
    assert all(status.motion >= 0 and not status.hint for status in seen)


def test_motion_that_was_under_way_is_no_example(bundle: Bundle) -> None:
    recognizer, images = Recognizer(bundle), actor_images((1.0, 2.0))
    statuses(recognizer, images[:30])
    assert recognizer.scene.segment is not None
    rest = statuses(recognizer, images[30:], start=30)
    assert not any(status.example is not None or status.moving for status in rest)


def test_motion_that_is_too_short_or_too_long_is_no_example_and_says_so(bundle: Bundle) -> None:
    calm = RecognizerConfig(decision=DecisionConfig(motion=MotionConfig(still_time=0.2)))
    narrow = Recognizer(small_bundle(window=24), calm)
    (hint,) = [s.hint for s in statuses(narrow, actor_images((1.0, 3.0))) if s.hint]
    assert "more than the model sees at once" in hint
    images = actor_images((1.0, 2.0))
    blink = images[:20] + images[26:29] + [images[19]] * 50
    (hint,) = [s.hint for s in statuses(Recognizer(bundle, calm), blink) if s.hint]
    assert "too short" in hint
    assert MIN_MOTION > 3 / 20


LEFT, RIGHT = (Sighting((left, 8.0, left + 45.0, 90.0), FoundBy.POSE) for left in (25.0, 121.0))


def watched(bundle: Bundle, *people: Sighting) -> tuple[Recognizer, StandInFinder]:
    finder = StandInFinder(*people)
    return Recognizer(bundle, RecognizerConfig(view="person"), finder=finder), finder


def beside(left: list[np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
    return [np.hstack(pair) for pair in zip(left, right, strict=True)]


def captured(recognizer: Recognizer, capture: ExampleCapture, images: list[np.ndarray], start: int) -> list[float]:
    """The seconds at which examples end."""
    ends = []
    for i, image in enumerate(images, start):
        recognizer.push(image, i * SECOND // 20)
        if (example := capture.update(recognizer).example) is not None:
            ends.append(example.stamps[-1] / SECOND)
    return ends


@pytest.mark.parametrize(("person", "end"), [("1", 2.0), ("2", 4.0), ("", 4.0)])
def test_a_capture_keeps_to_one_person_by_default_the_nearest(bundle: Bundle, person: str, end: float) -> None:
    near = replace(RIGHT, distance=1.5)
    recognizer, _ = watched(bundle, replace(LEFT, distance=3.0), near)
    first, second = actor_images((1.0, 2.0), still=4.0), actor_images((3.0, 4.0), still=2.0)
    images = beside(first, second)
    for i, image in enumerate(images[:10]):
        recognizer.push(image, i * SECOND // 20)
    ends = captured(recognizer, ExampleCapture(person), images[10:], 10)
    assert ends == [pytest.approx(end + LEAD, abs=0.3)]


def test_who_is_not_there_is_missed_once_and_may_come_back(bundle: Bundle) -> None:
    recognizer, finder = watched(bundle)
    capture, images = ExampleCapture(), actor_images((0.0, 0.8), (2.5, 3.5), still=2.0)
    hints = []
    for i, image in enumerate([images[-1]] * 10 + images + [images[-1]] * 40):
        # A person walks in, performs, and leaves.
        finder.people = [LEFT] if 10 <= i < 10 + len(images) else []
        recognizer.push(np.hstack([image, image]), i * SECOND // 20)
        status = capture.update(recognizer)
        hints += [status.hint or "example"] if status.hint or status.example is not None else []
    nobody, example, left = hints
    assert ("nobody is in view" in nobody, example) == (True, "example")
    assert "person 1 has left the view" in left
