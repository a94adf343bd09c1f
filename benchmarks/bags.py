"""Speed and memory of an evaluation of three bags that are made of recordings.

python -m benchmarks.bags bags/ --colour ut_interaction/index.csv --depth utd_mhad_depth/index.csv --media clips_crop
"""

from __future__ import annotations

import argparse
import csv
import resource
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from benchmarks.synthetic.bag_writer import ImageBag
from fluxformer_core.bundle import default_bundle_path
from fluxformer_core.cli.shared_arguments import add_backend_arguments
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import Recording
from fluxformer_core.evaluation.bags.evaluation import evaluate_bags
from fluxformer_core.evaluation.bags.watch import peak_memory
from fluxformer_core.evaluation.report.json_document import speed
from fluxformer_core.evaluation.report.text import bag_table
from fluxformer_core.evaluation.speed.machine import usable_cores
from fluxformer_core.io.sources import open_source
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.prepare import FAR_GREY, NEAR_GREY, to_rgb
from fluxformer_core.types import SECOND, Pixels

NEAR, FAR = 0.5, 4.5  # m: depth of the brightest and the darkest grey of depth recordings
TOPIC = "/camera/image_raw"
START = 1_700_000_000 * SECOND


@dataclass(frozen=True)
class Shot:
    """An image of a recording."""

    image: np.ndarray
    pixels: Pixels
    label: str
    number: int  # of the recording in the bag


def main() -> None:
    """Write the bags, evaluate them together, and print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the bags; existing bags are used again")
    parser.add_argument("--colour", type=Path, required=True, help="recordings in colour, as `fluxformer train` takes")
    parser.add_argument("--depth", type=Path, required=True, help="recordings that show depth as brightness")
    parser.add_argument("--media", help="folder of the depth recordings, beside their list")
    parser.add_argument("--subjects", nargs="+", default=[], help="of the depth recordings (default: all)")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each bag (default: %(default)g)")
    parser.add_argument("--size", default="640x480", help="of the images (default: %(default)s; raw: 28 MB/s at 30 Hz)")
    parser.add_argument("--rate", type=float, default=30.0, help="Hz (default: %(default)g)")
    parser.add_argument("--model", type=Path, default=default_bundle_path(), help="(default: the shipped one)")
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes (default: the cores)")
    add_backend_arguments(parser)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    cv2.setNumThreads(1)
    colour = read_data(options.colour)
    depth = [
        replace(recording, pixels="depth")
        for recording in read_data(options.depth, media=options.media)
        if not options.subjects or recording.subject in options.subjects
    ]
    options.folder.mkdir(parents=True, exist_ok=True)
    truth = options.folder / "truth.csv"
    kinds = {"colour_raw": (colour, False), "colour_compressed": (colour, True), "depth": (depth, False)}
    lines: list[tuple[object, ...]] = []
    for name, (recordings, compressed) in kinds.items():
        bag = options.folder / name
        shots = _shots(recordings, (width, height), options.rate, options.minutes * 60)
        if not bag.exists():
            lines += _write(bag, shots, compressed, options.rate)
            print(f"{name}: {sum(f.stat().st_size for f in bag.iterdir()) / 1e6:.0f} MB", flush=True)
    if lines:
        if len({line[0] for line in lines}) < len(kinds):
            raise SystemExit(f"{options.folder} holds some of the bags already: remove the folder")
        with truth.open("w", newline="") as file:
            csv.writer(file).writerows([("bag", "topic", "start", "end", "label"), *lines])
    bags = [options.folder / name for name in kinds]
    config = RecognizerConfig(backend=options.backend, precision=options.precision)
    evaluation = evaluate_bags(bags, [truth], options.model, config=config, workers=options.workers)
    print(bag_table(evaluation))
    found = speed(evaluation)
    largest = max(peak_memory(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    watched = sum(stream.result.seconds for stream in evaluation.streams)
    print(
        f"\n{watched / 60:.1f} minutes in {found['seconds']:.0f} s: {found['times_real_time']:.2f} times real time, "
        f"{found['processes']} processes; the largest process had {largest:.0f} MiB in memory"
    )


def _shots(recordings: Sequence[Recording], size: tuple[int, int], rate: float, seconds: float) -> Iterator[Shot]:
    """The recordings in order, repeated without end."""
    left = round(seconds * rate)
    for number, recording in enumerate(cycle(recordings)):
        with open_source(recording.path, topic=recording.topic or None) as source:
            for frame in source:
                image = _fitted(to_rgb(frame.image, frame.pixels), size)
                if recording.pixels == "depth":
                    yield Shot(_metres(image[..., 0]), Pixels.DEPTH, recording.label, number)
                else:
                    yield Shot(image, Pixels.RGB, recording.label, number)
                left -= 1
                if not left:
                    return


def _write(bag: Path, shots: Iterator[Shot], compressed: bool, rate: float) -> list[tuple[object, ...]]:
    lines: list[tuple[object, ...]] = []
    unfinished = bag.with_name(f"{bag.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    topic = f"{TOPIC}/compressed" if compressed else TOPIC
    label, number, since, i = "", 0, 0.0, 0
    with ImageBag(unfinished, compressed=compressed) as writer:
        for i, shot in enumerate(shots):
            writer.write(topic, shot.image, shot.pixels, START + round(i * SECOND / rate))
            if shot.number != number:
                lines.append((bag.name, "", since, i / rate, label))
                since = i / rate
            label, number = shot.label, shot.number
    unfinished.rename(bag)
    return [*lines, (bag.name, "", since, (i + 1) / rate, label)]


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image scaled to the height, with black sides or cut at the sides."""
    width, height = size
    scaled = cv2.resize(image, (max(1, round(image.shape[1] * height / image.shape[0])), height))
    spare = width - scaled.shape[1]
    if spare >= 0:
        return cv2.copyMakeBorder(scaled, 0, 0, spare // 2, spare - spare // 2, cv2.BORDER_CONSTANT)
    left = -spare // 2
    return np.ascontiguousarray(scaled[:, left : left + width])


def _metres(grey: np.ndarray) -> np.ndarray:
    """Depth in millimetres of a grey level, 0 for black."""
    share = (grey.astype(np.float32) - FAR_GREY) / (NEAR_GREY - FAR_GREY)
    millimetres = 1000 * (FAR - np.clip(share, 0, 1) * (FAR - NEAR))
    return np.where(grey >= FAR_GREY / 2, millimetres, 0).astype(np.uint16)


if __name__ == "__main__":
    main()
