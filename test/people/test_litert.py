import hashlib
import sys

import pytest

from fluxformer_core.errors import PeopleError
from fluxformer_core.people import litert
from fluxformer_core.people.litert import FOLDER, NETS, Net


def test_the_notice_tells_the_digest_of_each_net():
    notice = (FOLDER / "NOTICE").read_text()
    assert {path.stem for path in FOLDER.glob("*.tflite")} == set(NETS)
    assert all(f"{name}.tflite" in notice and digest in notice for name, digest in NETS.items())


def test_a_missing_net_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(litert, "FOLDER", tmp_path)
    with pytest.raises(PeopleError, match=r"^.*pose_detection\.tflite cannot be read .*install fluxformer again$"):
        Net("pose_detection")


@pytest.mark.parametrize("damage", [b"", b"TFL3 and rubbish"])
def test_a_damaged_net_is_said_in_one_line(monkeypatch, tmp_path, damage):
    monkeypatch.setattr(litert, "FOLDER", tmp_path)
    (tmp_path / "pose_landmark_lite.tflite").write_bytes(damage)
    with pytest.raises(PeopleError, match=r"^.*pose_landmark_lite\.tflite is damaged: install fluxformer again$"):
        Net("pose_landmark_lite")


def test_a_net_that_litert_refuses_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(litert, "FOLDER", tmp_path)
    monkeypatch.setitem(NETS, "pose_detection", hashlib.sha256(b"no net").hexdigest())
    (tmp_path / "pose_detection.tflite").write_bytes(b"no net")
    with pytest.raises(PeopleError, match=r"^LiteRT refuses pose_detection\.tflite: .+$"):
        Net("pose_detection")


def test_a_missing_litert_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(PeopleError, match=r"^LiteRT cannot be loaded \(.+\): pip install .*ai-edge-litert$"):
        Net("pose_detection")
