"""The table of labels: mirror labels, gaits, repeated and one-way actions; a user's table extends the package's."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluxformer_core.actor import ACTIONS, FLIPPED
from fluxformer_core.data.label_table import read_label_table
from fluxformer_core.errors import ConfigError


def test_labels_are_mirrored_word_by_word_and_those_without_a_mirror_label_are_unmirrorable():
    labels = ("swipe_left", "swipe_right", "wave", "Turning left", "push from left to right", "cleft")
    mirror_of, unmirrorable = read_label_table().mirrors(labels)
    assert mirror_of == {0: 1, 1: 0}
    assert unmirrorable == {3, 4}


def test_the_table_knows_the_actors_mirror_actions_gaits_and_repeated_actions():
    table = read_label_table()
    assert {label: table.mirror_label(label) for label in ACTIONS} == {a: FLIPPED.get(a, a) for a in ACTIONS}
    assert {label: table[label].gait for label in ACTIONS if table[label].gait} == {
        "walk": (0.4, 1.0), "jog": (1.1, 2.2),
    }  # fmt: skip
    assert {label for label in ACTIONS if table[label].repeated} == {"boxing", "clap", "jog", "walk", "wave"}


def test_a_users_table_adds_and_replaces_rows(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("label,mirror,gait,repeated\nlinks,rechts,,\nrechts,links,,\nwalking,,0.5:1.2,yes\nwave,,,no\n")
    table = read_label_table(path)
    assert table.mirror_label("wischen_links") == "wischen_rechts"
    assert table.mirror_label("swipe_left") == "swipe_right", "the package's rows stay"
    assert table["walking"].gait == (0.5, 1.2)
    assert table["walking"].repeated
    assert not table["wave"].repeated


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name\nwave\n", "must have the columns label, mirror"),
        ("label,gait\nwalk,fast\n", "line 2: gait must be LOW:HIGH in body heights per second, not 'fast'"),
        ("label,gait\nwalk,2:1\n", "gait must be LOW:HIGH"),
        ("label,repeated\nwave,often\n", "repeated must be yes, no or empty, not 'often'"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_label_table(path)
    with pytest.raises(ConfigError, match="cannot read the list"):
        read_label_table(tmp_path / "missing.csv")
