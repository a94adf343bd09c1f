r"""The small models of all families side by side: trained alike from random weights, on the same recordings.

Every model is trained once for each seed on some subjects (or splits) and names the recordings of others. Each gets
what it would get in use: flow where it takes flow, frames selected by motion. One row each: top-1, parameters,
multiply-adds, milliseconds for one clip alone (the model) and for one new frame (its flow), and the most memory that a
process holds which does nothing but recognise. With --json, an interrupted comparison goes on. Name no subject that
must stay unseen.

Example:
    python benchmarks/families.py utd_mhad_depth/index.csv --media clips_crop --depth --subjects s01 s03 s05 \
        --held s07 --seeds 0 1 2 --json families.json
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from results import Results

from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import chosen
from fluxformer_core.evaluation.speed.latency import measure_latency
from fluxformer_core.evaluation.speed.machine import this_machine
from fluxformer_core.models.cost import count_multiply_adds, count_parameters
from fluxformer_core.models.registry import clip_spec, create_model
from fluxformer_core.training.recipe import TrainConfig
from fluxformer_core.training.train import accuracy, train
from fluxformer_core.types import ClipSpec


@dataclass(frozen=True)
class Entry:
    """A model, and how it departs from what is registered under its name."""

    name: str
    model: str
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> ClipSpec:
        """The clip that it takes; without flow no estimator runs."""
        spec = clip_spec(self.model)
        return replace(spec, flow="none") if self.changes.get("duplex") == "off" else spec


ENTRIES = (
    Entry("fluxformer_nano", "fluxformer_nano"),
    Entry("fluxformer_nano, colour alone", "fluxformer_nano", {"duplex": "off"}),
    Entry("fluxformer_nano_mined", "fluxformer_nano_mined"),
    Entry("emim_nano", "emim_nano"),
    Entry("video_focalnet_nano", "video_focalnet_nano"),
)


def main() -> None:
    """Train every model with every seed and print the table."""
    arguments = _parse()
    torch.set_num_threads(arguments.threads)
    recordings = read_data(arguments.data, media=arguments.media)
    parts = [
        chosen(recordings, splits=splits, subjects=subjects)
        for splits, subjects in (
            (arguments.splits, arguments.subjects),
            (arguments.held_splits, arguments.held),
        )
    ]
    parts = [part[:: arguments.every] for part in parts]
    if not parts[0] or not parts[1] or set(parts[0]) & set(parts[1]):
        raise SystemExit("name recordings to train on (--subjects, --splits) and others to measure on (--held, ...)")
    labels = sorted({r.label for r in parts[0]})
    parts[1] = [r for r in parts[1] if r.label in labels]
    # Depth stays depth here: what dresses it for colour cameras is learnt in time that a short training lacks.
    augment = replace(AugmentConfig(), colourised=0.0, with_background=0.0, partial=0.2, flip=0.0)
    recipe = TrainConfig(epochs=arguments.epochs, mixup=0.3, augment=augment)
    named = {key: getattr(arguments, key) for key in ("subjects", "splits", "held", "held_splits", "every")}
    results = Results(arguments.json, {**named, "clips": [len(p) for p in parts], "recipe": asdict(recipe)})
    recipe = replace(recipe, workers=arguments.workers)
    build = partial(ClipStore.build, cache=arguments.cache, depth=arguments.depth, workers=arguments.workers)
    columns, notes = [f"seed {seed}" for seed in arguments.seeds], {}
    entries = [entry for entry in ENTRIES if entry.name in arguments.models]
    for seed, column in zip(arguments.seeds, columns, strict=True):
        for entry in entries:
            trained = replace(recipe, seed=seed)
            results.add(entry.name, column, lambda e=entry, t=trained: _top1(e, t, *_stores(build, parts, labels, e)))
    for entry in entries:
        notes[entry.name] = _cost(entry, _stores(build, parts[1:], labels, entry)[0], arguments.threads)
    print("\n" + results.table(columns, notes))
    machine = this_machine()
    print(f"{machine.processor}, {arguments.threads} of {machine.cores} cores, torch {machine.torch}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="list of recordings")
    parser.add_argument("--media", help="take the files from this folder beside the list")
    parser.add_argument("--depth", action="store_true", help="the recordings show depth as grey")
    parser.add_argument("--subjects", nargs="+", default=[], help="to train on (default: all)")
    parser.add_argument("--splits", nargs="+", default=[], help="to train on (default: all)")
    parser.add_argument("--held", nargs="+", default=[], metavar="SUBJECT", help="to measure on")
    parser.add_argument("--held-splits", nargs="+", default=[], metavar="SPLIT", help="to measure on")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth recording only, to try it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--models", nargs="+", choices=[e.name for e in ENTRIES], default=[e.name for e in ENTRIES], metavar="NAME"
    )
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(".cache/clips"))
    parser.add_argument("--json", type=Path, help="keep results here, and go on from them")
    return parser.parse_args()


def _stores(build: Any, parts: list[Any], labels: list[str], entry: Entry) -> list[ClipStore]:
    """Each part's clips with what the model needs; decoded once for all models that need the same."""
    return [build(part, labels, entry.spec) for part in parts]


def _top1(entry: Entry, recipe: TrainConfig, known: ClipStore, held: ClipStore) -> float:
    torch.manual_seed(recipe.seed)
    model = create_model(entry.model, len(known.labels), **entry.changes)
    trained = train(model, [known], entry.spec, recipe)
    return accuracy(trained.model, held, entry.spec)


def _cost(entry: Entry, store: ClipStore, threads: int) -> str:
    spec = entry.spec
    with torch.device("meta"):
        model = create_model(entry.model, len(store.labels), **entry.changes).eval()
    multiply_adds = count_multiply_adds(model, (3, spec.frames, spec.size, spec.size))
    # A process of its own: what others have held before is not this model's.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        forward, flow, memory = pool.submit(_use, entry, store, threads).result()
    return (
        f"{count_parameters(model) / 1e6:.2f} M parameters, {multiply_adds / 1e9:.3f} GMAC, "
        f"{forward:.1f} ms a clip, {flow:.1f} ms a frame for flow, {memory:.0f} MiB"
    )


def _use(entry: Entry, store: ClipStore, threads: int) -> tuple[float, float, float]:
    """Median milliseconds of a forward and of one frame's flow, and MiB at most; speed depends on no weights."""
    torch.set_num_threads(threads)
    model = create_model(entry.model, len(store.labels), **entry.changes).eval()
    latency = measure_latency(model, store, entry.spec)
    flow = latency.percentile("flow", 50) if "flow" in latency.milliseconds else 0.0
    return latency.percentile("forward", 50), flow, _peak_memory()


def _peak_memory() -> float:
    """MiB that this program has held at most; what getrusage tells includes the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main()
