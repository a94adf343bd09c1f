"""The explaining pictures: everything that was held and chosen can be seen, and there is one for each decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import EAGER, StandInFinder, area, frame_selection, rgb, small_bundle, texture
from PIL import Image

from fluxformer_core.errors import ConfigError
from fluxformer_core.people.person import FoundBy, Sighting
from fluxformer_core.render.explanation import Explanation, draw_explanation
from fluxformer_core.render.explanation_writer import ExplanationWriter
from fluxformer_core.stream.config import DecisionConfig, RecognizerConfig
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, ActionScore, EventKind, Recognition, State

NOW = 10 * SECOND
NEVER = RecognizerConfig(decision=DecisionConfig(start_score=1.0))
FIRST_CLUSTER, CUT, MAGENTA = (96, 165, 250), (248, 113, 113), (230, 20, 220)


def explanation(n: int = 40, count: int = 8, *, cuts: tuple[int, ...] = (), seen: int = 5) -> Explanation:
    """Magenta frames, of which those from `seen` on were looked at."""
    clip = frame_selection(count, n, MAGENTA, cuts=cuts, seen=seen)
    recognition = Recognition(NOW, 0, NOW, State.ACTION, "wave", 0.75, (ActionScore("wave", 0.75),), 0.25, 0.4, n)
    return Explanation(recognition, clip, np.full((n, 20, 20, 3), MAGENTA, np.uint8), np.zeros(n, np.float32))


def test_every_frame_is_shown_and_unused_frames_are_dimmed() -> None:
    picture = draw_explanation(explanation(n=40, seen=10), name="", scale=1.0)
    bright = area(picture, MAGENTA)
    dimmed = area(picture, tuple(round(0.4 * c + 0.6 * b) for c, b in zip(MAGENTA, (17, 19, 24), strict=True)))
    tile = 71.25**2
    assert dimmed == pytest.approx(10 * tile, rel=0.05)
    assert bright == pytest.approx(30 * tile + 8 * 96**2, rel=0.1)  # the window's frames, and the clip's; less badges


def test_a_scene_cut_is_marked() -> None:
    assert area(draw_explanation(explanation(), name=""), CUT) == 0
    assert area(draw_explanation(explanation(cuts=(20,)), name=""), CUT) > 100


@pytest.mark.parametrize(("n", "count"), [(1, 1), (3, 4), (16, 16), (64, 16), (300, 32)])
def test_any_window_and_clip_can_be_drawn(n: int, count: int) -> None:
    picture = draw_explanation(explanation(n, count, seen=0), name="a name that is rather long " * 8)
    assert picture.dtype == np.uint8
    assert picture.shape[1] == pytest.approx(1550, abs=2)
    assert area(picture, FIRST_CLUSTER) > 50


def explained(
    images: list[np.ndarray], config: RecognizerConfig, folder: Path, *, keep: int = 500
) -> tuple[list[str], list[str]]:
    """The kinds of the events of a stream, and the names of the pictures."""
    recognizer, writer = Recognizer(small_bundle(), config), ExplanationWriter(folder, keep)
    kinds: list[str] = []
    for i, image in enumerate(images):
        update = recognizer.push(image, i * SECOND // 20)
        kinds += [event.kind.name.lower() for event in update.events]
        writer.update(update, i * SECOND // 20, recognizer)
    writer.close(recognizer.close())
    return kinds, sorted(path.name for path in folder.iterdir())


def test_each_start_and_each_end_has_its_picture(acting, tmp_path: Path) -> None:
    kinds, files = explained(acting, EAGER, tmp_path / "new" / "folder")
    assert (kinds[0], kinds[-1]) == ("started", "ended")
    numbers, seconds, named = zip(*(name.split("_")[:3] for name in files), strict=True)
    assert list(named) == kinds
    assert list(numbers) == [f"{i:04d}" for i in range(1, len(files) + 1)]
    times = [float(second.removesuffix("s")) for second in seconds]
    assert times == sorted(times)
    assert 1.0 < times[0] < 2.0
    assert np.asarray(Image.open(tmp_path / "new" / "folder" / files[-1])).shape[2] == 3


def test_a_retraction_has_a_picture_of_the_clip_that_caused_it(acting, tmp_path: Path) -> None:
    recognizer, writer = Recognizer(small_bundle(), EAGER), ExplanationWriter(tmp_path)
    seen = None
    for i, image in enumerate(acting[:52]):
        update, now = recognizer.push(image, i * SECOND // 20), i * SECOND // 20
        event, before, seen = recognizer.scene.open_event, seen, recognizer.scene.last_clip
        if event and not update.events and seen is not before:
            retracted = replace(event, kind=EventKind.RETRACTED, stamp=now, end=now)
            writer.update(replace(update, events=(retracted,)), now, recognizer)
            break
        writer.update(update, now, recognizer)
    writer.close(())
    started, taken = sorted(path.name for path in tmp_path.iterdir())
    assert "_started_" in started
    assert taken == f"0002_{now / SECOND:.2f}s_retracted_{event.label}_1.png"


def test_an_unsure_action_that_ends_has_a_picture_of_its_last_clip(acting, tmp_path: Path) -> None:
    kinds, files = explained(acting, replace(EAGER, decision=replace(EAGER.decision, sure_score=1.0)), tmp_path)
    assert kinds[-1] == "retracted"
    assert "_retracted_" in files[-1]
    assert not any("unknown" in name or "ended" in name for name in files)


def test_motion_without_a_recognised_action_has_a_picture(acting, tmp_path: Path) -> None:
    kinds, (name,) = explained(acting, NEVER, tmp_path)
    assert kinds == []
    assert name.endswith("_unknown.png")


def test_a_still_scene_has_no_picture(tmp_path: Path) -> None:
    assert explained([rgb(texture(32, 32))] * 40, EAGER, tmp_path) == ([], [])


def test_a_stream_that_breaks_off_has_the_picture_of_its_last_clip(acting, tmp_path: Path) -> None:
    _, files = explained(acting[10:50], replace(NEVER, recognition_rate=20.0), tmp_path)
    assert files == ["0001_1.95s_unknown.png"]


def test_each_persons_actions_have_their_pictures(acting, tmp_path: Path) -> None:
    finder = StandInFinder(*(Sighting((left, 10.0, left + 60.0, 120.0), FoundBy.POSE) for left in (30.0, 160.0)))
    recognizer = Recognizer(small_bundle(), replace(EAGER, view="person"), finder=finder)
    writer, still = ExplanationWriter(tmp_path), acting[0]
    events = []
    # One person acts, then the other; then the other acts again and leaves.
    pairs = [(image, still) for image in acting] + [(still, image) for image in acting + acting[:45]]
    for i, pair in enumerate(pairs):
        update = recognizer.push(np.hstack(pair), i * SECOND // 20)
        events += update.events
        writer.update(update, i * SECOND // 20, recognizer)
    finder.people.pop()
    for i in range(len(pairs), len(pairs) + 30):
        update = recognizer.push(np.hstack([still, still]), i * SECOND // 20)
        events += update.events
        writer.update(update, i * SECOND // 20, recognizer)
    assert {event.person_id for event in events} == {"1", "2"}
    expected = [f"{event.kind.name.lower()}_{event.label}_{event.instance}" for event in events]
    assert [path.stem.split("s_", 1)[1] for path in sorted(tmp_path.iterdir())] == expected


def test_the_oldest_pictures_are_removed(acting, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"of somebody else")
    kinds, (newest, other) = explained(acting, EAGER, tmp_path, keep=1)
    assert len(kinds) >= 2
    assert newest.startswith(f"{len(kinds):04d}")
    assert other == "mine.png"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file cannot be written"):
        ExplanationWriter(tmp_path / "file")
