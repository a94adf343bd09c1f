"""Places behind people: the same in every process, no two alike, and the trainer's own among them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import texture, write_frames

from fluxformer_core.augment.backgrounds import PAINTED, ROOM, backgrounds, structure
from fluxformer_core.errors import ConfigError

SIZE = 32


def test_the_stock_is_painted_alike_every_time():
    stock = backgrounds(SIZE)
    side = round(ROOM * SIZE)
    assert (stock.shape, stock.dtype) == ((PAINTED, side, side, 4), np.uint8)
    backgrounds.cache_clear()
    assert np.array_equal(backgrounds(SIZE), stock)


def test_places_differ():
    stock = backgrounds(SIZE)[..., :3].astype(float)
    assert np.std(stock.mean(axis=(1, 2, 3))) > 20
    apart = np.abs(stock[:, None, ::4, ::4] - stock[None, :, ::4, ::4]).mean(axis=(2, 3, 4))
    assert apart[~np.eye(PAINTED, dtype=bool)].min() > 1


def test_motion_shows_on_structure_and_not_on_a_plain_wall():
    picture = np.full((64, 64), 0.5, np.float32)
    picture[:, 32:] = texture(64, 32) / 255
    sure = structure(picture)
    assert sure[:, 36:60].min() > 0.8
    assert sure[:, :24].max() < 0.01


def test_pictures_and_videos_join_without_who_moves_in_them(tmp_path: Path):
    folder = tmp_path / "places"
    (folder / "below").mkdir(parents=True)
    cv2.imwrite(str(folder / "below" / "wall.png"), np.full((50, 70, 3), (10, 20, 230), np.uint8))
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "broken.jpg").write_bytes(b"no picture")
    frames = np.full((60, 64, 64, 3), 200, np.uint8)
    for i, frame in enumerate(frames):
        frame[:, i : i + 8] = 20
    write_frames(folder / "passer.mp4", frames)
    stock = backgrounds(SIZE, (str(folder),))
    own = stock[PAINTED:, ..., :3].astype(int)
    assert len(own) >= PAINTED, "as often as the painted ones"
    assert any((abs(place - [230, 20, 10]) < 12).all() for place in own[:4])
    video = next(place for place in own[:4] if abs(place.mean() - 200) < 10)
    assert video.min() > 180, "nobody passes there"


def test_folders_without_pictures_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="no folder"):
        backgrounds(SIZE, (str(tmp_path / "missing"),))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ConfigError, match="can be read"):
        backgrounds(SIZE, (str(tmp_path),))
