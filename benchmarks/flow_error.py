"""End-point error of the flow estimators on rendered motion with a known truth, by speed.

Textured planes move, turn and zoom; the true flow of the rendered actor follows from its capsules. The error is the
length of the difference between estimated and true displacement. `zero` is the error of a flow of zero everywhere: an
estimator is useful where its error is well below.

Example:
    python -m benchmarks.flow_error
    python -m benchmarks.flow_error --gmflow gmflow_things-e9887eda.pth --size 128
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.options import parser
from fluxformer_core.actor import ActorStyle, rehearse
from fluxformer_core.actor.film import Film
from fluxformer_core.actor.pose import Array
from fluxformer_core.actor.render import FAR, ZBuffer, nearest
from fluxformer_core.flow.classical import FlowEstimator
from fluxformer_core.flow.registry import create_flow

EDGES = (0.0, 0.05, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Limits of the rows in pixels per frame."""

SPEEDS = (0.25, 0.75, 1.5, 3.0, 6.0, 12.0)
"""Pixels per frame of the planes; of turning and zooming planes, at their corners."""

ACTIONS = ("wave", "clap", "boxing", "squat", "walk", "tennis_serve")

Case = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]
"""Two images (S, S, 3) and the true displacement (S, S, 2) of the first one's pixels."""


_SHORTEST = 1.0  # px: shorter projected axes (a head, a limb that points at the camera) count as not turning


def texture(side: int, seed: int) -> NDArray[np.uint8]:
    """Blobs on several scales in three colours, (side, side, 3)."""
    noise = np.random.default_rng(seed).standard_normal((side, side, 3)).astype(np.float32)
    blobs = sum(sigma * cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0, 8.0))
    return np.clip(128 + 45 * blobs / np.std(blobs), 0, 255).astype(np.uint8)


def plane(size: int, turn: float, zoom: float, shift: tuple[float, float], seed: int) -> Case:
    """A plane that turns (radians), grows (factor) and moves (px) about the image's centre."""
    around, start = 2 * size, size / 2
    middle = (size - 1) / 2
    rotation = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    row, column = np.mgrid[0:size, 0:size].astype(np.float64)
    offset = np.stack([column - middle, row - middle], axis=-1)
    truth = offset @ rotation.T + shift - offset
    back = (offset - shift) @ np.linalg.inv(rotation).T + middle
    whole = texture(around, seed)
    first = whole[int(start) : int(start) + size, int(start) : int(start) + size]
    x, y = np.moveaxis((back + int(start)).astype(np.float32), -1, 0)
    second = cv2.remap(whole, x, y, cv2.INTER_CUBIC, None, cv2.BORDER_REFLECT)
    return np.ascontiguousarray(first), second.astype(np.uint8), truth.astype(np.float32)


def planes(motion: str, size: int) -> Iterator[Case]:
    """Planes in one kind of motion, at every speed, each with four textures."""
    corner = np.hypot(size / 2, size / 2)
    for speed in SPEEDS:
        for seed in range(4):
            angle, share = 2 * np.pi * (seed + 0.3) / 4, (-1) ** seed * speed / corner
            if motion == "moving":
                yield plane(size, 0.0, 1.0, (speed * np.cos(angle), speed * np.sin(angle)), seed)
            else:
                turn, zoom = (share, 1.0) if motion == "turning" else (0.0, 1.0 + share)
                yield plane(size, turn, zoom, (0.0, 0.0), seed)


def actor(noise: float, size: int, rate: float) -> Iterator[Case]:
    """The actor in colour: every other frame of a few actions."""
    for seed, label in enumerate(ACTIONS):
        style = replace(ActorStyle.sample_recording(seed), noise=noise)
        film = rehearse(label, seed, rate=rate, size=(size, size), mode="colour", style=style)
        for index in range(0, len(film) - 1, 2):
            yield film.frame(index), film.frame(index + 1), true_flow(film, index)


def true_flow(film: Film, index: int) -> NDArray[np.float32]:
    """Displacement of each pixel between an image and the next, (H, W, 2): pixels to the right and down.

    The surface moves with the capsules of the body, which do not roll about their axes; the background does not move.
    Points that are hidden in the next image have a displacement, too.

    Raises:
        IndexError: if there are no two such images.
    """
    if not 0 <= index < len(film) - 1:
        raise IndexError(f"frame {index} has no next one in a performance of {len(film)} frames")
    flow = np.zeros((*film.size, 2), np.float32)
    surface = ZBuffer(film.size, film.focal, colour=False, light=(0.0, 0.0, 1.0), ambient=1.0)
    for part, now, then, flatness in zip(
        film.parts, film.capsules[index], film.capsules[index + 1], film.flatness[index], strict=True
    ):
        before = surface.depth.copy()
        surface.capsule(now.tolist(), part, float(flatness))
        rows, columns = np.nonzero(surface.depth < np.minimum(before, FAR))
        flow[rows, columns] = _moved(columns, rows, now, then, film.focal)
    return flow[:, ::-1] * np.array([-1, 1], np.float32) if film.style.mirrored else flow


def _moved(columns: NDArray[np.intp], rows: NDArray[np.intp], now: Array, then: Array, focal: float) -> Array:
    """Displacements (n, 2) of pixels (n,) on a capsule given by x, y, radius and depth of its ends, twice."""
    start, along_axis = now[:3], now[4:7] - now[:3]
    x, y = (columns - start[0]).astype(np.float32), (rows - start[1]).astype(np.float32)
    slope = float((now[7] - now[3]) * 2.0 * focal / (now[3] + now[7]))
    along = nearest(x, y, (along_axis[0], along_axis[1], along_axis[2]), start[2], slope)[:, None].astype(float)
    circle = start + along * along_axis  # (n, 3): x, y and radius of the section that a pixel shows
    moved = then[:3] + along * (then[4:7] - then[:3])
    off_axis = np.stack([columns, rows], axis=1) - circle[:, :2]
    growth = moved[:, 2:] / np.maximum(circle[:, 2:], 1e-6)
    placed = moved[:, :2] + growth * off_axis @ _turn(along_axis[:2], then[4:6] - then[:2]).T
    return np.asarray(placed - np.stack([columns, rows], axis=1))


def _turn(before: Array, after: Array) -> Array:
    """The rotation from one direction to another, (2, 2)."""
    if min(np.hypot(*before), np.hypot(*after)) < _SHORTEST:
        return np.eye(2)
    angle = np.arctan2(after[1], after[0]) - np.arctan2(before[1], before[0])
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def estimate(
    estimator: FlowEstimator | None, first: NDArray[np.uint8], second: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """The estimator's field; zero without one."""
    if estimator is None:
        return np.zeros((*first.shape[:2], 2), np.float32)
    if estimator.colour:
        return estimator(first, second)
    return estimator(cv2.cvtColor(first, cv2.COLOR_RGB2GRAY), cv2.cvtColor(second, cv2.COLOR_RGB2GRAY))


def compare(cases: Iterator[Case], estimators: dict[str, FlowEstimator | None], margin: int) -> list[list[float]]:
    """A row for each range of speed: pixels, then each estimator's mean error in pixels.

    Pixels in the margin along the border do not count, because their content may leave the image.
    """
    speeds, errors = [], {name: [] for name in estimators}
    inside = np.s_[margin:-margin, margin:-margin] if margin else np.s_[:, :]
    for first, second, truth in cases:
        speeds.append(np.linalg.norm(truth, axis=-1)[inside].ravel())
        for name, estimator in estimators.items():
            errors[name].append(np.linalg.norm(estimate(estimator, first, second) - truth, axis=-1)[inside].ravel())
    row = np.digitize(np.concatenate(speeds), EDGES) - 1
    columns = [np.concatenate(error) for error in errors.values()]
    rows = range(len(EDGES) - 1)
    return [
        [(row == i).sum(), *(error[row == i].mean() for error in columns)] if (row == i).any() else [0] for i in rows
    ]


def main() -> None:
    """Print a table for each kind of motion."""
    made = parser(__doc__)
    made.add_argument("--size", type=int, default=64, help="px, side of the images (default: %(default)s)")
    made.add_argument("--rate", type=float, default=20.0, help="Hz, for frame heights per second (default: 20)")
    made.add_argument("--gmflow", metavar="FILE", help="weights of GMFlow, to have it compared, too")
    arguments = made.parse_args()
    cv2.setNumThreads(1)
    names = ["zero", "dis", "farneback", *(["gmflow"] if arguments.gmflow else [])]
    choices = {"zero": "none", "gmflow": f"gmflow:{arguments.gmflow}"}
    estimators = {name: create_flow(choices.get(name, name)) for name in names}
    margin = arguments.size // 8
    scenes = {
        **{f"plane, {way}": (planes(way, arguments.size), margin) for way in ("moving", "turning", "zooming")},
        "actor": (actor(0.0, arguments.size, arguments.rate), 0),
        "actor, camera noise": (actor(1.0, arguments.size, arguments.rate), 0),
    }
    per_second = arguments.rate / arguments.size
    about = f"{arguments.size} px, {arguments.rate:g} Hz: 1 px/frame = {per_second:.2f}/s"
    print(f"Mean end-point error in px/frame; {about}")
    for scene, (cases, border) in scenes.items():
        print(f"\n{scene:20} {'px/frame':>12} {'heights/s':>14} {'pixels':>9}" + "".join(f"{n:>11}" for n in names))
        for low, high, (pixels, *errors) in zip(EDGES[:-1], EDGES[1:], compare(cases, estimators, border), strict=True):
            if pixels:
                speed = f"{low:g} .. {high:g}", f"{low * per_second:.2f} .. {high * per_second:.2f}"
                print(f"{'':20} {speed[0]:>12} {speed[1]:>14} {pixels:9d}" + "".join(f"{e:11.2f}" for e in errors))


if __name__ == "__main__":
    main()
