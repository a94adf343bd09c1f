"""The geometry under the actor: curves through keys, and capsules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxformer_core.actor.pose import smooth_curve
from fluxformer_core.actor.render import FAR, Capsule, ZBuffer


def test_a_slope_of_next_to_nothing_counts_as_zero():
    keys = np.array([[0.0], [np.finfo(float).tiny], [1.0]])
    curve = smooth_curve(np.array([0.0, 1.0, 3.0]), keys, np.linspace(0, 3, 7))
    assert 0 <= curve.min() <= curve.max() <= 1


@settings(max_examples=60, deadline=None)
@given(spans=st.lists(st.floats(0.05, 2.0), min_size=1, max_size=7), data=st.data())
def test_a_curve_meets_its_keys_and_stays_between_them(spans, data):
    times = np.concatenate([[0.0], np.cumsum(spans)])
    numbers = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=len(times), max_size=len(times))
    values = np.array(data.draw(numbers))[:, None]
    assert smooth_curve(times, values, times) == pytest.approx(values)
    for left in range(len(spans)):
        inside = smooth_curve(times, values, np.linspace(times[left], times[left + 1], 9))
        low, high = sorted((values[left, 0], values[left + 1, 0]))
        assert inside.min() >= low - 1e-9
        assert inside.max() <= high + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    a=st.tuples(st.floats(12, 36), st.floats(12, 36), st.floats(-0.6, 0.6)),
    b=st.tuples(st.floats(12, 36), st.floats(12, 36), st.floats(-0.6, 0.6)),
    radii=st.tuples(st.floats(2, 8), st.floats(2, 8)),
)
def test_a_capsule_is_the_union_of_the_spheres_along_it(a, b, radii):
    focal, distance = 4800.0, 100.0  # so far away that rays are parallel; 48 pixels per metre
    buffer = ZBuffer((48, 48), focal, colour=False, light=(0.0, 0.0, 1.0), ambient=0.5)
    ends = [a[0], a[1], radii[0], distance + a[2], b[0], b[1], radii[1], distance + b[2]]
    buffer.capsule(ends, Capsule("a", "b", 0.1, 0.1, 0))

    rows, columns = np.mgrid[:48, :48]
    expected, inside = np.full((48, 48), np.inf), np.full((48, 48), -np.inf)
    for u in np.linspace(0, 1, 400):
        x, y, radius, z = (ends[i] + u * (ends[i + 4] - ends[i]) for i in range(4))
        bulge = radius**2 - (columns - x) ** 2 - (rows - y) ** 2
        surface = z - np.sqrt(np.maximum(bulge, 0)) / 48.0
        expected = np.where(bulge > 0, np.minimum(expected, surface), expected)
        inside = np.maximum(inside, bulge)
    clear = np.abs(inside) > 0.1  # not on the outline itself
    assert np.array_equal((buffer.depth < FAR)[clear], (inside > 0)[clear])
    assert np.abs(buffer.depth - expected)[clear & (inside > 0)].max() < 0.01  # m
