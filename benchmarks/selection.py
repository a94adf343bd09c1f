"""Share of the selected frames that lie inside the action, and time of a selection, on sequences with a known truth.

Example:
    python -m benchmarks.selection --seeds 5
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean, median

import cv2
import numpy as np

from benchmarks.options import parser
from benchmarks.released_selection import released, released_selection
from fluxformer_core.actor import ActorStyle, Performance, Stage
from fluxformer_core.flow.classical import DisFlow
from fluxformer_core.stream import selection
from fluxformer_core.stream.buffer import RollingBuffer, Window
from fluxformer_core.stream.prepare import prepare
from fluxformer_core.types import SECOND, ClipSpec, Pixels

SELECTORS = {**selection.SELECTORS, "released": released}
SPEC = ClipSpec()
BEGIN, END, SECONDS = 1.0, 2.2, 3.2
ACTIONS = ("wave", "swipe_left", "throw", "clap", "draw_circle_cw", "squat")


@dataclass(frozen=True)
class Sequence:
    """A window of frames at the model's rate, and its truth."""

    window: Window
    inside: slice  # the frames of the action
    cut: int = 0  # the first frame of the last scene


def _images(seed: int, noise: float = 1.0) -> list[np.ndarray]:
    action, style = Performance(ACTIONS[seed % len(ACTIONS)], BEGIN, END), replace(ActorStyle(), noise=noise)
    film = Stage([action], seed=seed, rate=SPEC.rate, size=(128, 128), duration=SECONDS, style=style)
    return [np.asarray(image) for _, image in film]


def _sequence(images: list[np.ndarray], inside: slice, cut: int = 0) -> Sequence:
    buffer = RollingBuffer(replace(SPEC, window=max(len(images), SPEC.window)), DisFlow())
    for i, image in enumerate(images):
        buffer.push(prepare(image, Pixels.RGB, SPEC), round(i * SECOND / SPEC.rate))
    return Sequence(buffer.window(), inside, cut)


ACT = slice(round(BEGIN * SPEC.rate), round(END * SPEC.rate) + 1)


def acting(seed: int, noise: float = 1.0) -> Sequence:
    """A person stands, acts and stands; 1 is the usual camera noise."""
    return _sequence(_images(seed, noise), ACT)


def flicker(seed: int) -> Sequence:
    """The same in light that flickers by 10 % from frame to frame."""
    light = 1 - 0.1 * (np.arange(round(SECONDS * SPEC.rate)) % 2)
    return _sequence([(i * b).astype(np.uint8) for i, b in zip(_images(seed), light, strict=True)], ACT)


def pan(seed: int) -> Sequence:
    """The camera stands, turns and stands; nobody acts."""
    room = cv2.resize(_images(seed, 0.0)[0], (256, 256), interpolation=cv2.INTER_CUBIC)
    turned = np.clip((np.arange(round(SECONDS * SPEC.rate)) - ACT.start) / (ACT.stop - ACT.start), 0, 1)
    random = np.random.default_rng(seed)
    images = []
    for share in turned:
        matrix = np.array([[1, 0, -20 - 60 * share], [0, 1, -64]], np.float64)
        image = cv2.warpAffine(room, matrix, (128, 128), flags=cv2.INTER_LINEAR)
        images.append(np.clip(image + random.normal(0, 2, image.shape), 0, 255).astype(np.uint8))
    return _sequence(images, ACT)


def cut(seed: int) -> Sequence:
    """A person acts; after a cut, another person elsewhere stands, acts and stands."""
    first = _images(seed + 1)[20:50]
    second = [255 - image[:, ::-1] for image in _images(seed)]  # as different as a picture can be
    inside = slice(len(first) + ACT.start, len(first) + ACT.stop)
    return _sequence(first + second, inside, cut=len(first))


SEQUENCES: dict[str, Callable[[int], Sequence]] = {
    "still, act, still": acting,
    "threefold noise": partial(acting, noise=3.0),
    "flickering light": flicker,
    "still, pan, still": pan,
    "cut in the middle": cut,
}


def share_inside(sequence: Sequence, chosen: np.ndarray) -> float:
    """Share of the selected frames inside the action, or one frame beside it, since flow takes two frames."""
    return float(((chosen >= sequence.inside.start - 1) & (chosen <= sequence.inside.stop)).mean())


def share_before_cut(sequence: Sequence, chosen: np.ndarray) -> float:
    """Share of the selected frames before the cut."""
    return float((chosen < sequence.cut).mean())


def measure(name: str, seeds: int) -> Iterator[tuple[str, float, float, int]]:
    """For each selection: name, mean share inside, mean share before the cut, videos that the scripts would lose."""
    sequences = [SEQUENCES[name](seed) for seed in range(seeds)]
    for way, selector in SELECTORS.items():
        chosen = [selector(sequence.window, SPEC.frames).indices for sequence in sequences]
        kept = [released_selection(s.window.frames, s.window.flow, SPEC.frames) for s in sequences if way == "released"]
        lost = sum(len(one.indices) < SPEC.frames for one in kept)
        inside, before = (mean(map(share, sequences, chosen)) for share in (share_inside, share_before_cut))
        yield way, inside, before, lost


def milliseconds(repeats: int = 50) -> dict[str, float]:
    """Median processor time of one selection from a full window."""
    sequence = acting(0)
    assert len(sequence.window) == SPEC.window
    spent: dict[str, list[float]] = {way: [] for way in SELECTORS}
    for _ in range(repeats):
        for way, selector in SELECTORS.items():
            begin = time.thread_time()
            selector(sequence.window, SPEC.frames)
            spent[way].append(1e3 * (time.thread_time() - begin))
    return {way: median(times) for way, times in spent.items()}


def main() -> None:
    """Print a table in Markdown."""
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, default=6, help="sequences of each kind (default: %(default)s)")
    arguments = made.parse_args()
    cv2.setNumThreads(1)
    print(f"| selected inside the action | {' | '.join(SELECTORS)} |")
    print(f"| --- |{' --- |' * len(SELECTORS)}")
    for name in SEQUENCES:
        cells = []
        for _, inside, before, lost in measure(name, arguments.seeds):
            notes = [f"{100 * before:.0f} % before the cut"] * (before > 0) + [f"{lost} with too few"] * (lost > 0)
            cells.append(f"{100 * inside:.0f} %" + (f" ({', '.join(notes)})" if notes else ""))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    cost = milliseconds()
    print(f"| ms per selection from {SPEC.window} frames | {' | '.join(f'{cost[way]:.2f}' for way in SELECTORS)} |")


if __name__ == "__main__":
    main()
