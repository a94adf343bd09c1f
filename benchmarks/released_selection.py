"""Frame selection of Fluxformer (RA-L 2023) as in the authors' released scripts, for a comparison.

The scripts work on whole videos and on colour images of the flow. The colours of each flow field are scaled by its
fastest pixel, so an image tells where the frame moves most, not how fast. The two images with the smallest colour sum
count as scene cuts. The frames after or between the cuts are clustered; the first frame of each cluster is selected.
Videos with too few frames are lost.

The scripts leave the clustering to scikit-learn. Here, the principal components are exact, empty clusters stay empty,
and the random starts are NumPy's of the same seed, so clusters may differ in detail.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fluxformer_core.flow.colours import flow_colours
from fluxformer_core.stream.selection import Choice, FrameSequence, evenly, uniform

CLOSE = 64
"""With fewer flow fields than this between the two cuts, all frames after the first cut are kept."""

SIDE = 64  # px: of the grey images that are clustered
SEED = 25
STARTS, ROUNDS = 10, 300  # of the clustering: scikit-learn's defaults


@dataclass(frozen=True)
class Released:
    """The frames that the released scripts select."""

    indices: NDArray[np.intp]  # (at most T,) ascending; empty if the video is lost
    scene: slice  # the frames that were clustered
    groups: NDArray[np.intp]  # cluster of each clustered frame
    cuts: tuple[int, ...]  # first frame after each cut


def released_selection(
    frames: NDArray[np.uint8], flow: NDArray[np.floating] | NDArray[np.integer], count: int
) -> Released:
    """Run the released algorithm on a video with frames (n, H, W, 3) RGB.

    The flow (n, H, W, 2) leads from the frame before to each frame, in any unit; the first field is not used.
    `count` is T, 16 in the scripts.
    """
    n = len(frames)
    if n - 1 < count:
        return Released(np.empty(0, np.intp), slice(0, 0), np.empty(0, np.intp), ())
    scene, cuts = _scene(colour_sums(flow[1:]))
    kept = frames[scene]
    if len(kept) <= count:
        groups = np.arange(len(kept))
        return Released(scene.start + groups, scene, groups, cuts)
    grey = np.stack([cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (SIDE, SIDE)) for frame in kept])
    groups = _cluster(_components(grey.reshape(len(kept), -1).astype(np.float64)), count)
    return Released(scene.start + representatives(groups, count), scene, groups, cuts)


def colour_sums(flow: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Sum of the colours of each field over pixels and channels; large where most of the frame hardly moves."""
    tiny = float(np.finfo(np.float64).eps)
    radii = (max(float(np.hypot(field[..., 0], field[..., 1]).max()), tiny) for field in flow)
    return np.array([flow_colours(f, r).sum(dtype=np.int64) for f, r in zip(flow, radii, strict=True)])


def _scene(sums: NDArray[np.int64]) -> tuple[slice, tuple[int, ...]]:
    # The scripts look up both sums by value, so equal sums, as well as a single sum, give the same cut twice.
    smallest, second = np.sort(sums)[[0, min(1, len(sums) - 1)]]
    places = [int(np.flatnonzero(sums == value)[0]) for value in (smallest, second)]
    first, last = min(places), max(places)
    stop = len(sums) + 1 if last - first < CLOSE else last + 1
    return slice(first + 1, stop), tuple(sorted({first + 1, last + 1}))


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
    """Sum of squared distances, up to a constant, and the cluster of each row; empty clusters stay empty."""
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
    """The first frame of each cluster; further frames of the largest cluster replace those of empty clusters."""
    present, firsts = np.unique(groups, return_index=True)
    largest = present[np.argmax(np.bincount(groups)[present])]
    spare = np.flatnonzero(groups == largest)[1 : 1 + count - len(present)]
    return np.sort(np.concatenate([firsts, spare]))


def released(sequence: FrameSequence, count: int) -> Choice:
    """The released selection with the interface of our selections.

    The scripts lose short videos and select too few frames of others. Here the selected frames repeat evenly, or are
    spread evenly over all frames of a lost video.
    """
    found = released_selection(sequence.frames, sequence.flow, count)
    if not len(found.indices):
        return evenly(sequence, count)
    groups = np.full(len(sequence.frames), -1)
    groups[found.scene] = found.groups
    chosen = found.indices[uniform(len(found.indices), count)]
    return Choice(chosen, groups, np.array(found.cuts, np.intp))
