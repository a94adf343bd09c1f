r"""What each part of Fluxformer brings: trained alike with and without it, on the training subjects of a data set.

Every fold holds one subject out, trains on the others with a seed of its own, and names the held-out subject's
recordings. The parts are added one after the other, as in the paper's ablation. Subjects of the test split are never
looked at, so that what is learnt here may shape the model. A run that was interrupted continues with --json.

Example:
    python benchmarks/ablation.py utd_mhad_depth/index.csv --media clips_crop --depth --subjects s01 s03 s05 s07 \
        --folds s03 s05 s07 --epochs 20 --json ablation.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from fluxformer_core.clip import ClipSpec, SelectionName
from fluxformer_core.learn.annotations import Recording, read_data
from fluxformer_core.learn.augment import AugmentConfig
from fluxformer_core.learn.datasets import ClipStore
from fluxformer_core.learn.labels import mirrored
from fluxformer_core.learn.training import TrainConfig, predict, train
from fluxformer_core.models.cost import count_multiply_adds, count_parameters
from fluxformer_core.models.registry import clip_spec, create_model

MODEL = "fluxformer_nano"


@dataclass(frozen=True)
class Variant:
    """A model and what it is shown."""

    name: str
    changes: dict[str, Any]  # of the model's configuration
    selection: SelectionName = "uniform"


VARIANTS = (
    Variant("plain trunk", {"duplex": "off", "clusters": 0}),
    Variant("+ duplex attention", {"clusters": 0}),
    Variant("+ clustering tokens", {}),
    Variant("+ flow-guided selection", {}, "flow_guided"),
    Variant("without clustering tokens", {"clusters": 0}, "flow_guided"),
)


def main() -> None:
    """Train every variant in every fold, or as many as were asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="list of recordings with subjects")
    parser.add_argument("--media", help="take the files from this folder beside the list")
    parser.add_argument("--depth", action="store_true", help="the recordings show depth as grey")
    parser.add_argument("--subjects", nargs="+", required=True, help="to train on")
    parser.add_argument("--folds", nargs="+", required=True, help="to hold out, one after the other")
    parser.add_argument("--variants", nargs="+", choices=[v.name for v in VARIANTS], metavar="NAME")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(".cache/clips"))
    parser.add_argument("--json", type=Path, help="keep results here, and continue from them")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    chosen = [v for v in VARIANTS if not arguments.variants or v.name in arguments.variants]
    recordings = [r for r in read_data(arguments.data, media=arguments.media) if r.subject in arguments.subjects]
    labels = sorted({r.label for r in recordings})
    # Depth stays depth here: what dresses it for colour cameras is learnt in time that a short training lacks.
    augment = replace(AugmentConfig(), dressed=0.0, walled=0.0, partial=0.2, flip=0.0)
    recipe = TrainConfig(epochs=arguments.epochs, mixup=0.3, workers=arguments.workers, augment=augment)
    done: dict[str, float] = {}
    if arguments.json and arguments.json.exists():
        done = json.loads(arguments.json.read_text())["top1"]
    for seed, fold in enumerate(arguments.folds):
        for variant in chosen:
            key = f"{variant.name} | {fold}"
            if key not in done:
                stores = _stores(recordings, fold, labels, clip_spec(MODEL), arguments)
                done[key] = _top1(variant, stores, labels, replace(recipe, seed=seed))
                print(f"{key}: {done[key]:.1%}", flush=True)
                if arguments.json:
                    report = {"recipe": asdict(recipe), "threads": arguments.threads, "top1": done}
                    arguments.json.write_text(json.dumps(report, indent=1, default=str) + "\n")
    _print_table(chosen, arguments.folds, done)


def _stores(
    recordings: Sequence[Recording], fold: str, labels: Sequence[str], spec: ClipSpec, arguments: argparse.Namespace
) -> tuple[ClipStore, ClipStore]:
    known, held = ([r for r in recordings if (r.subject == fold) == out] for out in (False, True))
    built = [
        ClipStore.build(part, labels, spec, arguments.cache, depth=arguments.depth, workers=arguments.workers)
        for part in (known, held)
    ]
    return built[0], built[1]


def _top1(variant: Variant, stores: tuple[ClipStore, ClipStore], labels: Sequence[str], recipe: TrainConfig) -> float:
    torch.manual_seed(recipe.seed)
    model = create_model(MODEL, len(labels), **variant.changes)
    spec = replace(clip_spec(MODEL), selection=variant.selection)
    partner, fixed = mirrored(labels)
    trained = train(model, stores[:1], spec, partner, recipe, fixed=fixed)
    right = predict(trained.model, stores[1], spec).argmax(1).numpy() == stores[1].classes
    return float(right.mean())


def _print_table(chosen: Sequence[Variant], folds: Sequence[str], done: dict[str, float]) -> None:
    print(f"\n{'':<28}" + "".join(f"{fold:>8}" for fold in folds) + f"{'mean':>9}{'sd':>8}{'M par.':>9}{'GMAC':>8}")
    for variant in chosen:
        values = [done[f"{variant.name} | {fold}"] for fold in folds]
        spread = f"{stdev(values):8.1%}" if len(values) > 1 else " " * 8
        with torch.device("meta"):
            model = create_model(MODEL, 27, **variant.changes).eval()
        spec = clip_spec(MODEL)
        million = count_parameters(model) / 1e6
        macs = count_multiply_adds(model, (3, spec.frames, spec.size, spec.size)) / 1e9
        print(
            f"{variant.name:<28}"
            + "".join(f"{value:8.1%}" for value in values)
            + f"{mean(values):9.1%}{spread}{million:9.2f}{macs:8.3f}"
        )


if __name__ == "__main__":
    main()
