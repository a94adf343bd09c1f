"""Frame selection by flow, after the "meaningful action-event extractor" of Fluxformer (RA-L 2023).

Flow and brightness tell where scenes are cut; the newest scene is kept. The frames of the scene lie along a path
through the space of descriptors. The path is divided into T runs, and the frame in the middle of each run is kept. One
frame stands for many where nothing changes, so the selected frames gather where the motion is. All functions here are
pure and deterministic, and select exactly T indices in ascending order.

The textbook's clusters in time are runs of least squared deviation. Their best split jumps when a frame comes a little
earlier or a pixel is noisy. The deviation of a run grows with the square of its speed and the cube of its length, so
short runs of least deviation cover equal sums of speed^(2/3). These sums hardly depend on single frames, and cameras of
any rate lead to the same moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.stream.buffer import THUMBNAIL
from fluxformer_core.types import SelectionName

CUT_SIGMAS = 6.0
"""Robust standard deviations by which flow and brightness change must both stand out at a scene cut."""

CUT_CHANGE = 0.08
"""Least brightness change at a cut, as a share of full brightness: motion that starts suddenly changes less."""

APPEARANCE = THUMBNAIL**2
"""Leading columns of a descriptor, which show the image. The other columns hold flow: its changes are mostly noise."""

QUIET, NOISE_MARGIN = 20, 1.1
"""Percentile of the steps along the path that counts as noise, and a factor on it."""

REST = 0.1
"""Length of a step without change, as a share of the mean step: the rest before an action is part of the action."""


@dataclass(frozen=True)
class Choice:
    """Which frames of a sequence were selected, and why."""

    indices: NDArray[np.intp]  # (T,) ascending; repeats where there are fewer frames
    groups: NDArray[np.intp]  # (n,) run that each frame belongs to, in the order of time; -1: no run
    cuts: NDArray[np.intp]  # first frames after scene cuts

    def after(self, first: int) -> Choice:
        """The same choice, with indices in a sequence that has `first` more frames in front."""
        groups = np.concatenate([np.full(first, -1), self.groups])
        return Choice(first + self.indices, groups, first + self.cuts)


def choose(
    motion: NDArray[np.float32],
    change: NDArray[np.float32],
    descriptors: NDArray[np.float32],
    count: int,
) -> Choice:
    """Choose the `count` frames that represent the newest scene.

    Args:
        motion: (n,) speed of each frame against the one before it; the first is not used.
        change: (n,) mean absolute brightness difference to the frame before it, motion compensated, 0..1.
        descriptors: (n, d) of each frame, of which the first columns are its appearance.
        count: T, frames wanted.

    Raises:
        ValueError: if there is no frame at all, or the lengths differ.
    """
    n = len(descriptors)
    if n == 0 or count < 1 or not len(motion) == len(change) == n:
        raise ValueError(f"cannot select {count} of {n} frames (motion {len(motion)}, change {len(change)})")
    cuts = scene_cuts(motion, change)
    start = int(cuts[-1]) if len(cuts) else 0
    inside = cluster(descriptors[start:, :APPEARANCE], count).after(start)
    return Choice(inside.indices, inside.groups, cuts)


def uniform(n: int, count: int) -> NDArray[np.intp]:
    """`count` indices spread evenly over n frames, ascending; repeats where n is smaller."""
    return ((np.arange(count) * 2 + 1) * n // (2 * count)).astype(np.intp)


def scene_cuts(motion: NDArray[np.float32], change: NDArray[np.float32]) -> NDArray[np.intp]:
    """Indices of the first frames after scene cuts, ascending."""
    if len(motion) < 3:
        return np.empty(0, np.intp)
    return 1 + np.flatnonzero(_outliers(motion[1:]) & _outliers(change[1:]) & (change[1:] > CUT_CHANGE))


def _outliers(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    median = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - median))
    return np.asarray(values > median + CUT_SIGMAS * spread)


def cluster(appearance: NDArray[np.float32], count: int) -> Choice:
    """Divide the path through (n, d) descriptors into `count` runs; choose the frame nearest the middle of each."""
    n = len(appearance)
    if n <= count:
        return _nearest(uniform(n, count), np.arange(float(n)))
    path = path_length(appearance)
    middles = (np.arange(count) + 0.5) / count * path[-1]
    order = np.arange(count)
    chosen = np.rint(np.interp(middles, path, np.arange(n))).astype(np.intp)
    # A jump may hold the middles of several runs: each frame is taken once, and neighbours take the others.
    chosen = np.minimum(np.maximum.accumulate(chosen - order), n - count) + order
    return _nearest(chosen, path)


def _nearest(chosen: NDArray[np.intp], path: NDArray[np.float64]) -> Choice:
    ends = (path[chosen][1:] + path[chosen][:-1]) / 2
    return Choice(chosen, np.searchsorted(ends, path, side="left"), np.empty(0, np.intp))


def path_length(appearance: NDArray[np.float32]) -> NDArray[np.float64]:
    """Length of the path through (n, d) descriptors up to each frame, (n,): the growing sum of (step - noise)^(2/3)."""
    x = appearance.astype(np.float64)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)  # flickering is no step
    steps = np.linalg.norm(np.diff(x, axis=0), axis=1)
    steps = np.maximum(steps - NOISE_MARGIN * np.percentile(steps, QUIET), 0.0)
    mean = steps.mean()
    if not mean > 0:
        return np.arange(float(len(x)))
    return np.concatenate([[0.0], np.cumsum((steps / mean + REST) ** (2 / 3))])


class FrameSequence(Protocol):
    """Frames and what was measured of each, oldest first: a stream's `Window`, or a decoded clip."""

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


Selector = Callable[[FrameSequence, int], Choice]
"""Selects exactly the given number of frames of a sequence that has at least one frame."""


def flow_guided(sequence: FrameSequence, count: int) -> Choice:
    """Frames of the newest scene, most of them where most happens."""
    return choose(sequence.motion, sequence.change, sequence.descriptors, count)


def evenly(sequence: FrameSequence, count: int) -> Choice:
    """Frames at equal distances in time."""
    n = len(sequence.frames)
    chosen = uniform(n, count)
    return Choice(chosen, np.searchsorted((chosen[1:] + chosen[:-1]) / 2, np.arange(n)), np.empty(0, np.intp))


SELECTORS: dict[SelectionName, Selector] = {"flow_guided": flow_guided, "uniform": evenly}
"""Selectors for streams, by the name that settings use."""
