r"""What each part of Fluxformer brings: trained alike with and without it, on the training subjects of a data set.

Every fold holds one subject out, trains on the others with a seed of its own, and names the held-out subject's
recordings. The parts are added one after the other, as in the paper's ablation. Subjects of the test split are never
looked at, so that what is learnt here may shape the model. With --json, an interrupted comparison goes on.

Example:
    python benchmarks/ablation.py utd_mhad_depth/index.csv --media clips_crop --depth --subjects s01 s03 s05 s07 \
        --folds s03 s05 s07 --json ablation.json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from results import Results

from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.data.read_data import read_data
from fluxformer_core.models.cost import count_multiply_adds, count_parameters
from fluxformer_core.models.registry import clip_spec, create_model
from fluxformer_core.training.recipe import TrainConfig
from fluxformer_core.training.train import accuracy, train
from fluxformer_core.types import SelectionName

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
)


def main() -> None:
    """Train every variant in every fold and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="list of recordings with subjects")
    parser.add_argument("--media", help="take the files from this folder beside the list")
    parser.add_argument("--depth", action="store_true", help="the recordings show depth as grey")
    parser.add_argument("--subjects", nargs="+", required=True, help="to train on")
    parser.add_argument("--folds", nargs="+", required=True, help="to hold out, one after the other")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(".cache/clips"))
    parser.add_argument("--json", type=Path, help="keep results here, and go on from them")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recordings = [r for r in read_data(arguments.data, media=arguments.media) if r.subject in arguments.subjects]
    labels = sorted({r.label for r in recordings})
    # Depth stays depth here: what dresses it for colour cameras is learnt in time that a short training lacks.
    augment = replace(AugmentConfig(), colourised=0.0, with_background=0.0, partial=0.2, flip=0.0)
    recipe = TrainConfig(epochs=arguments.epochs, mixup=0.3, augment=augment)
    results = Results(arguments.json, {"subjects": arguments.subjects, "recipe": asdict(recipe)})
    recipe = replace(recipe, workers=arguments.workers)
    for seed, fold in enumerate(arguments.folds):
        known, held = (
            ClipStore.build(
                [r for r in recordings if (r.subject == fold) == out],
                labels,
                clip_spec(MODEL),
                arguments.cache,
                depth=arguments.depth,
                workers=arguments.workers,
            )
            for out in (False, True)
        )
        for variant in VARIANTS:
            trained = replace(recipe, seed=seed)
            results.add(variant.name, fold, partial(_top1, variant, known, held, trained))
    print("\n" + results.table(arguments.folds, {v.name: _cost(v, len(labels)) for v in VARIANTS}))


def _top1(variant: Variant, known: ClipStore, held: ClipStore, recipe: TrainConfig) -> float:
    torch.manual_seed(recipe.seed)
    model = create_model(MODEL, len(known.labels), **variant.changes)
    spec = replace(clip_spec(MODEL), selection=variant.selection)
    trained = train(model, [known], spec, recipe)
    return accuracy(trained.model, held, spec)


def _cost(variant: Variant, classes: int) -> str:
    spec = clip_spec(MODEL)
    with torch.device("meta"):
        model = create_model(MODEL, classes, **variant.changes).eval()
    multiply_adds = count_multiply_adds(model, (3, spec.frames, spec.size, spec.size))
    return f"{count_parameters(model) / 1e6:.2f} M parameters, {multiply_adds / 1e9:.3f} GMAC"


if __name__ == "__main__":
    main()
