"""The ways to select frames by name: what streams, trainings and comparisons choose between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.stream import selection
from fluxformer_core.stream.selection import Choice, uniform
from fluxformer_core.types import SelectionName


class Footage(Protocol):
    """Frames and what was measured of them, oldest first: a stream's `Window`, or a decoded clip."""

    @property
    def frames(self) -> NDArray[np.uint8]: ...  # (n, S, S, 3) RGB

    @property
    def flow(self) -> NDArray[np.floating] | NDArray[np.integer]: ...  # (n, S, S, 2) in any unit

    @property
    def motion(self) -> NDArray[np.float32]: ...  # (n,)

    @property
    def change(self) -> NDArray[np.float32]: ...  # (n,)

    @property
    def descriptors(self) -> NDArray[np.float32]: ...  # (n, d)


Selector = Callable[[Footage, int], Choice]
"""Chooses exactly so many frames of any footage that has one frame at least."""


def flow_guided(footage: Footage, count: int) -> Choice:
    """The newest scene, most frames where most happens: see selection.py."""
    return selection.choose(footage.motion, footage.change, footage.descriptors, count)


def flow_guided_strongest(footage: Footage, count: int) -> Choice:
    """The same for whole recordings: the scene in which most happens."""
    return selection.choose(footage.motion, footage.change, footage.descriptors, count, scene="strongest")


def evenly(footage: Footage, count: int) -> Choice:
    """The same distance in time between all frames, whatever happens."""
    n = len(footage.frames)
    chosen = uniform(n, count)
    return Choice(chosen, np.searchsorted((chosen[1:] + chosen[:-1]) / 2, np.arange(n)), np.empty(0, np.intp))


SELECTORS: dict[SelectionName, Selector] = {"flow_guided": flow_guided, "uniform": evenly}
"""By the name that settings use; all of them may look at a stream's window."""
