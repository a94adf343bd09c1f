"""The rolling window: what was pushed, in order, once, in constant memory; motion in the unit that it promises."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import rgb, small_spec, texture, view, window_of
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.flow.classical import DisFlow, FlowField, GreyImage
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.types import SECOND, ClipSpec


class CountingFlow:
    """Instead of motion, remembers which pairs it was asked for; the field tells the pair apart from any other."""

    name = "counting"
    colour = False

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def __call__(self, previous: GreyImage, current: GreyImage) -> FlowField:
        self.pairs.append((int(previous[0, 0]), int(current[0, 0])))
        return np.full((*current.shape, 2), len(self.pairs), np.float32)


def numbered(i: int, size: int = 32) -> np.ndarray:
    return np.full((size, size, 3), i % 256, np.uint8)


def arrays(window: Window) -> dict[str, np.ndarray]:
    return {name: getattr(window, name) for name in Window.__dataclass_fields__}


@settings(max_examples=25)
@given(
    window=st.integers(4, 9),
    pushes=st.lists(st.one_of(st.integers(1, 40), st.none()), max_size=6),
)
def test_the_window_is_what_a_plain_list_would_hold(window, pushes):
    """None clears; a number is so many frames."""
    flow = CountingFlow()
    buffer = RollingBuffer(small_spec(window=window), flow)
    held: list[tuple[int, int, float]] = []  # number, stamp, flow in px
    number = 0
    for step in pushes:
        if step is None:
            buffer.clear()
            held = []
            assert len(buffer) == 0
            continue
        for _ in range(step):
            stamp = 100_000_000 * number + number  # not quite even
            buffer.push(numbered(number), stamp)
            held.append((number, stamp, float(len(flow.pairs)) if held else 0.0))
            held = held[-window:]
            number += 1
        now = buffer.window()
        assert len(buffer) == len(now) == len(held)
        assert now.stamps.tolist() == [stamp for _, stamp, _ in held]
        assert now.frames[:, 0, 0, 0].tolist() == [i % 256 for i, _, _ in held]
        expected = [pixels / 32 / (0.100_000_001) for _, _, pixels in held]
        np.testing.assert_allclose(now.flow[:, 5, 7, 0], expected, rtol=1e-5)
        np.testing.assert_allclose(now.motion, np.hypot(expected, expected), rtol=1e-5)
        assert all(array.flags["C_CONTIGUOUS"] for array in arrays(now).values())
        assert all(len(array) == len(held) for array in arrays(now).values())


@pytest.mark.parametrize("window", [4, 7, 64])
def test_flow_is_estimated_once_per_frame_against_the_frame_before(window):
    flow = CountingFlow()
    buffer = RollingBuffer(small_spec(window=window), flow)
    for i in range(200):
        if i == 120:
            buffer.clear()
        buffer.push(numbered(i), i * SECOND // 20)
        buffer.window()
    assert buffer.flows == len(flow.pairs) == 200 - 2
    assert flow.pairs == [(i - 1, i) for i in range(1, 200) if i != 120]


def test_even_a_window_of_one_frame_has_flow():
    flow = CountingFlow()
    buffer = RollingBuffer(ClipSpec(frames=1, size=32, window=1), flow)
    for i in range(9):
        buffer.push(numbered(i), i + 1)
        assert buffer.window().frames[:, 0, 0, 0].tolist() == [i]
    assert flow.pairs == [(i, i + 1) for i in range(8)]


@pytest.mark.parametrize("step", [0, -1, -SECOND])
def test_a_stamp_that_is_not_later_is_refused_and_changes_nothing(step):
    buffer = RollingBuffer(small_spec(), DisFlow())
    buffer.push(numbered(1), 5 * SECOND)
    with pytest.raises(ValueError, match="is not later than 5000000000"):
        buffer.push(numbered(2), 5 * SECOND + step)
    assert buffer.window().frames[:, 0, 0, 0].tolist() == [1]
    buffer.clear()
    buffer.push(numbered(2), 5 * SECOND + step)
    assert len(buffer) == 1


SPEED = 0.3  # frame heights per second


def panned(rate: float, *, size: int = 64) -> Window:
    """A texture that moves to the right and down, filmed at some rate for a second."""
    shifts = [SPEED * size * i / rate for i in range(round(rate) + 1)]
    return window_of([view(texture(200, 200), shift, shift / 2, size) for shift in shifts], rate=rate, size=size)


@pytest.mark.parametrize(("rate", "size"), [(10.0, 64), (20.0, 64), (40.0, 64), (20.0, 32), (20.0, 96)])
def test_velocity_is_in_frame_heights_per_second_at_any_rate_and_size(rate, size):
    window = panned(rate, size=size)
    inner = window.flow[1:, size // 4 : -size // 4, size // 4 : -size // 4]
    assert np.median(inner[..., 0]) == pytest.approx(SPEED, rel=0.06)
    assert np.median(inner[..., 1]) == pytest.approx(SPEED / 2, rel=0.06)
    assert np.median(window.motion[1:]) == pytest.approx(np.hypot(SPEED, SPEED / 2), rel=0.25)


def test_the_first_frame_has_no_motion_even_after_others_lay_in_its_place():
    buffer = RollingBuffer(small_spec(), DisFlow())
    pictures = [rgb(view(texture(60, 60), 2 * i, 0, 32)) for i in range(5)]
    for i, picture in enumerate(pictures):
        buffer.push(picture, i * SECOND // 20)
    assert buffer.window().motion[1:].min() > 0.3
    buffer.clear()
    buffer.push(pictures[0], SECOND)
    window = buffer.window()
    assert window.motion.tolist() == window.change.tolist() == [0.0]
    assert not window.flow.any()
    assert not window.descriptors[0, -2:].any()


def test_one_small_fast_thing_counts_in_a_still_scene():
    pictures = [texture(64, 64) // 2 for _ in range(4)]
    for i, picture in enumerate(pictures):  # 2 px in 1/20 s: 0.6 frame heights per second
        picture[24:40, 20 + 2 * i : 36 + 2 * i] = texture(16, 16, seed=9)
    assert window_of(pictures, size=64).motion[1:] == pytest.approx([40 / 64] * 3, rel=0.4)


def test_change_is_what_motion_does_not_explain():
    moved = panned(20.0).change[2:]
    cut = window_of([texture(64, 64, seed=seed) for seed in (1, 2)], size=64).change[1]
    assert moved.max() < 0.02
    assert cut > 4 * moved.max()


def test_a_change_of_the_light_leaves_the_descriptor_as_it_was():
    picture = texture(32, 32) // 2
    thumbnails = window_of([picture + np.uint8(light) for light in (0, 0, 40)]).descriptors[:, :256]
    assert np.array_equal(thumbnails[1], thumbnails[0])
    assert np.linalg.norm(thumbnails[2] - thumbnails[0]) < 1e-4
