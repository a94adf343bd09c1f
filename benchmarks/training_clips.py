"""Draw a contact sheet of training clips (frames, flow in colours, labels), and measure the time of a clip.

Example:
    python -m benchmarks.training_clips index.csv --depth --media clips_crop --splits train --out sheet.png
    python -m benchmarks.training_clips --labels wave clap walk --other 1 --out nothing.png
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.options import parser
from fluxformer_core.actor import ACTIONS
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.other_clips import OtherClips
from fluxformer_core.augment.pair_flow import PairFlow
from fluxformer_core.augment.training_clip import training_clip
from fluxformer_core.data.assembly import RecordingFilter, build_stores, read_sources
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.data.label_table import read_label_table
from fluxformer_core.flow.colours import flow_colours
from fluxformer_core.types import OTHER, ClipSpec

Clip = tuple[NDArray[np.float32], NDArray[np.float32], str]
EVERY = 2
"""Every second frame is shown."""


def clips(
    stores: list[ClipStore], spec: ClipSpec, config: AugmentConfig, rng: np.random.Generator
) -> Iterator[tuple[Clip, float]]:
    """Random clips, and the processor time of each in ms."""
    others = OtherClips(stores)
    labels = stores[0].labels
    mirror_of, pair_flow = read_label_table().mirrors(labels)[0], PairFlow(spec.flow)
    while True:
        store = stores[int(rng.integers(len(stores)))]
        sample = store[int(rng.integers(len(store)))]
        begin = time.process_time()
        if rng.random() < config.other:
            frames, flow = others.draw(spec.frames, config, rng)
            name = OTHER
        else:
            frames, flow, label = training_clip(sample, spec.frames, mirror_of, config, rng, pair_flow=pair_flow)
            name = labels[label]
        yield (frames, flow, name), 1e3 * (time.process_time() - begin)


def strip(clip: Clip, scale: float) -> NDArray[np.uint8]:
    """The frames of a clip side by side, above their flow."""
    frames, flow, name = clip
    seen = np.hstack([(np.clip(frame, 0, 1) * 255).astype(np.uint8) for frame in frames[::EVERY]])
    moved = np.hstack([flow_colours(field, scale) for field in flow[::EVERY]])
    image = np.ascontiguousarray(np.vstack([seen, moved]))
    cv2.putText(image, name, (2, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 0), 1, cv2.LINE_AA)
    return image


def main() -> None:
    """Draw the sheet and print the time of a clip."""
    made = parser(__doc__, "splits", "subjects", "seed", "cache")
    add = made.add_argument
    add("data", nargs="*", type=Path, help="as for `fluxformer train`; without: the actor alone")
    add("--media", nargs="+", default=[])
    add("--depth", nargs="*")
    add("--labels", nargs="+", default=list(ACTIONS), help="of the actor, without data")
    add("--actor", type=int, default=2, help="rendered clips per label (default: %(default)s)")
    add("--other", type=float, default=0.2, help="share of clips without action (default: %(default)s)")
    add("--clips", type=int, default=32)
    add("--out", type=Path, required=True)
    arguments = made.parse_args()
    cv2.setNumThreads(1)
    spec = ClipSpec()
    chosen = RecordingFilter(tuple(arguments.splits), tuple(arguments.subjects))
    sources = read_sources(arguments.data, arguments.media, arguments.depth, chosen, None) if arguments.data else []
    found = {recording.label for source in sources for recording in source.train}
    labels = tuple(sorted(found)) if found else tuple(arguments.labels)
    stores, _ = build_stores(sources, labels, spec, arguments.cache, actor=arguments.actor, seed=arguments.seed)
    config = replace(AugmentConfig(), other=arguments.other)
    drawn = clips(stores, spec, config, np.random.default_rng(arguments.seed))
    next(drawn)  # the first clip also renders the backgrounds
    shown, costs = zip(*islice(drawn, arguments.clips), strict=True)
    strips = [strip(clip, spec.flow_scale) for clip in shown]
    rows = [np.hstack(pair) for pair in zip(strips[::2], strips[1::2], strict=False)]
    cv2.imwrite(str(arguments.out), np.vstack(rows)[..., ::-1])
    print(f"{np.mean(costs):.1f} ms per clip on average, {np.percentile(costs, 90):.1f} ms in one of ten")


if __name__ == "__main__":
    main()
