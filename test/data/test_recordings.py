"""Data in all its forms: class folders, lists, public data sets' lists, actions in bags, and names made to fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import small_spec

from fluxformer_core.actor import ACTIONS, FLIPPED
from fluxformer_core.data.assembly import RecordingFilter, build_stores, read_sources
from fluxformer_core.data.label_mapping import LabelMap
from fluxformer_core.data.label_table import read_label_table
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import Recording, read_index
from fluxformer_core.errors import ConfigError
from fluxformer_core.types import SECOND


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_class_folders(tmp_path):
    touch(tmp_path / "wave/2.avi", tmp_path / "wave/1.mp4", tmp_path / "wave/notes.txt", tmp_path / "wave/.hidden.mp4")
    touch(tmp_path / "clap/bag/metadata.yaml", tmp_path / "readme.md")
    assert read_data(tmp_path) == [
        Recording(str(tmp_path / "clap/bag"), "clap"),
        Recording(str(tmp_path / "wave/1.mp4"), "wave"),
        Recording(str(tmp_path / "wave/2.avi"), "wave"),
    ]


def test_class_folders_below_splits(tmp_path):
    touch(tmp_path / "train/wave/1.mp4", tmp_path / "validation/wave/2.mp4", tmp_path / "test/clap/3.mp4")
    assert [(r.label, r.split) for r in read_data(tmp_path)] == [("clap", "test"), ("wave", "train"), ("wave", "val")]


@pytest.mark.parametrize("file", [None, "clip.mp4", "wave/notes.txt", "metadata.yaml"])
def test_folders_without_clips_are_refused(tmp_path, file):
    if file:
        touch(tmp_path / file)
    with pytest.raises(ConfigError, match=r"no folders named by label|is a bag"):
        read_data(tmp_path)


def test_a_list_of_clips(tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("path,label,subject,split,pixels\na/1.mp4,wave,s1,train,depth\n2.mp4,clap,,,\n\n")
    assert read_data(index) == [
        Recording(str(tmp_path / "a/1.mp4"), "wave", "s1", "train", "depth"),
        Recording(str(tmp_path / "2.mp4"), "clap"),
    ]
    assert [r.path for r in read_data(index, media="small")] == [str(tmp_path / f"small/{i}.mp4") for i in (1, 2)]
    index.write_text("\ufefflabel,path\nwave,1.mp4\n", encoding="utf-8")
    assert read_index(index) == [Recording(str(tmp_path / "1.mp4"), "wave")]


def test_actions_in_bags(tmp_path):
    actions = tmp_path / "actions.csv"
    actions.write_text(
        "bag,topic,label,start,end\n"
        "monday,/camera/image,wave,1.5,3\n"
        "monday,,clap,1700000000.25,1700000001500000000\n"
        "tuesday,,wave,,\n"
    )
    assert read_data(actions) == [
        Recording(str(tmp_path / "monday"), "wave", topic="/camera/image", start=SECOND * 3 // 2, end=3 * SECOND),
        Recording(str(tmp_path / "monday"), "clap", start=1_700_000_000_250_000_000, end=1_700_000_001_500_000_000),
        Recording(str(tmp_path / "tuesday"), "wave"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"path,label\n", b"path,subject\na,b\n", b"path,label\n\xff\xfe,x\n", b"path,label\na.mp4,\n",
        b"path,label,pixels\na.mp4,wave,infrared\n", b"path,label,start,end\na.mp4,wave,3,2\n",
        *(b"path,label,start\na.mp4,wave,%s\n" % start for start in (b"soon", b"inf", b"nan")),
    ],
)  # fmt: skip
def test_a_list_that_is_none_is_refused(tmp_path, content):
    index = tmp_path / "index.csv"
    index.write_bytes(content)
    with pytest.raises(ConfigError, match=r"index\.csv"):
        read_data(index)


def test_everything_wrong_is_told_at_once(tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("path,label,end\na.mp4,,1\nb.mp4,wave,late\n")
    with pytest.raises(ConfigError, match=r"line 2: path and label must not be empty; line 3: end must be"):
        read_data(index)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_data(tmp_path / "nothing")


@pytest.mark.parametrize(("name", "split"), [("train.txt", "train"), ("kinetics_val_list.csv", "val"), ("all.txt", "")])
def test_kinetics_pairs(tmp_path, name, split):
    path = tmp_path / name
    separator = "," if name.endswith("csv") else " "
    path.write_text(f"abseiling/k 1.mp4{separator}0\nzumba/2.mp4{separator}399\n")
    assert read_data(path) == [
        Recording(str(tmp_path / "abseiling/k 1.mp4"), "0", split=split),
        Recording(str(tmp_path / "zumba/2.mp4"), "399", split=split),
    ]
    path.write_text(f"{path.read_text()}alone\n")
    with pytest.raises(ConfigError, match="line 3"):
        read_data(path)


def test_kinetics_csv(tmp_path):
    path = tmp_path / "kinetics700_2020.csv"
    path.write_text(
        "label,youtube_id,time_start,time_end,split\n"
        "air drumming,-0abc,15,25,train\nair drumming,1def,0,10,validate\nzumba,2,3,13,test\n"
    )
    touch(tmp_path / "clips/air drumming/-0abc_000015_000025.mp4", tmp_path / "clips/1def_000000_000010.webm")
    assert read_data(path, media="clips") == [
        Recording(str(tmp_path / "clips/air drumming/-0abc_000015_000025.mp4"), "air drumming", split="train"),
        Recording(str(tmp_path / "clips/1def_000000_000010.webm"), "air drumming", split="val"),
        Recording(str(tmp_path / "clips/zumba/2_000003_000013.mp4"), "zumba", split="test"),
    ]


def test_something_something(tmp_path):
    path = tmp_path / "something-something-v2-validation.json"
    entry = {"id": "74225", "label": "spinning cube", "template": "Spinning [something]", "placeholders": ["cube"]}
    path.write_text(json.dumps([entry, {"id": 2, "label": "Pushing [something] from left to right"}]))
    touch(tmp_path / "videos/74225.webm")
    assert read_data(path, media="videos") == [
        Recording(str(tmp_path / "videos/74225.webm"), "Spinning something", split="val"),
        Recording(str(tmp_path / "videos/2.mp4"), "Pushing something from left to right", split="val"),
    ]
    for wrong in ("{}", "[1]", "[{}]", "no json", '[{"id": 1}]'):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match="something-something"):
            read_data(path)


def test_hmdb(tmp_path):
    splits = tmp_path / "splits"
    splits.mkdir()
    (splits / "brush_hair_test_split1.txt").write_text("a b.avi 1 \nc.avi 2\nd.avi 0\n")
    (splits / "wave_test_split1.txt").write_text("e.avi 1\n")
    (splits / "wave_test_split2.txt").write_text("e.avi 2\n")
    videos = tmp_path / "videos"
    assert read_data(splits, media="../videos") == [
        Recording(str(splits / "../videos" / "brush_hair/a b.avi"), "brush_hair", split="train"),
        Recording(str(splits / "../videos" / "brush_hair/c.avi"), "brush_hair", split="test"),
        Recording(str(splits / "../videos" / "wave/e.avi"), "wave", split="train"),
    ]
    second = read_data(splits / "wave_test_split2.txt", media=str(videos))
    assert second == [Recording(str(videos / "wave/e.avi"), "wave", split="test")]
    (splits / "wave_test_split1.txt").write_text("e.avi 7\n")
    with pytest.raises(ConfigError, match="0, 1 or 2"):
        read_data(splits)


def recordings(*labels: str) -> list[Recording]:
    return [Recording(f"{i}.mp4", label) for i, label in enumerate(labels)]


def test_labels_are_renamed_folded_and_dropped(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("name,label\nhand_wave,wave\n# a remark\njump,\nrun,jog\n")
    renamed = LabelMap.read(path).apply(recordings("hand_wave", "jump", "run", "clap"))
    assert [(r.path, r.label) for r in renamed] == [("0.mp4", "wave"), ("2.mp4", "jog"), ("3.mp4", "clap")]
    path.write_text("hand_wave,wave\n*,other\n")
    assert [r.label for r in LabelMap.read(path).apply(recordings("hand_wave", "x", "y"))] == ["wave", "other", "other"]
    path.write_text("wave,wave\n*,\n")
    assert [r.path for r in LabelMap.read(path).apply(recordings("x", "wave"))] == ["1.mp4"]


def test_numbers_get_their_names(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"Approaching something": "0", "Zooming": 1}))
    assert [r.label for r in LabelMap.read(path).apply(recordings("1", "0"))] == ["Zooming", "Approaching something"]


@pytest.mark.parametrize("content", [b"", b"wave\n", b"a,b,c\n", b",wave\n", b"\xff\xfe,x\n"])
def test_labels_that_are_none_are_refused(tmp_path, content):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"labels\.csv"):
        LabelMap.read(path)


def test_sources_are_read_together_and_nothing_is_trained_and_checked_on(tmp_path):
    first, second = tmp_path / "one/index.csv", tmp_path / "two/list.csv"
    touch(first, second)
    lines = ("a,wave,s1,train", "b,wave,s2,train", "c,clap,s3,test", "d,clap,s1,test")
    first.write_text("\n".join(("path,label,subject,split", *lines)))
    second.write_text("path,label\ne,jog\n")
    selection = RecordingFilter(splits=("train",), check_subjects=("s1",))
    (one,) = read_sources([first], [], [], selection, None)
    (two,) = read_sources([second], [], None, RecordingFilter(), None)
    assert (one.name, [Path(r.path).name for r in one.train], [Path(r.path).name for r in one.check]) == (
        "one", ["b"], ["a", "d"],
    )  # fmt: skip
    assert (one.depth, two.depth) == (True, False)
    both = read_sources([first, second], ["small", "-"], ["two"], RecordingFilter(), LabelMap({"clap": ""}))
    assert [source.depth for source in both] == [False, True]
    assert [[r.path for r in source.train] for source in both] == [
        [str(tmp_path / "one/small/a"), str(tmp_path / "one/small/b")],
        [str(tmp_path / "two/e")],
    ]
    for arguments, message in (
        (([first, second], ["a", "b", "c"], [], RecordingFilter(), None), "3 media folders"),
        (([first], [], ["three"], RecordingFilter(), None), "no data called three; known are one"),
        (([first], [], [], RecordingFilter(splits=("val",)), None), "no recording is left: look"),
        (([first], [], [], RecordingFilter(check_splits=("val",)), None), "no recording is left to check on"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_sources(*arguments)


def test_unseen_performances_of_the_actor_can_be_checked_on(tmp_path: Path) -> None:
    labels = ("clap", "wave")
    (train,), check = build_stores([], labels, small_spec(), tmp_path, actor=2, check_actor=2)
    assert check is not None
    assert len(train) == len(check) == 2 * len(labels)
    assert not set(train.origins) & set(check.origins)
    assert build_stores([], labels, small_spec(), tmp_path, actor=1)[1] is None
    with pytest.raises(ConfigError, match="actor knows none"):
        build_stores([], ("juggle",), small_spec(), tmp_path, check_actor=1)


@pytest.mark.parametrize(("modes", "depth"), [(("depth",), {True}), (("colour",), {False})])
def test_the_actor_is_seen_by_the_cameras_asked_for(tmp_path: Path, modes: tuple[str, ...], depth: set[bool]) -> None:
    (train,), check = build_stores([], ("clap",), small_spec(), tmp_path, actor=2, check_actor=2, actor_modes=modes)
    assert check is not None
    assert {store[i].depth for store in (train, check) for i in range(len(store))} == depth


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
