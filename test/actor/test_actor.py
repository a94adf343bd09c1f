"""The rendered actor: what it shows is what its labels and times say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fluxformer_core.actor import (
    ACTIONS,
    DEMO_SCRIPT,
    FLIPPED,
    LIMB_ENDS,
    ActorStyle,
    Performance,
    Stage,
    perform,
    rehearse,
)
from fluxformer_core.errors import ConfigError
from fluxformer_core.types import OTHER

STILL = ActorStyle(idle=0.0)
FEET = [LIMB_ENDS.index(f"{side}_{end}") for side in ("right", "left") for end in ("toes", "heel")]
RIGHT_FINGERS, LEFT_FINGERS, HEAD = (LIMB_ENDS.index(name) for name in ("right_fingers", "left_fingers", "head"))


def speeds(limbs: np.ndarray, rate: float) -> np.ndarray:
    """Of the fastest limb, m/s, between consecutive frames."""
    return np.linalg.norm(np.diff(limbs, axis=0), axis=2).max(axis=1) * rate


def changed_columns(image: np.ndarray, rest: np.ndarray) -> float:
    """The mean column of the pixels in which two depth images differ and the first shows somebody nearer."""
    nearer = (image > 0) & ((rest == 0) | (image.astype(int) < rest.astype(int) - 40))
    return float(np.flatnonzero(nearer.any(axis=0)).mean())


@pytest.mark.parametrize("label", ACTIONS)
def test_an_action_moves_between_its_times_and_nowhere_else(label):
    film = rehearse(label, seed=3, rate=30.0, style=STILL)
    (performance,) = film.script
    speed = speeds(film.limbs, 30.0)
    between = film.times[:-1]
    outside = (between + 1 / 30.0 <= performance.start) | (between >= performance.end)
    assert outside.sum() > 5
    assert speed[outside].max() < 1e-6
    assert speed[~outside].max() > 0.7
    assert 1.0 < performance.end - performance.start < 8.0


@pytest.mark.parametrize("label", ["stand", *ACTIONS])
def test_a_clip_has_the_promised_images(label):
    depth, colour = perform(label, 5, size=(48, 64)), perform(label, 5, size=(48, 64), mode="colour")
    assert len(depth) == len(colour) > 20
    assert {(image.shape, image.dtype.str) for image in depth} == {((48, 64), "<u2")}
    assert {(image.shape, image.dtype.str) for image in colour} == {((48, 64, 3), "|u1")}
    assert all(image.flags["C_CONTIGUOUS"] for image in (*depth, *colour))


@pytest.mark.parametrize("mode", ["depth", "colour"])
def test_the_same_seed_gives_the_same_clip_and_another_seed_another_one(mode):
    first, again, other = (perform("wave", seed, mode=mode, size=(64, 64)) for seed in (7, 7, 8))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(first) != len(other) or any((a != b).any() for a, b in zip(first, other, strict=True))


def test_frames_do_not_depend_on_the_order_in_which_they_are_asked_for():
    style = replace(ActorStyle.sample(2), noise=1.0)
    stage = Stage([Performance("clap", 0.5, 2.5)], style=style, size=(60, 80), mode="depth")
    forwards = [image for _, image in stage]
    assert all(np.array_equal(stage.frame(index), forwards[index]) for index in (40, 3, 77, 0))
    with pytest.raises(IndexError):
        stage.frame(len(stage))


def test_people_and_places_differ():
    styles = [ActorStyle.sample(seed) for seed in range(60)]
    assert len({style.shirt for style in styles}) > 50
    assert {style.background for style in styles} == {"room", "gradient", "noise", "clutter"}
    assert max(abs(style.yaw) for style in styles) <= 25
    fills = [style.fill for style in styles]
    assert min(fills) < 0.5
    assert max(fills) > 0.9


def test_the_script_happens_on_time_in_the_images():
    rate = 30.0
    stage = Stage(DEMO_SCRIPT, rate=rate, size=(240, 320), mode="depth", style=STILL)
    assert len({performance.label for performance in DEMO_SCRIPT}) == 10
    # Without noise and breathing, standing gives equal images: the movement is from the first to the last that differ.
    images = [image for _, image in stage]
    moving = np.array([False, *((a != b).any() for a, b in pairwise(images))])
    edges = np.flatnonzero(np.diff(moving.astype(int)))
    runs = []
    for begin, end in zip(edges[::2] + 1, edges[1::2] + 1, strict=True):
        if runs and begin - runs[-1][1] < 0.5 * rate:  # a held pose within an action
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((begin, end))
    assert len(runs) == len(DEMO_SCRIPT)
    for (begin, end), performance in zip(runs, DEMO_SCRIPT, strict=True):
        assert begin == pytest.approx(performance.start * rate + 1, abs=1), performance
        assert end == pytest.approx(performance.end * rate + 1, abs=1), performance


def test_the_demo_script_leaves_time_to_stand():
    assert DEMO_SCRIPT[0].start >= 2.0
    for before, after in pairwise(DEMO_SCRIPT):
        assert 1.0 <= after.start - before.end <= 1.5
        assert 1.5 <= after.end - after.start <= 4.0


@pytest.mark.parametrize("mode", ["depth", "colour"])
@pytest.mark.parametrize("label", ["swipe_left", "swipe_right", "draw_circle_cw", "throw", "lunge"])
def test_a_mirrored_performance_is_the_flipped_picture_of_the_flipped_action(label, mode):
    style = replace(ActorStyle.sample_recording(4), noise=1.0, mirrored=False)
    straight = perform(FLIPPED.get(label, label), 4, mode=mode, style=style, size=(64, 64))
    mirrored = perform(label, 4, mode=mode, style=replace(style, mirrored=True), size=(64, 64))
    assert all(np.array_equal(a, b[:, ::-1]) for a, b in zip(straight, mirrored, strict=True))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("label", "direction"), [("swipe_left", -1), ("swipe_right", 1)])
@pytest.mark.parametrize("seed", range(3))
def test_a_swipe_goes_where_its_name_says_in_the_image(label, direction, mirrored, seed):
    style = replace(ActorStyle.sample_recording(seed), mirrored=mirrored, noise=0.0, depth_background="none")
    film = rehearse(label, seed, style=style)
    fingers = film.limbs[:, LEFT_FINGERS if mirrored else RIGHT_FINGERS]
    raised = np.flatnonzero(fingers[:, 1] > 0.6 * style.stature)
    early, late = raised[0], raised[-1]
    travel = changed_columns(film.frame(late), film.frame(0)) - changed_columns(film.frame(early), film.frame(0))
    assert direction * travel > 0.1 * film.size[1]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("label", "clockwise"), [("draw_circle_cw", True), ("draw_circle_ccw", False)])
def test_a_circle_turns_the_way_its_name_says_in_the_image(label, clockwise, mirrored):
    style = replace(ActorStyle.sample_recording(1), mirrored=mirrored)
    film = rehearse(label, 1, style=style)
    x, y = film.limbs[:, LEFT_FINGERS if mirrored else RIGHT_FINGERS, :2].T
    area = 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))  # positive counter-clockwise: x right, y up
    assert (area < -0.1) if clockwise else (area > 0.1)


@pytest.mark.parametrize("label", ["clap", "walk", "squat", "baseball_swing"])
def test_colour_and_depth_show_the_same_outline(label):
    grey = dict.fromkeys(("skin", "hair", "shirt", "accent", "trousers", "shoes"))
    dark, light = (replace(STILL, fill=0.6, **dict.fromkeys(grey, (value, value, value))) for value in (20, 250))
    script = [Performance(label, 0.2, 2.6)]
    stages = [Stage(script, mode="colour", style=style, size=(120, 160)) for style in (dark, light)]
    outline = Stage(script, mode="depth", style=dark, size=(120, 160))
    for index in (0, 25, 45, 60):
        one, two = (stage.frame(index).astype(int) for stage in stages)
        in_colour = np.abs(one - two).max(axis=2) > 40  # only the actor is painted differently
        in_depth = outline.frame(index) > 0
        assert (in_colour & in_depth).sum() > 0.9 * (in_colour | in_depth).sum()


def test_the_default_person_stands_in_the_picture_as_the_style_says():
    image = Stage([], duration=0.1, mode="depth", style=replace(STILL, fill=0.7), size=(240, 320)).frame(0)
    rows, columns = np.nonzero(image)
    assert np.ptp(rows) + 1 == pytest.approx(0.7 * 240, rel=0.06)
    assert columns.mean() == pytest.approx(159.5, abs=8)
    distance = 1e-3 * np.median(image[image > 0])
    assert distance == pytest.approx(1.72 / 0.7 / (2 * np.tan(np.radians(25.0))), rel=0.06)


@pytest.mark.parametrize("label", ["walk", "lunge", "throw", "pickup_and_throw", "basketball_shoot", "tennis_serve"])
def test_a_recording_is_cut_so_that_nobody_leaves_it(label):
    styles = [(seed, ActorStyle.sample_recording(seed)) for seed in range(24)]
    cut = [(seed, style) for seed, style in styles if style.cropped]
    assert len(styles) > len(cut) > 5
    for seed, style in cut[:6]:
        alone = replace(style, depth_background="none", noise=0.0)
        film = rehearse(label, seed, style=alone, size=(64, 64), rate=10.0)
        images = np.stack([image for _, image in film])
        touched = (images > 0).any(axis=0)
        assert not touched[[0, -1]].any()
        extent = max(np.ptp(np.flatnonzero(touched.any(axis=axis))) for axis in (0, 1))
        assert extent > 0.7 * 64


@pytest.mark.parametrize("label", ["walk", "jog"])
def test_people_also_go_through_the_picture_both_ways(label):
    ways = []
    for seed in range(40):
        film = rehearse(label, seed, style=STILL, size=(32, 32))
        head = film.limbs[:, HEAD] / STILL.stature
        ways.append(head[-1, 0] - head[0, 0])
    ways = np.array(ways)
    assert (ways > 0.8).sum() >= 4
    assert (ways < -0.8).sum() >= 4
    assert (np.abs(ways) < 0.1).sum() >= 10, "and on the spot"


def test_clips_of_people_who_cover_ground_are_mostly_not_cut_to_the_whole_way():
    clips = {label: [rehearse(label, seed, size=(32, 32)) for seed in range(40)] for label in ("jog", "wave")}
    jog, wave = (sum(film.style.cropped for film in films) for films in clips.values())
    assert 4 < jog < 20
    assert jog < wave < 36


def test_the_person_is_within_the_range_of_a_depth_camera():
    for seed in range(30):
        image = rehearse("wave", seed, size=(64, 64)).frame(0)
        person = image[24:40, 24:40]
        assert 500 < np.percentile(person[person > 0], 10) < 4300  # what is nearest: a wall may be behind


def test_some_people_stay_down_in_a_squat():
    low = []
    for seed in range(20):
        film = rehearse("squat", seed, style=STILL, rate=20.0)
        head = film.limbs[:, HEAD, 1] / STILL.stature
        low.append((head < head.min() + 0.02).sum() / 20.0)
    assert min(low) < 0.6
    assert max(low) > 1.0


def test_a_seated_person_is_on_the_stool_from_every_side():
    ahead = []
    for seed in range(30):
        film = rehearse("stand_to_sit", seed, style=STILL, size=(64, 64))
        hips, seat = (
            film.capsules[-1, [part.a.endswith(end) or part.a.startswith(end) for part in film.parts], 0]
            for end in ("_hip", "seat_")
        )
        assert seat.min() < hips.mean() < seat.max()
        toes, heel = (film.limbs[-1, LIMB_ENDS.index(name)] for name in ("right_toes", "right_heel"))
        ahead.append(np.degrees(np.arctan2(toes[0] - heel[0], toes[2] - heel[2])))
    ahead = np.array(ahead)
    assert (np.abs(ahead) < 30).sum() > 5
    assert (ahead > 60).any()
    assert (ahead < -60).any()
    assert (np.abs(ahead) > 110).any(), "from behind"


def test_a_jump_leaves_the_floor_and_a_turn_ends_facing_elsewhere():
    for seed in range(10):
        height = rehearse("jump", seed, style=STILL, size=(32, 32)).limbs[:, FEET, 1]
        assert (height - height[0]).min(axis=1).max() > 0.01
        turned = rehearse("turn", seed, style=STILL, size=(32, 32)).limbs
        soles = turned[:, FEET[0]] - turned[:, FEET[1]]
        first, last = (np.degrees(np.arctan2(sole[0], sole[2])) for sole in (soles[0], soles[-1]))
        assert abs((last - first + 180) % 360 - 180) > 55


def test_scripts_go_on_from_a_turn_without_a_snap_and_repeat_jumps_to_fill_the_time():
    for seed in range(5):
        script = [Performance("turn", 0.5, 2.5), Performance("wave", 3.5, 6.0), Performance("jump", 7.0, 11.0)]
        stage = Stage(script, seed=seed, style=STILL, size=(32, 32))
        speed = speeds(stage.limbs, stage.rate)
        assert speed[round(2.6 * stage.rate) : round(3.4 * stage.rate)].max() < 1e-6
        assert speed[round(3.4 * stage.rate) : round(3.6 * stage.rate)].max() < 5  # m/s; a snap would be 10 and more
        height = stage.limbs[:, FEET, 1]
        aloft = (height - height[0]).min(axis=1) > 0.005
        assert np.count_nonzero(np.diff(aloft.astype(int)) > 0) >= 3


def test_pastimes_are_no_actions_but_can_be_filmed():
    assert OTHER not in ACTIONS
    clips = [rehearse(OTHER, seed, style=STILL, size=(32, 32)) for seed in range(30)]
    fastest = [speeds(film.limbs, film.rate).max() for film in clips]
    assert min(fastest) > 0.02
    assert all(0.7 < film.script[0].end - film.script[0].start < 12.0 for film in clips)
    assert clips[0].frame(3).shape == (32, 32)


def test_a_wall_is_behind_the_actor_if_the_style_has_one():
    style = replace(STILL, depth_background="wall", wall=1.5)
    image = Stage([], duration=0.1, mode="depth", style=style, size=(120, 160)).frame(0)
    assert image.min() > 0
    assert 1e-3 * (int(image[5, 5]) - int(image[60, 80])) == pytest.approx(1.5, abs=0.35)


def test_sitting_lasts_until_the_actor_is_asked_to_rise():
    stage = Stage([Performance("stand_to_sit", 0.5, 2.0), Performance("sit_to_stand", 3.0, 4.5)], style=STILL)
    head = stage.limbs[:, HEAD, 1] / stage.style.stature
    standing, sitting = head[0], head[75]
    assert sitting < standing - 0.2
    assert head[-1] == pytest.approx(standing)


def test_a_faster_person_takes_less_time():
    slow, fast = (rehearse("push", 1, style=replace(STILL, tempo=tempo)).script[0] for tempo in (0.7, 1.4))
    assert (slow.end - slow.start) == pytest.approx(2 * (fast.end - fast.start))


def test_a_longer_performance_has_more_repetitions():
    claps = []
    for seconds in (2.0, 4.0):
        stage = Stage([Performance("clap", 0.5, 0.5 + seconds)], style=STILL, mode="depth", size=(32, 32))
        gap = np.linalg.norm(stage.limbs[:, RIGHT_FINGERS] - stage.limbs[:, LEFT_FINGERS], axis=1)
        claps.append(int(((gap[1:-1] < 0.12) & (gap[1:-1] <= gap[:-2]) & (gap[1:-1] < gap[2:])).sum()))
    assert claps[1] > claps[0] >= 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([Performance("fly", 0, 1)], "fly"),
        ([Performance("wave", 0, 2), Performance("clap", 1, 3)], "must begin after"),
        ([Performance("wave", 2, 1)], "end after it began"),
        ([Performance("stand_to_sit", 0, 2), Performance("wave", 3, 5)], "sits"),
        ([Performance("wave", 0, 2), Performance("sit_to_stand", 3, 5)], "stands"),
    ],
)
def test_an_impossible_script_is_refused(script, message):
    with pytest.raises(ConfigError, match=message):
        Stage(script)


def test_unusable_arguments_are_refused():
    for name, changes, part in (("fly", {}, "fly"), ("wave", {"rate": 0}, "rate"), ("wave", {"size": (8, 8)}, "size")):
        with pytest.raises(ConfigError, match=part):
            perform(name, 0, **changes)
