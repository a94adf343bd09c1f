"""Flow-guided choice of the frames that tell most: the paper's meaningful action-event extractor (SPEC 1.1 [R]).

One scene is cut out, told from others by its flow and its brightness. Its frames lie along the path that the picture
takes through the space of descriptors; this path is divided into T runs, and the frame in the middle of each is kept.
Where nothing changes one frame stands for many, so the clip's frames gather where the motion is. Pure functions on
arrays, deterministic, always exactly T sorted indices.

Runs of least squared deviation would be the textbook's clusters in time, but the best split jumps when a frame comes a
little earlier or a pixel is noisy. A run's deviation grows with the square of its speed and the cube of its length, so
where runs are short the best ones cover equal sums of speed^(2/3): these sums hardly depend on single frames, and
cameras of any rate lead to the same moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.stream.buffer import THUMBNAIL
from fluxformer_core.types import SelectionName

Scene = Literal["newest", "strongest"]

CUT_SIGMAS = 6.0
"""A scene cut stands this many robust standard deviations out, in flow and in brightness change alike."""

CUT_CHANGE = 0.08
"""Least photometric change of a cut, of full brightness: motion that starts suddenly in a still scene stays below."""

LONG_SCENE = 64
"""Frames of a scene that is preferred to shorter ones, however much happens in these."""

APPEARANCE = THUMBNAIL**2
"""Leading columns of a descriptor that show the picture; what follows is flow, whose changes are mostly noise."""

QUIET, NOISE_MARGIN = 20, 1.1
"""The percentile of the steps along the path that passes for noise, and how far noise reaches beyond it."""

REST = 0.1
"""A frame without change counts as much as this share of the mean step: the rest before an action is part of it."""


@dataclass(frozen=True)
class Choice:
    """What was selected from a sequence, and why."""

    indices: NDArray[np.intp]  # (T,) ascending; repeats where there are fewer frames
    groups: NDArray[np.intp]  # (n,) which cluster each frame belongs to, by the order of time; -1: in none
    cuts: NDArray[np.intp]  # first frames after scene cuts

    def after(self, first: int) -> Choice:
        """The same choice, counted in a sequence that has `first` frames more in front."""
        groups = np.concatenate([np.full(first, -1), self.groups])
        return Choice(first + self.indices, groups, first + self.cuts)


def select(
    motion: NDArray[np.float32],
    change: NDArray[np.float32],
    descriptors: NDArray[np.float32],
    count: int,
    *,
    scene: Scene = "newest",
) -> NDArray[np.intp]:
    """Indices of the `count` frames that represent one scene; see `choose`, which also says why."""
    return choose(motion, change, descriptors, count, scene=scene).indices


def choose(
    motion: NDArray[np.float32],
    change: NDArray[np.float32],
    descriptors: NDArray[np.float32],
    count: int,
    *,
    scene: Scene = "newest",
) -> Choice:
    """Choose the `count` frames that represent one scene.

    Args:
        motion: (n,) speed of each frame against the one before it; the first is not used.
        change: (n,) mean absolute brightness difference to the frame before it, motion compensated, 0..1.
        descriptors: (n, d) of each frame, of which the first columns are its appearance.
        count: T, frames wanted.
        scene: the one that ends now, for streams, or the one in which most happens, for whole recordings.

    Raises:
        ValueError: if there is no frame at all, or the lengths differ.
    """
    n = len(descriptors)
    if n == 0 or count < 1 or not len(motion) == len(change) == n:
        raise ValueError(f"cannot select {count} of {n} frames (motion {len(motion)}, change {len(change)})")
    cuts = scene_cuts(motion, change)
    start, stop = newest_scene(motion, cuts) if scene == "newest" else strongest_scene(motion, cuts)
    inside = cluster(descriptors[start:stop, :APPEARANCE], count).after(start)
    return Choice(inside.indices, np.concatenate([inside.groups, np.full(n - stop, -1)]), cuts)


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


def newest_scene(motion: NDArray[np.float32], cuts: NDArray[np.intp]) -> tuple[int, int]:
    """First frame, and first frame after it, of the scene that goes on."""
    return (int(cuts[-1]) if len(cuts) else 0), len(motion)


def strongest_scene(motion: NDArray[np.float32], cuts: NDArray[np.intp]) -> tuple[int, int]:
    """First frame, and first frame after it, of the long scene with the most motion; of the longest if none is long."""
    borders = [0, *cuts.tolist(), len(motion)]
    scenes = list(pairwise(borders))
    lengths = [stop - start for start, stop in scenes]
    if max(lengths) < LONG_SCENE:
        return scenes[int(np.argmax(lengths))]
    # The field of a scene's first frame leads there from the scene before: it is the cut's, not the scene's motion.
    sums = [float(motion[a + 1 : b].sum()) if b - a >= LONG_SCENE else -1.0 for a, b in scenes]
    return scenes[int(np.argmax(sums))]


def cluster(appearance: NDArray[np.float32], count: int) -> Choice:
    """Divide the path through (n, d) descriptors into `count` runs; choose the frame nearest the middle of each."""
    n = len(appearance)
    if n <= count:
        return _nearest(uniform(n, count), np.arange(float(n)))
    path = path_length(appearance)
    middles = (np.arange(count) + 0.5) / count * path[-1]
    order = np.arange(count)
    chosen = np.rint(np.interp(middles, path, np.arange(n))).astype(np.intp)
    # A jump may hold several middles; each frame is taken once, and the neighbours make room.
    chosen = np.minimum(np.maximum.accumulate(chosen - order), n - count) + order
    return _nearest(chosen, path)


def _nearest(chosen: NDArray[np.intp], path: NDArray[np.float64]) -> Choice:
    ends = (path[chosen][1:] + path[chosen][:-1]) / 2
    return Choice(chosen, np.searchsorted(ends, path, side="left"), np.empty(0, np.intp))


def path_length(appearance: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far (n, d) descriptors have come at each frame, (n,), ever increasing: the sum of (step - noise)^(2/3)."""
    x = appearance.astype(np.float64)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)  # flickering light is no step
    steps = np.linalg.norm(np.diff(x, axis=0), axis=1)
    steps = np.maximum(steps - NOISE_MARGIN * np.percentile(steps, QUIET), 0.0)
    mean = steps.mean()
    if not mean > 0:
        return np.arange(float(len(x)))
    return np.concatenate([[0.0], np.cumsum((steps / mean + REST) ** (2 / 3))])


class FrameSequence(Protocol):
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


Selector = Callable[[FrameSequence, int], Choice]
"""Chooses exactly so many frames of any footage that has one frame at least."""


def flow_guided(footage: FrameSequence, count: int) -> Choice:
    """The newest scene, most frames where most happens: see selection.py."""
    return choose(footage.motion, footage.change, footage.descriptors, count)


def flow_guided_strongest(footage: FrameSequence, count: int) -> Choice:
    """The same for whole recordings: the scene in which most happens."""
    return choose(footage.motion, footage.change, footage.descriptors, count, scene="strongest")


def evenly(footage: FrameSequence, count: int) -> Choice:
    """The same distance in time between all frames, whatever happens."""
    n = len(footage.frames)
    chosen = uniform(n, count)
    return Choice(chosen, np.searchsorted((chosen[1:] + chosen[:-1]) / 2, np.arange(n)), np.empty(0, np.intp))


SELECTORS: dict[SelectionName, Selector] = {"flow_guided": flow_guided, "uniform": evenly}
"""By the name that settings use; all of them may look at a stream's window."""
