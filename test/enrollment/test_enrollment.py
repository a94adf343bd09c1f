"""Teaching by examples: what is accepted, what is refused and why, and what a taught action does to the others."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import EAGER, LABELS, actor_images, push_images, small_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import EnrolledAction, Statistics
from fluxformer_core.enrollment.enrolled_file import default_enrolled_file, load_enrolled, save_enrolled
from fluxformer_core.enrollment.examples import Example, describe
from fluxformer_core.enrollment.live_examples import ExampleCapture
from fluxformer_core.enrollment.teaching import MAX_SIMILARITY, refuse_name, teach
from fluxformer_core.errors import BundleError, ConfigError
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.taught import KnownActions, TaughtActions, unit
from fluxformer_core.types import SECOND, EventKind, Update

WIDTH = 32  # of the small model's embedding
FAR = 10.0


def known_bundle(*, window: int = 64, **changes: object) -> Bundle:
    """The three labels lie at equal distances from the embeddings' middle, in the first three axes."""
    means = np.zeros((len(LABELS), WIDTH), np.float32)
    means[range(len(LABELS)), range(len(LABELS))] = FAR
    values = {"statistics": Statistics(means, np.eye(WIDTH, dtype=np.float32))}
    return replace(small_bundle(window=window), **(values | changes))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return known_bundle()


@pytest.fixture(scope="module")
def known(bundle: Bundle) -> KnownActions:
    return KnownActions(bundle)


def embedding(direction: np.ndarray, *, error: float = 0.0, seed: int = 0) -> np.ndarray:
    """An embedding in a direction from the known ones' middle, but for an error of this relative size."""
    middle = np.array([FAR / 3] * 3 + [0] * (WIDTH - 3))
    noise = np.random.default_rng(seed).standard_normal(WIDTH)
    return (middle + FAR * unit(unit(direction) + error * unit(noise))).astype(np.float32)


def example(direction: np.ndarray, *, error: float = 0.0, seed: int = 0) -> Example:
    views = [embedding(direction, error=error, seed=seed + i) for i in range(2)]
    return Example(np.stack(views), np.zeros((2, len(LABELS)), np.float32))


def axis(number: int) -> np.ndarray:
    return np.eye(WIDTH, dtype=np.float32)[number]


def five(direction: np.ndarray, error: float = 0.3) -> list[Example]:
    return [example(direction, error=error, seed=10 * i) for i in range(5)]


def action(label: str = "hail", direction: int = 5, **changes: object) -> EnrolledAction:
    values = {"threshold": 0.5, "examples": 3, "consistency": 0.75}
    return EnrolledAction(label, axis(direction), **(values | changes))


def test_examples_that_agree_become_an_action(known: KnownActions) -> None:
    result = teach("hail", five(axis(7)), known)
    assert (result.refusal, result.action.label, result.action.examples) == ("", "hail", 5)
    assert result.action.problems(WIDTH) == []
    prototype = result.action.prototype
    assert prototype @ axis(7) > 0.95
    itself, nearest = (known.evidence(x, prototype[None]).max() for x in (prototype, known.directions))
    assert nearest < result.action.threshold < itself
    assert result.similar[0][1] == pytest.approx(max(known.directions @ prototype))
    alone = teach("hail", [example(axis(7))], known)
    assert alone.action is not None, "one example is enough"
    assert alone.consistency == 1.0


@pytest.mark.parametrize(
    ("directions", "reason"),
    [
        ([], "0 examples"),
        ([axis(7)] * 11, "11 examples"),
        ([axis(7), -axis(7), axis(7)], "do not show the same action.*number 2 least of all"),
    ],
)
def test_too_many_examples_and_examples_of_several_actions_are_refused(known: KnownActions, directions, reason) -> None:
    result = teach("hail", [example(direction) for direction in directions], known)
    assert result.action is None
    assert re.search(reason, result.refusal)


def test_what_looks_like_a_known_action_is_refused_unless_that_is_wanted(known: KnownActions) -> None:
    shown = five(known.directions[1], error=0.1)
    result = teach("hail", shown, known)
    assert result.action is None
    assert f"look like {LABELS[1]}" in result.refusal
    assert result.similar[0][0] == LABELS[1]
    assert result.similar[0][1] > MAX_SIMILARITY
    assert teach("hail", shown, known, even_if_similar=True).action is not None


def test_what_looks_like_a_taught_action_is_refused(known: KnownActions) -> None:
    first = teach("hail", five(axis(7)), known).action
    assert first is not None
    assert "look like hail" in teach("greet", five(axis(7)), known, [first]).refusal
    assert teach("greet", five(axis(8)), known, [first]).action is not None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, "lower-case") for name in ("Thumbs up", "", "_up", "up\n", "u" * 65)),
        ("other", "reserved"),
        ("clap", "learnt in training"),
        ("hail", "enrolled already"),
    ],
)
def test_an_invalid_or_taken_name_is_refused(name: str, reason: str) -> None:
    assert reason in refuse_name(name, LABELS, [action()])
    assert refuse_name("thumbs_up", LABELS, [action()]) == ""


def test_a_taught_action_is_as_likely_as_all_others_on_its_border(known: KnownActions) -> None:
    clip = embedding(0.8 * axis(5) + 0.6 * axis(9))
    evidence = float(known.evidence(known.place(clip), axis(5)[None])[0])
    logits = np.array([3.0, 1.0, -2.0], np.float32)
    extended = TaughtActions([action(threshold=evidence)], known).extend(logits, clip)
    assert torch.from_numpy(extended).softmax(0)[3] == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_array_equal(extended[:3], logits)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_the_nearer_a_clip_lies_to_known_actions_the_less_it_shows_the_taught_one(seed: int) -> None:
    known = KnownActions(known_bundle())
    start = unit(np.random.default_rng(seed).standard_normal(WIDTH))
    logits = np.zeros(3, np.float32)
    taught = TaughtActions([action()], known)
    way = [embedding((1 - share) * start + share * known.directions[0]) for share in np.linspace(0, 1, 7)]
    scores = taught.extend(np.stack([logits] * 7), np.stack(way))[:, 3]
    there = start @ known.directions[0] < np.sqrt(0.5) and start @ axis(5) > 0
    assert not there or scores[-1] < scores[0]
    assert scores.dtype == np.float32


def test_directions_in_which_known_actions_spread_count_less() -> None:
    spread = np.eye(WIDTH, dtype=np.float32)
    spread[4, 4] = 100.0
    means = known_bundle().statistics.means
    wide = KnownActions(known_bundle(statistics=Statistics(means, spread)))
    here, there = wide.place(embedding(axis(5) + axis(4))), wide.place(embedding(axis(5)))
    even = KnownActions(known_bundle())
    assert here @ there > even.place(embedding(axis(5) + axis(4))) @ even.place(embedding(axis(5))) + 0.2


def test_several_clips_at_once_are_as_one_by_one(known: KnownActions) -> None:
    taught = TaughtActions([action(), action("greet", 6)], known)
    embeddings = np.stack([embedding(axis(i)) for i in range(4)])
    logits = np.arange(12, dtype=np.float32).reshape(4, 3)
    singly = [taught.extend(logit, one) for logit, one in zip(logits, embeddings, strict=True)]
    np.testing.assert_allclose(taught.extend(logits, embeddings), singly, rtol=1e-5)


def test_taught_actions_are_saved_and_loaded(tmp_path: Path) -> None:
    saved = known_bundle(enrolled=(action(), action("greet", 6, threshold=0.25))).save(tmp_path / "taught.safetensors")
    loaded = Bundle.load(tmp_path / "taught.safetensors")
    assert (loaded.digest, loaded.labels) == (saved.digest, LABELS)
    found = [(a.label, a.threshold, a.examples, a.consistency) for a in loaded.enrolled]
    assert found == [("hail", 0.5, 3, 0.75), ("greet", 0.25, 3, 0.75)]
    np.testing.assert_array_equal(loaded.enrolled[1].prototype, axis(6))
    for name in ("means", "spread"):
        expected = getattr(known_bundle().statistics, name)
        np.testing.assert_allclose(getattr(loaded.statistics, name), expected, rtol=1e-3)
    assert loaded.weights.keys() == small_bundle().weights.keys()
    assert loaded.save(tmp_path / "again.safetensors").digest == saved.digest
    plain = small_bundle().save(tmp_path / "plain.safetensors")
    assert (plain.metadata.format, plain.statistics, plain.enrolled) == (1, None, ())
    assert known_bundle().save(tmp_path / "more.safetensors").metadata.format == 2, "it needs a newer reader"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"enrolled": (action("clap"),)}, "the model's own: clap"),
        ({"enrolled": (action(), action())}, "distinct"),
        ({"enrolled": (action("Hail"),)}, "no name"),
        ({"enrolled": (action(threshold=1e3),)}, "threshold outside"),
        ({"enrolled": (action(threshold=float("nan")),)}, "threshold"),
        ({"enrolled": (action(examples=0),)}, "0 examples"),
        ({"enrolled": (replace(action(), prototype=np.ones(WIDTH, np.float32)),)}, "not of length 1"),
        ({"enrolled": (replace(action(), prototype=axis(0)[:8]),)}, "shape"),
        ({"enrolled": (action(),), "statistics": None}, "need statistics"),
        ({"statistics": Statistics(np.zeros((2, WIDTH), np.float32), np.eye(WIDTH, dtype=np.float32))}, "the means of"),
        ({"statistics": Statistics(np.full((3, WIDTH), np.nan, np.float32), np.eye(WIDTH))}, "the means of"),
        ({"statistics": Statistics(np.zeros((3, WIDTH), np.float32), np.eye(WIDTH)[:3])}, "the spread of"),
        ({"statistics": Statistics(np.zeros((3, WIDTH), np.float32), np.zeros((WIDTH, WIDTH)))}, "must be positive"),
    ],
)
def test_a_bundle_whose_taught_actions_make_no_sense_is_refused(tmp_path: Path, changes, reason: str) -> None:
    with pytest.raises(BundleError, match=reason) as caught:
        replace(known_bundle(), **changes).save(tmp_path / "bad.safetensors")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_users_file_keeps_the_actions_of_every_model_apart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "enrolled.json"
    one, two = known_bundle(digest="aaaa"), known_bundle(digest="bbbb")
    assert load_enrolled(path, one) == ()
    save_enrolled(path, one, [action()])
    save_enrolled(path, two, [action("greet", 6)])
    (hail,), (greet,) = load_enrolled(path, one), load_enrolled(path, two)
    assert (hail.label, hail.threshold, hail.examples, hail.consistency) == ("hail", 0.5, 3, 0.75)
    np.testing.assert_array_equal(greet.prototype, axis(6))
    save_enrolled(path, one, [])
    assert load_enrolled(path, one) == ()
    assert len(load_enrolled(path, two)) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["enrolled.json"]
    assert json.loads(path.read_text())["models"].keys() == {"bbbb"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": 2, "models": {}}', '{"format": 1, "models": {"aaaa": [{"label": "hail"}]}}', "\xff"],
)
def test_a_damaged_users_file_is_named_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "enrolled.json"
    path.write_text(text, encoding="latin-1")
    before = path.read_bytes()
    for attempt in (lambda: load_enrolled(path, known_bundle()), lambda: save_enrolled(path, known_bundle(), [])):
        with pytest.raises(ConfigError, match=r"enrolled\.json.*repair the file") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_users_file_that_does_not_fit_the_model_or_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "enrolled.json"
    save_enrolled(path, known_bundle(digest="aaaa"), [action("greet"), action()])
    narrow = replace(action(), prototype=axis(0)[:8])
    with pytest.raises(ConfigError, match="distinct"):
        load_enrolled(path, known_bundle(digest="aaaa", enrolled=(action(),)))
    save_enrolled(path, known_bundle(digest="aaaa"), [narrow])
    with pytest.raises(ConfigError, match="shape"):
        load_enrolled(path, known_bundle(digest="aaaa"))
    with pytest.raises(ConfigError, match=r"taught actions in .*enrolled\.json/below\.json"):
        save_enrolled(path / "below.json", known_bundle(), [action()])


def test_the_users_file_is_in_the_folder_of_ros_or_of_the_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {"ROS_HOME": "/ros", "XDG_CONFIG_HOME": "/xdg", "HOME": "/home/me"}
    for name, folder in folders.items():
        monkeypatch.setenv(name, folder)
    for name, folder in zip(folders, ("/ros", "/xdg", "/home/me/.config"), strict=True):
        assert default_enrolled_file() == Path(folder) / "fluxformer/enrolled.json"
        monkeypatch.delenv(name)


def labels_of(updates: list[Update]) -> set[str]:
    """The labels that have scores; each recognition that looked at a clip has as many."""
    looked = [update.recognition for update in updates if update.recognition and update.recognition.scores]
    labels = [{score.label for score in recognition.scores} for recognition in looked]
    assert all(found == labels[0] for found in labels)
    return labels[0]


def test_a_recogniser_names_what_it_was_taught_and_forgets_it(bundle: Bundle) -> None:
    recognizer = Recognizer(bundle, EAGER)
    images = actor_images((1.0, 1.8))
    assert recognizer.model.labels == LABELS
    # Whatever the untrained model makes of the movement, this is its direction, and the known actions lie elsewhere.
    capture, shown = ExampleCapture(), []
    for i, image in enumerate(images):
        recognizer.push(image, i * SECOND // 20)
        shown.append(capture.update(recognizer).example)
    examples = [describe(recognizer, window) for window in shown if window is not None]
    result = teach("hail", examples, KnownActions(bundle))
    assert result.action is not None
    recognizer.enroll([result.action])
    assert (recognizer.model.labels, recognizer.model.enrolled) == ((*LABELS, "hail"), (result.action,))
    updates = push_images(recognizer, images, start=100 * SECOND)
    assert labels_of(updates) == {*LABELS, "hail"}
    started = {event.label for update in updates for event in update.events if event.kind is EventKind.STARTED}
    assert "hail" in started
    recognizer.enroll([])
    assert recognizer.model.labels == LABELS
    assert labels_of(push_images(recognizer, images, start=200 * SECOND)) == set(LABELS)


def test_learning_ends_the_action_that_is_under_way(bundle: Bundle) -> None:
    recognizer = Recognizer(bundle, EAGER)
    push_images(recognizer, actor_images((0.5, 4.0))[:60])
    assert recognizer.scene.open_event is not None
    (event,) = recognizer.enroll([action()])
    assert event.kind is EventKind.ENDED
    assert recognizer.scene.open_event is None


def test_a_bundle_brings_its_taught_actions_along(bundle: Bundle) -> None:
    recognizer = Recognizer(replace(bundle, enrolled=(action(),)))
    assert recognizer.model.labels == (*LABELS, "hail")
    assert labels_of(push_images(recognizer, actor_images((0.5, 1.5)))) == {*LABELS, "hail"}
