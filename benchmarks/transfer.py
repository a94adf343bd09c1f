r"""What a trained model brings to other recordings: trained on from it, and trained alike from random weights.

Either on the splits of the list, once for each seed, or leaving one subject after the other out of those named. With
--json, an interrupted comparison goes on.

Examples:
    python benchmarks/transfer.py ut_interaction/index.csv --train train val --test test --json ut.json
    python benchmarks/transfer.py ut_interaction/index.csv --leave-out seq01 seq02 seq03 --json set1.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import get_args

import torch
from results import Results

from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.data.labels import LabelMap
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import Recording, chosen
from fluxformer_core.models.registry import create_model
from fluxformer_core.training.joining import start_from
from fluxformer_core.training.recipe import TrainConfig
from fluxformer_core.training.train import accuracy, train
from fluxformer_core.types import ClipSpec, FramingName

SCRATCH, TUNED = "from random weights", "fine-tuned"


def main() -> None:
    """Train, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder or list of recordings")
    parser.add_argument("--media", help="take the files from this folder beside the list")
    parser.add_argument("--depth", action="store_true", help="the recordings show depth as grey")
    parser.add_argument(
        "--labels", type=Path, help="CSV name,label: names of the starting model, whose part of its head is then kept"
    )
    parser.add_argument("--from", dest="start", type=Path, help="model to start from (default: the shipped one)")
    parser.add_argument(
        "--framing", choices=get_args(FramingName), help="see the centre square, or all (default: as the model)"
    )
    parser.add_argument("--brighten", action="store_true", help="show dark images brighter")
    parser.add_argument("--train", nargs="+", metavar="SPLIT", help="splits to train on")
    parser.add_argument("--test", nargs="+", metavar="SPLIT", help="splits to measure on")
    parser.add_argument("--leave-out", nargs="+", metavar="SUBJECT", help="instead: measure on each, train on the rest")
    parser.add_argument("--ways", nargs="+", choices=(SCRATCH, TUNED), default=[SCRATCH, TUNED], metavar="WAY")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument(
        "--backbone-rate", type=float, default=0.3, help="when fine-tuning, relative to the head's rate"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(".cache/clips"))
    parser.add_argument("--json", type=Path, help="keep results here, and go on from them")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recordings = read_data(arguments.data, media=arguments.media)
    if arguments.labels:
        recordings = LabelMap.read(arguments.labels).apply(recordings)
    start = Bundle.load(arguments.start or default_bundle_path())
    recipe = TrainConfig(epochs=arguments.epochs, mixup=0.3)
    spec = replace(
        start.spec,
        framing=arguments.framing or start.spec.framing,
        brighten=arguments.brighten or start.spec.brighten,
    )
    setting = {"from": start.digest, "recipe": asdict(recipe), "backbone_rate": arguments.backbone_rate}
    setting |= {"framing": spec.framing, "brighten": spec.brighten, "labels": sorted({r.label for r in recordings})}
    results = Results(arguments.json, setting)
    recipe = replace(recipe, workers=arguments.workers)
    columns = []
    for name, known, held, seed in _rounds(recordings, arguments):
        columns.append(name)
        labels = tuple(sorted({r.label for r in recordings}))
        stores = [
            ClipStore.build(part, labels, spec, arguments.cache, depth=arguments.depth, workers=arguments.workers)
            for part in (known, held)
        ]
        for way in arguments.ways:
            rate = arguments.backbone_rate if way == TUNED else 1.0
            own = replace(recipe, seed=seed, backbone_rate=rate)
            results.add(way, name, partial(_top1, way, start, spec, stores, own))
    print("\n" + results.table(columns))


def _rounds(
    recordings: Sequence[Recording], arguments: argparse.Namespace
) -> list[tuple[str, list[Recording], list[Recording], int]]:
    """Name, recordings to train on, recordings to measure on, and seed of each training."""
    if arguments.leave_out:
        everyone = chosen(recordings, splits=(), subjects=arguments.leave_out)
        return [
            (out, [r for r in everyone if r.subject != out], [r for r in everyone if r.subject == out], seed)
            for seed, out in enumerate(arguments.leave_out)
        ]
    if not (arguments.train and arguments.test):
        raise SystemExit("name the splits to train and to measure on, or the subjects to leave out")
    known, held = (chosen(recordings, splits=splits, subjects=()) for splits in (arguments.train, arguments.test))
    return [(f"seed {seed}", known, held, seed) for seed in arguments.seeds]


def _top1(way: str, start: Bundle, spec: ClipSpec, stores: Sequence[ClipStore], recipe: TrainConfig) -> float:
    known, held = stores
    torch.manual_seed(recipe.seed)
    if way == TUNED:
        model, _ = start_from(start, known.labels)
    else:
        model = create_model(start.name, len(known.labels), config=start.metadata.config)
    trained = train(model, [known], spec, recipe)
    return accuracy(trained.model, held, spec)


if __name__ == "__main__":
    main()
