"""Frame selection as the authors' released scripts do it, step by step, to compare ours with (SPEC 1.1, 2-7).

It works on whole videos and on pictures of flow: each field's colours are scaled by its own fastest pixel, so a picture
tells where the frame moves most, not how fast. The two pictures with the smallest colour sum pass for scene cuts. What
lies after or between them is clustered, and the first frame of each cluster is kept. Short videos are lost on the way.

What differs from the scripts, which leave this to scikit-learn: the principal components are exact, a cluster that runs
empty is not moved elsewhere, and the random starts are NumPy's of the same seed, so that clusters may differ in detail.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.colours import flow_colours
from fluxformer_core.stream.selection import Choice, FrameSequence, evenly, uniform

CLOSE = 64
"""With fewer flow fields than this between the two cuts, everything after the first one is kept."""

SIDE = 64  # px: of the grey images that are clustered
SEED = 25
STARTS, ROUNDS = 10, 300  # of the clustering, as scikit-learn has them when it is not told


@dataclass(frozen=True)
class Released:
    """What the released scripts leave of a video."""

    indices: NDArray[np.intp]  # (at most T,) ascending; none when the video was lost
    scene: slice  # the frames that were clustered
    groups: NDArray[np.intp]  # cluster of each of them
    cuts: tuple[int, ...]  # first frame after each of the two supposed cuts


def released_selection(
    frames: NDArray[np.uint8], flow: NDArray[np.floating] | NDArray[np.integer], count: int
) -> Released:
    """Run the released algorithm on a video.

    Args:
        frames: (n, H, W, 3) RGB.
        flow: (n, H, W, 2) of each frame against the one before it, in any unit; the first is not used.
        count: T, 16 in the scripts.
    """
    n = len(frames)
    if n - 1 < count:
        return Released(np.empty(0, np.intp), slice(0, 0), np.empty(0, np.intp), ())
    scene, cuts = _scene(colour_sums(flow[1:]))
    kept = frames[scene]
    if len(kept) <= count:
        groups = np.arange(len(kept))
        return Released(scene.start + groups, scene, groups, cuts)
    groups = _cluster(_components(_grey(kept)), count)
    return Released(scene.start + representatives(groups, count), scene, groups, cuts)


def colour_sums(flow: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Sum over all pixels and channels of each field's colours; large where most of the frame hardly moves."""
    tiny = float(np.finfo(np.float64).eps)
    radii = (max(float(np.hypot(field[..., 0], field[..., 1]).max()), tiny) for field in flow)
    return np.array([flow_colours(f, r).sum(dtype=np.int64) for f, r in zip(flow, radii, strict=True)])


def _scene(sums: NDArray[np.int64]) -> tuple[slice, tuple[int, ...]]:
    # Equal sums have one place in the scripts, the first: then both cuts are the same, as with two frames' only sum.
    smallest, second = np.sort(sums)[[0, min(1, len(sums) - 1)]]
    places = [int(np.flatnonzero(sums == value)[0]) for value in (smallest, second)]
    first, last = min(places), max(places)
    stop = len(sums) + 1 if last - first < CLOSE else last + 1
    return slice(first + 1, stop), tuple(sorted({first + 1, last + 1}))


def _grey(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = [cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (SIDE, SIDE)) for frame in frames]
    return np.stack(grey).reshape(len(frames), -1).astype(np.float64)


def _components(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first half of the principal components."""
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    count = len(x) // 2
    return np.asarray(u[:, :count] * s[:count])


def _cluster(x: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """k-means from random frames; the best of several starts."""
    random = np.random.RandomState(SEED)
    runs = [_lloyd(x, x[random.permutation(len(x))[:count]]) for _ in range(STARTS)]
    return min(runs, key=lambda run: run[0])[1]


def _lloyd(x: NDArray[np.float64], centres: NDArray[np.float64]) -> tuple[float, NDArray[np.intp]]:
    """Sum of squared distances, up to a constant, and the cluster of each row; a cluster that empties stays empty."""
    cost, groups = np.inf, np.full(len(x), -1)
    for _ in range(ROUNDS):
        distances = (centres * centres).sum(axis=1) - 2 * x @ centres.T
        nearest = distances.argmin(axis=1)
        cost = float(distances[np.arange(len(x)), nearest].sum())
        if np.array_equal(nearest, groups):
            break
        groups = nearest
        members = np.eye(len(centres))[groups]  # (n, clusters)
        sizes = members.sum(axis=0)[:, None]
        centres = np.where(sizes > 0, members.T @ x / np.maximum(sizes, 1), centres)
    return cost, groups


def representatives(groups: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The first frame of each cluster; the largest cluster's next frames stand in for empty ones."""
    present, firsts = np.unique(groups, return_index=True)
    largest = present[np.argmax(np.bincount(groups)[present])]
    spare = np.flatnonzero(groups == largest)[1 : 1 + count - len(present)]
    return np.sort(np.concatenate([firsts, spare]))


def released(footage: FrameSequence, count: int) -> Choice:
    """The released selection as a selector, to run beside ours.

    The scripts lose short videos and leave too few frames of others, which a comparison has to count separately. Here
    frames then repeat, spread evenly over those that were left, or are spread over the whole footage if none was.
    """
    found = released_selection(footage.frames, footage.flow, count)
    if not len(found.indices):
        return evenly(footage, count)
    groups = np.full(len(footage.frames), -1)
    groups[found.scene] = found.groups
    chosen = found.indices[uniform(len(found.indices), count)]
    return Choice(chosen, groups, np.array(found.cuts, np.intp))
