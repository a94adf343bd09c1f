"""Flow colours: against the wheel computed entry by entry, and what a reader of the picture relies on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import references
from hypothesis import given
from hypothesis import strategies as st

from fluxformer_core.flow.colours import flow_colours


def wheel() -> list[tuple[float, float, float]]:
    """The 55 colours of the Middlebury wheel, one corner after the other."""
    colours: list[tuple[float, float, float]] = []
    colours += [(255, 255 * i / 15, 0) for i in range(15)]
    colours += [(255 - 255 * i / 6, 255, 0) for i in range(6)]
    colours += [(0, 255, 255 * i / 4) for i in range(4)]
    colours += [(0, 255 - 255 * i / 11, 255) for i in range(11)]
    colours += [(255 * i / 13, 0, 255) for i in range(13)]
    colours += [(255, 0, 255 - 255 * i / 6) for i in range(6)]
    return colours


def expected(u: float, v: float, radius: float) -> list[float]:
    place = (math.atan2(-v, -u) / math.pi + 1) / 2 * 54
    share = place - math.floor(place)
    low, high = wheel()[math.floor(place)], wheel()[(math.floor(place) + 1) % 55]
    length = min(math.hypot(u, v) / radius, 1)
    return [255 - length * (255 - (1 - share) * a - share * b) for a, b in zip(low, high, strict=True)]


def colour_of(u: float, v: float, radius: float = 1.0) -> np.ndarray:
    colours: np.ndarray = flow_colours(np.array([[[u, v]]], np.float32), radius)[0, 0]
    return colours


@given(angle=st.floats(-math.pi, math.pi), length=st.floats(0, 3), radius=st.floats(0.1, 20))
def test_colours_are_those_of_the_wheel(angle: float, length: float, radius: float) -> None:
    u, v = (float(np.float32(length * part)) for part in (math.cos(angle), math.sin(angle)))
    np.testing.assert_allclose(colour_of(u, v, radius), expected(u, v, radius), atol=1.01)


@pytest.mark.parametrize(
    ("u", "v", "name", "colour"),
    [
        (1, 0, "red", (255, 0, 0)),
        (0, 1, "yellow", (255, 229, 0)),
        (-1, 0, "cyan", (0, 210, 255)),
        (0, -1, "violet", (90, 0, 255)),
    ],
)
def test_directions_have_the_colours_of_the_legend(u: float, v: float, name: str, colour: tuple[int, ...]) -> None:
    np.testing.assert_allclose(colour_of(u, v), colour, atol=24, err_msg=name)


def test_rest_is_white_and_the_colour_deepens_up_to_the_radius() -> None:
    assert colour_of(0, 0).tolist() == [255, 255, 255]
    saturations = [int(np.ptp(colour_of(length, 0, radius=2.0))) for length in (0, 0.5, 1, 2, 4)]
    assert saturations == sorted(saturations)
    assert saturations[1] > 0
    assert saturations[-1] == saturations[-2] > 200


def test_unknown_flow_is_black_and_shape_is_kept() -> None:
    flow = np.zeros((2, 3, 2), np.float32)
    flow[0, 1] = np.nan, 1.0
    flow[1, 2] = 0.0, np.inf
    colours = flow_colours(flow, 1.0)
    assert (colours.shape, colours.dtype) == ((2, 3, 3), np.dtype("u1"))
    assert [tuple(place) for place in np.argwhere(colours.sum(axis=-1) == 0)] == [(0, 1), (1, 2)]


def test_colours_are_those_of_an_independent_implementation():
    """torchvision divides by the longest flow in the picture: with that as the radius, both show the same."""
    flow = references.some_flow()
    longest = float(np.hypot(flow[..., 0], flow[..., 1]).max())
    ours = flow_colours(flow, longest).astype(int)
    for theirs in references.outputs(references.flow_picture):
        np.testing.assert_allclose(ours, theirs.astype(int), atol=1)
