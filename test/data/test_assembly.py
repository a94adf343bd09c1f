"""What a user names becomes clips to train on and clips to check on, and none is both."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import small_spec

from fluxformer_core.data.assembly import build_stores
from fluxformer_core.errors import ConfigError


def test_unseen_performances_of_the_actor_can_be_checked_on(tmp_path: Path) -> None:
    labels = ("clap", "wave")
    (train,), check = build_stores([], labels, small_spec(), tmp_path, actor=2, check_actor=2)
    assert check is not None
    assert len(train) == len(check) == 2 * len(labels)
    assert not set(train.origins) & set(check.origins)
    _, none = build_stores([], labels, small_spec(), tmp_path, actor=1)
    assert none is None


@pytest.mark.parametrize(("modes", "depth"), [(("depth",), {True}), (("colour",), {False})])
def test_the_actor_is_seen_by_the_cameras_asked_for(tmp_path: Path, modes: tuple[str, ...], depth: set[bool]) -> None:
    (train,), check = build_stores([], ("clap",), small_spec(), tmp_path, actor=2, check_actor=2, actor_modes=modes)
    assert check is not None
    assert {store[i].depth for store in (train, check) for i in range(len(store))} == depth


def test_the_actor_must_know_a_label_to_be_checked_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="actor knows none"):
        build_stores([], ("juggle",), small_spec(), tmp_path, check_actor=1)
