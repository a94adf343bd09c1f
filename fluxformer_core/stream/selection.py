"""Flow-guided choice of the frames that tell most: the paper's meaningful action-event extractor (SPEC 1.1 [R]).

The newest scene of the window is cut out, and its frames are divided into T runs, each as alike as possible; the most
typical frame of each run is kept. Where nothing changes one frame stands for many, so the clip's frames gather where
the motion is. Pure functions on arrays, deterministic, always exactly T sorted indices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST = 256
"""Frames that the clustering looks at; longer sequences are thinned first, for its cost grows with the square."""

CUT_SIGMAS = 6.0
"""A scene cut stands this many robust standard deviations out, in flow and in brightness change alike."""

CUT_CHANGE = 0.08
"""Least photometric change of a cut, of full brightness: motion that starts suddenly in a still scene stays below."""


def select(
    motion: NDArray[np.float32], change: NDArray[np.float32], descriptors: NDArray[np.float32], count: int
) -> NDArray[np.intp]:
    """Indices of the `count` frames that represent the newest scene.

    Args:
        motion: (n,) speed of each frame against the one before it; the first is not used.
        change: (n,) mean absolute brightness difference to the frame before it, motion compensated, 0..1.
        descriptors: (n, d) compact appearance and motion of each frame.
        count: T, frames wanted.

    Returns:
        (T,) indices, ascending; with fewer than T frames in the scene some repeat.

    Raises:
        ValueError: if there is no frame at all, or the lengths differ.
    """
    n = len(descriptors)
    if n == 0 or count < 1 or not len(motion) == len(change) == n:
        raise ValueError(f"cannot select {count} of {n} frames (motion {len(motion)}, change {len(change)})")
    first = scene_start(motion, change)
    return first + cluster(descriptors[first:], count)


def uniform(n: int, count: int) -> NDArray[np.intp]:
    """`count` indices spread evenly over n frames, ascending; repeats where n is smaller."""
    return ((np.arange(count) * 2 + 1) * n // (2 * count)).astype(np.intp)


def scene_start(motion: NDArray[np.float32], change: NDArray[np.float32]) -> int:
    """Index of the first frame after the last scene cut; 0 when there is none."""
    if len(motion) < 3:
        return 0
    cuts = np.flatnonzero(_outliers(motion[1:]) & _outliers(change[1:]) & (change[1:] > CUT_CHANGE))
    return int(cuts[-1]) + 1 if len(cuts) else 0


def _outliers(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    median = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - median))
    return np.asarray(values > median + CUT_SIGMAS * spread)


def cluster(descriptors: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Split (n, d) descriptors into `count` runs with the least squared deviation; return each run's medoid.

    The split is the exact optimum, by dynamic programming over the run's borders.
    """
    n = len(descriptors)
    if n <= count:
        return uniform(n, count)
    if n > LONGEST:
        kept = uniform(n, LONGEST)
        return kept[cluster(descriptors[kept], count)]
    x = descriptors.astype(np.float64)
    x = x - x.mean(axis=0)
    gram = x @ x.T
    squares = np.diagonal(gram)
    # sums[i, j] = sum of gram[:i, :j]; a block sum is then four look-ups.
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = gram.cumsum(axis=0).cumsum(axis=1)
    total = np.concatenate([[0.0], squares.cumsum()])
    i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")  # run [i, j)
    corner = np.diagonal(sums)
    block = corner[None, :] - sums - sums.T + corner[:, None]
    cost = np.where(j > i, total[None, :] - total[:, None] - block / np.maximum(j - i, 1), np.inf)
    best = cost[0]
    borders = np.empty((count, n + 1), dtype=np.intp)
    for run in range(1, count):
        candidates = best[:, None] + cost
        borders[run] = candidates.argmin(axis=0)
        best = candidates[borders[run], np.arange(n + 1)]
    chosen = np.empty(count, dtype=np.intp)
    end = n
    for run in range(count - 1, -1, -1):
        start = int(borders[run, end]) if run else 0
        inner = gram[start:end, start:end]
        # Squared distance of each member to all others, up to a constant.
        chosen[run] = start + int(np.argmin((end - start) * squares[start:end] - 2 * inner.sum(axis=1)))
        end = start
    return chosen
