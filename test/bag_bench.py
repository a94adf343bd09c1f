"""Small bags for tests: images with motion segments, a list of true actions, and models with a fixed answer."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import LABELS, rgb, small_bundle, texture, view

from benchmarks.synthetic.bag_writer import ImageBag
from fluxformer_core.types import SECOND, Pixels

TOPIC = "/camera/image_raw"
START = 1_700_000_000 * SECOND  # stamp of the first image
RATE = 20
_PICTURE = texture(96, 96, seed=5)


def moving(seconds: float, segments: Sequence[tuple[float, float]]) -> Iterable[tuple[int, np.ndarray]]:
    """Stamps (ns) and images (48, 48, 3) of a picture that moves in the segments (start, end) in seconds."""
    x = 0.0
    for i in range(round(seconds * RATE)):
        now = i / RATE
        if any(start <= now < end for start, end in segments):
            x += 1.5
        yield START + round(now * SECOND), rgb(view(_PICTURE, 12 * np.sin(x / 6), 0.0, 48))


def write_bag(
    path: Path, seconds: float = 6.0, segments: Sequence[tuple[float, float]] = ((2.0, 4.0),), **options: Any
) -> Path:
    topics = options.pop("topics", (TOPIC,))
    with ImageBag(path, **options) as bag:
        for stamp, image in moving(seconds, segments):
            for topic in topics:
                bag.write(topic, image, Pixels.RGB, stamp)
    return path


def storage_file(bag: Path) -> Path:
    return next(file for file in bag.iterdir() if file.name != "metadata.yaml")


def write_truth(path: Path, *rows: Sequence[object]) -> Path:
    """Rows are (bag, topic, start, end, label)."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("bag", "topic", "start", "end", "label"), *rows])
    return path


def opinionated_bundle(path: Path, label: str) -> Path:
    """A model that gives every clip this label. The empty label gives all labels about the same probability."""
    bundle = small_bundle()
    weights = dict(bundle.weights)
    weights["head.weight"] = 0.01 * weights["head.weight"]
    weights["head.bias"] = torch.tensor([6.0 * (name == label) for name in LABELS])
    replace(bundle, weights=weights).save(path)
    return path
