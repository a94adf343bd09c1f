"""Speed and memory of an evaluation of three bags that are made of recordings.

python -m benchmarks.bags bags/ --colour ut_interaction/index.csv --depth utd_mhad_depth/index.csv --media clips_crop
"""

from __future__ import annotations

import csv
import resource
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from benchmarks.options import parser
from benchmarks.synthetic.bag_writer import ImageBag
from fluxformer_core.cli.shared_arguments import add_backend_arguments
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import Recording, chosen
from fluxformer_core.evaluation.bags.evaluation import evaluate_bags
from fluxformer_core.evaluation.bags.watch import peak_memory
from fluxformer_core.evaluation.report.json_document import speed
from fluxformer_core.evaluation.report.text import bag_table
from fluxformer_core.evaluation.speed.machine import usable_cores
from fluxformer_core.images import FAR_GREY, NEAR_GREY, to_rgb
from fluxformer_core.io.sources import open_source
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.types import SECOND, Pixels

NEAR, FAR = 0.5, 4.5  # m: depth of the brightest and the darkest grey of depth recordings
SIZE, RATE = (640, 480), 30.0  # px, Hz: 28 MB/s raw
TOPIC = "/camera/image_raw"
START = 1_700_000_000 * SECOND


Shot = tuple[np.ndarray, Pixels, str, int]
"""An image of a recording, the recording's label, and the recording's number in the bag."""


def main() -> None:
    """Write the bags, evaluate them together, and print time and memory."""
    made = parser(__doc__, "media", "subjects", "model")
    add = made.add_argument
    add("folder", type=Path, help="for the bags; existing bags are used again")
    add("--colour", type=Path, required=True, help="recordings in colour, as `fluxformer train` takes")
    add("--depth", type=Path, required=True, help="recordings that show depth as brightness, of --media and --subjects")
    add("--minutes", type=float, default=5.0, help="of each bag (default: %(default)g)")
    add("--workers", type=int, default=usable_cores(), help="processes (default: the cores)")
    add_backend_arguments(made)
    options = made.parse_args()
    cv2.setNumThreads(1)
    colour = read_data(options.colour)
    shown = chosen(read_data(options.depth, media=options.media), splits=(), subjects=options.subjects)
    depth = [replace(recording, pixels="depth") for recording in shown]
    options.folder.mkdir(parents=True, exist_ok=True)
    truth = options.folder / "truth.csv"
    kinds = {"colour_raw": (colour, False), "colour_compressed": (colour, True), "depth": (depth, False)}
    lines: list[tuple[object, ...]] = []
    for name, (recordings, compressed) in kinds.items():
        bag = options.folder / name
        if not bag.exists():
            lines += _write(bag, _shots(recordings, options.minutes * 60), compressed)
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


def _shots(recordings: Sequence[Recording], seconds: float) -> Iterator[Shot]:
    """The recordings in order, again and again."""
    left = round(seconds * RATE)
    for number, recording in enumerate(cycle(recordings)):
        with open_source(recording.path, topic=recording.topic or None) as source:
            for frame in source:
                image = _fitted(to_rgb(frame.image, frame.pixels))
                depth = recording.pixels == "depth"
                seen = (_millimetres(image[..., 0]), Pixels.DEPTH) if depth else (image, Pixels.RGB)
                yield *seen, recording.label, number
                left -= 1
                if not left:
                    return


def _write(bag: Path, shots: Iterator[Shot], compressed: bool) -> list[tuple[object, ...]]:
    lines: list[tuple[object, ...]] = []
    unfinished = bag.with_name(f"{bag.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    topic = f"{TOPIC}/compressed" if compressed else TOPIC
    label, number, since, i = "", 0, 0.0, 0
    with ImageBag(unfinished, compressed=compressed) as writer:
        for i, (image, pixels, new_label, new_number) in enumerate(shots):
            writer.write(topic, image, pixels, START + round(i * SECOND / RATE))
            if new_number != number:
                lines.append((bag.name, "", since, i / RATE, label))
                since = i / RATE
            label, number = new_label, new_number
    unfinished.rename(bag)
    return [*lines, (bag.name, "", since, (i + 1) / RATE, label)]


def _fitted(image: np.ndarray) -> np.ndarray:
    """The image scaled to the height, with black sides or cut at the sides."""
    width, height = SIZE
    scaled = cv2.resize(image, (max(1, round(image.shape[1] * height / image.shape[0])), height))
    spare = width - scaled.shape[1]
    if spare >= 0:
        return cv2.copyMakeBorder(scaled, 0, 0, spare // 2, spare - spare // 2, cv2.BORDER_CONSTANT)
    left = -spare // 2
    return np.ascontiguousarray(scaled[:, left : left + width])


def _millimetres(grey: np.ndarray) -> np.ndarray:
    """Depth in millimetres of a grey level, 0 for black."""
    share = (grey.astype(np.float32) - FAR_GREY) / (NEAR_GREY - FAR_GREY)
    millimetres = 1000 * (FAR - np.clip(share, 0, 1) * (FAR - NEAR))
    return np.where(grey >= FAR_GREY / 2, millimetres, 0).astype(np.uint16)


if __name__ == "__main__":
    main()
