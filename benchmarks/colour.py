r"""What is left of a model's accuracy when colour cameras take the place of depth cameras.

Performances of the rendered actor that no training has seen, each in depth and in colour; and recordings of depth, as
they are and dressed: the same people and movements with clothes, light and a place, as a colour camera would show them.

Example:
    python benchmarks/colour.py utd_mhad_depth/index.csv --media clips_crop --splits test
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fluxformer_core.actor import ACTIONS
from fluxformer_core.augment.augment_clip import Clip, augment_clip
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.training_clip import raw_clip, whole_clip
from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.data.clip_store import ActorClip, ClipStore, Sample
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import chosen
from fluxformer_core.stream.clip import encode_flow, normalise_rgb
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.types import OTHER

UNSEEN = 1_000_000
"""Seeds of performances from here on are nobody's training."""

SHOWN = 6
"""Labels that are named with how they fare."""

AS_FILMED = replace(
    AugmentConfig(), scale=(1.0, 1.0), aspect=0.0, shift=0.0, rotation=0.0, tempo=(1.0, 1.0), colourised=1.0
)
"""Dressed, but neither moved nor made faster."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="list of recordings that show depth as grey")
    parser.add_argument("--media", help="take the files from this folder beside the list")
    parser.add_argument("--splits", nargs="+", default=[])
    parser.add_argument("--model", type=Path, help="bundle (default: the shipped one)")
    parser.add_argument("--actor", type=int, default=10, help="performances of each action")
    parser.add_argument("--seeds", type=int, default=3, help="how often each recording is dressed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(".cache/clips"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bundle = Bundle.load(arguments.model or default_bundle_path())
    build = {"cache": arguments.cache, "workers": arguments.workers}
    known = [label for label in bundle.labels if label in ACTIONS and label != OTHER]
    print(f"the actor, {arguments.actor} unseen performances of {len(known)} actions:")
    for mode in ("depth", "colour"):
        clips = [
            ActorClip(label, UNSEEN + i * len(known) + k, mode)
            for i in range(arguments.actor)
            for k, label in enumerate(known)
        ]
        store = ClipStore.build(clips, bundle.labels, bundle.spec, **build)
        right = _right(bundle, store, _whole(bundle))
        print(f"  {mode:<8}{right.mean():6.1%}  (least known: {_least(store, right)})")
    if arguments.data:
        recordings = chosen(read_data(arguments.data, media=arguments.media), splits=arguments.splits, subjects=[])
        store = ClipStore.build(recordings, bundle.labels, bundle.spec, depth=True, **build)
        print(f"{len(store)} recordings:\n  depth   {_right(bundle, store, _whole(bundle)).mean():6.1%}")
        tops = [_right(bundle, store, _colourised(bundle, seed)).mean() for seed in range(arguments.seeds)]
        print(f"  dressed {np.mean(tops):6.1%}  ({min(tops):.1%} to {max(tops):.1%} in {len(tops)} changes of clothes)")


def _whole(bundle: Bundle) -> Callable[[int, Sample], Clip]:
    def clip(number: int, sample: Sample) -> Clip:
        return whole_clip(sample, bundle.spec.frames, SELECTORS[bundle.spec.selection])[:2]

    return clip


def _colourised(bundle: Bundle, seed: int) -> Callable[[int, Sample], Clip]:
    def clip(number: int, sample: Sample) -> Clip:
        indices = SELECTORS[bundle.spec.selection](sample, bundle.spec.frames).indices
        return augment_clip(raw_clip(sample, indices), AS_FILMED, np.random.default_rng([seed, number]))

    return clip


@torch.inference_mode()
def _right(bundle: Bundle, store: ClipStore, clip: Callable[[int, Sample], Clip]) -> NDArray[np.bool_]:
    model = bundle.build_model()
    answers: list[int] = []
    for i in tqdm(range(len(store)), unit="clip", leave=False, disable=None):
        frames, flow = (torch.from_numpy(part) for part in clip(i, store[i]))
        logits = model(normalise_rgb(frames, bundle.spec)[None], encode_flow(flow, bundle.spec)[None]).logits
        answers.append(int(logits.argmax()))
    return np.asarray(np.array(answers) == store.classes)


def _least(store: ClipStore, right: NDArray[np.bool_]) -> str:
    """The labels that are missed most, with how many of their performances are named."""
    of_label = {label: right[store.classes == label] for label in np.unique(store.classes).tolist()}
    worst = sorted(of_label, key=lambda label: float(of_label[label].mean()))[:SHOWN]
    return ", ".join(f"{store.labels[label]} {of_label[label].sum()} of {len(of_label[label])}" for label in worst)


if __name__ == "__main__":
    main()
