r"""Train models alike and compare their accuracy on recordings that they have not seen.

ablation   Parts of Fluxformer, added one after the other as in the ablation of the paper (RA-L 2023).
families   The small models of all families, with their size, time and memory.
transfer   The same model trained on from a trained model, and from random weights.
colour     No training: a model on depth recordings and on the same recordings rendered as colour images, and on
           performances of the rendered actor in depth and in colour.

Recordings to train on are named by --subjects and --splits, recordings to measure on by --held and --held-splits, one
training for each seed. With --leave-out, each named subject is held out in turn, with a seed of its own. With --json,
an interrupted comparison continues. Do not name subjects that must stay unseen.

Examples:
    python -m benchmarks.compare ablation utd_mhad_depth/index.csv --media clips_crop --depth \
        --subjects s01 s03 s05 s07 --leave-out s03 s05 s07 --json ablation.json
    python -m benchmarks.compare families utd_mhad_depth/index.csv --media clips_crop --depth \
        --subjects s01 s03 s05 --held s07 --seeds 0 1 2 --json families.json
    python -m benchmarks.compare transfer ut_interaction/index.csv --splits train val --held-splits test --json ut.json
    python -m benchmarks.compare colour utd_mhad_depth/index.csv --media clips_crop --splits test
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.options import parser
from fluxformer_core.actor import ACTIONS
from fluxformer_core.augment.augment_clip import augment_clip
from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.augment.training_clip import raw_clip, whole_clip
from fluxformer_core.bundle import Bundle
from fluxformer_core.data.clip_store import ActorClip, ClipStore
from fluxformer_core.data.label_mapping import LabelMap
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import Recording, chosen
from fluxformer_core.evaluation.bags.watch import peak_memory
from fluxformer_core.evaluation.speed.latency import measure_latency
from fluxformer_core.evaluation.speed.machine import this_machine
from fluxformer_core.models.cost import count_multiply_adds, count_parameters
from fluxformer_core.models.registry import clip_spec, create_model
from fluxformer_core.stream.clip import encode_flow, normalise_rgb
from fluxformer_core.stream.selection import SELECTORS
from fluxformer_core.training.joining import start_from
from fluxformer_core.training.recipe import TrainConfig
from fluxformer_core.training.train import accuracy, train
from fluxformer_core.types import OTHER, ClipSpec, FramingName

UNSEEN = 1_000_000
"""Seeds of the actor from here on are used by no training."""

PERFORMANCES = 10
"""Performances of each action by the actor."""

STILL_VIEW = {"scale": (1.0, 1.0), "aspect": 0.0, "shift": 0.0, "rotation": 0.0, "tempo": (1.0, 1.0)}
RENDERED = replace(AugmentConfig(), **STILL_VIEW, colourised=1.0)
"""Colour images instead of depth; neither view nor speed changes."""


@dataclass(frozen=True)
class Variant:
    """A model to train."""

    name: str
    model: str
    spec: ClipSpec
    changes: dict[str, Any] = field(default_factory=dict)  # of the registered configuration
    start: Bundle | None = None  # trained weights to start from
    backbone_rate: float = 1.0  # learning rate of the backbone, relative to the head's

    def create(self, labels: Sequence[str]) -> nn.Module:
        """The model before its training."""
        if self.start is not None:
            return start_from(self.start, labels)
        return create_model(self.model, len(labels), **self.changes)


def ablation(_: argparse.Namespace) -> list[Variant]:
    """Fluxformer from the plain trunk to the whole model."""
    name = "fluxformer_nano"
    uniform = replace(clip_spec(name), selection="uniform")
    return [
        Variant("plain trunk", name, uniform, {"duplex": "off", "clusters": 0}),
        Variant("+ duplex attention", name, uniform, {"clusters": 0}),
        Variant("+ clustering tokens", name, uniform),
        Variant("+ flow-guided selection", name, replace(uniform, selection="flow_guided")),
    ]


def families(_: argparse.Namespace) -> list[Variant]:
    """The smallest model of each family; models without a flow stream need no flow."""
    names = ("fluxformer_nano", "fluxformer_nano_mined", "emim_nano", "video_focalnet_nano")
    alone = replace(clip_spec(names[0]), flow="none")
    first, *rest = (Variant(name, name, clip_spec(name)) for name in names)
    return [first, Variant("fluxformer_nano, colour alone", names[0], alone, {"duplex": "off"}), *rest]


def transfer(options: argparse.Namespace) -> list[Variant]:
    """Fine-tuning, and training from random weights."""
    start = Bundle.load(options.model)
    framing, brighten = options.framing or start.spec.framing, options.brighten or start.spec.brighten
    spec = replace(start.spec, framing=framing, brighten=brighten)
    scratch = Variant("from random weights", start.name, spec, {"config": start.metadata.config})
    return [scratch, replace(scratch, name="fine-tuned", start=start, backbone_rate=options.backbone_rate)]


class Results:
    """Accuracies by row and column; a file keeps them, so that an interrupted comparison of one setting continues."""

    def __init__(self, path: Path | None, setting: dict[str, Any]) -> None:
        self._path = path
        self._setting = json.loads(json.dumps(setting, default=str))
        self._shares: dict[str, dict[str, float]] = {}
        if path is not None and path.exists():
            kept = json.loads(path.read_text())
            if kept["setting"] != self._setting:
                raise SystemExit(f"{path} holds results of another setting: remove it or name another file")
            self._shares = kept["shares"]

    def add(self, row: str, column: str, measure: Callable[[], float]) -> None:
        """Measure, print and keep one result, unless the file has it."""
        cells = self._shares.setdefault(row, {})
        if column not in cells:
            cells[column] = measure()
            print(f"{row} | {column}: {cells[column]:.1%}", flush=True)
            if self._path is not None:
                self._path.write_text(json.dumps({"setting": self._setting, "shares": self._shares}, indent=1) + "\n")

    def table(self, columns: Sequence[str], notes: dict[str, str]) -> str:
        """Rows with their columns, mean, standard deviation and a note."""
        width = max(map(len, self._shares)) + 2
        lines = [" " * width + "".join(f"{column:>9}" for column in columns) + f"{'mean':>9}{'sd':>8}"]
        for row, cells in self._shares.items():
            values = [cells[column] for column in columns]
            deviation = f"{stdev(values):8.1%}" if len(values) > 1 else " " * 8
            shown = "".join(f"{value:9.1%}" for value in values)
            lines.append(f"{row:<{width}}{shown}{mean(values):9.1%}{deviation}  {notes.get(row, '')}".rstrip())
        return "\n".join(lines)


def compare(variants: Sequence[Variant], options: argparse.Namespace) -> None:
    """Train every variant in every round and print the table."""
    recordings = read_data(options.data, media=options.media)
    if options.labels:
        recordings = LabelMap.read(options.labels).apply(recordings)
    rounds = _rounds(recordings, options)
    labels = tuple(sorted({r.label for _, known, _, _ in rounds for r in known}))
    # A short training has no time to learn from depth rendered as colour, so depth stays depth.
    augment = replace(AugmentConfig(), colourised=0.0, with_background=0.0, partial=0.2, flip=0.0)
    if options.mode == "transfer":
        augment = AugmentConfig()
    recipe = TrainConfig(epochs=options.epochs, mixup=0.3, augment=augment)
    setting = {name: getattr(options, name) for name in ("subjects", "splits", "held", "held_splits", "leave_out")}
    setting |= {"labels": labels, "variants": [asdict(replace(v, start=None)) for v in variants]}
    results = Results(options.json, {**setting, "recipe": asdict(recipe)})
    build = partial(ClipStore.build, cache=options.cache, depth=options.depth, workers=options.workers)
    notes = {}
    for column, known, held, seed in rounds:
        parts = known, [recording for recording in held if recording.label in labels]
        for variant in variants:
            own = replace(recipe, seed=seed, backbone_rate=variant.backbone_rate, workers=options.workers)
            stores = [build(part, labels, variant.spec) for part in parts]
            results.add(variant.name, column, partial(_top1, variant, *stores, own))
            notes[variant.name] = notes.get(variant.name) or _cost(variant, stores[1], options)
    print("\n" + results.table([column for column, *_ in rounds], notes))
    machine = this_machine()
    print(f"{machine.processor}, {options.threads} of {machine.cores} cores, torch {machine.torch}")


def _rounds(
    recordings: Sequence[Recording], options: argparse.Namespace
) -> list[tuple[str, list[Recording], list[Recording], int]]:
    """Name, recordings to train on, recordings to measure on, and seed of each training."""
    if options.leave_out:
        everyone = chosen(recordings, splits=options.splits, subjects=options.subjects or options.leave_out)
        return [
            (out, [r for r in everyone if r.subject != out], [r for r in everyone if r.subject == out], seed)
            for seed, out in enumerate(options.leave_out)
        ]
    known = chosen(recordings, splits=options.splits, subjects=options.subjects)
    held = chosen(recordings, splits=options.held_splits, subjects=options.held)
    if not known or not held or set(known) & set(held):
        raise SystemExit("name recordings to train on and other recordings to measure on, or subjects to leave out")
    return [(f"seed {seed}", known, held, seed) for seed in options.seeds]


def _top1(variant: Variant, known: ClipStore, held: ClipStore, recipe: TrainConfig) -> float:
    torch.manual_seed(recipe.seed)
    trained = train(variant.create(known.labels), [known], variant.spec, recipe)
    return accuracy(trained.model, held, variant.spec)


def _cost(variant: Variant, store: ClipStore, options: argparse.Namespace) -> str:
    spec = variant.spec
    with torch.device("meta"):
        model = create_model(variant.model, len(store.labels), **variant.changes).eval()
    multiply_adds = count_multiply_adds(model, (3, spec.frames, spec.size, spec.size))
    note = f"{count_parameters(model) / 1e6:.2f} M parameters, {multiply_adds / 1e9:.3f} GMAC"
    if options.mode != "families":
        return note
    # The memory of a model is measured in a process that has done nothing else.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        forward, flow, memory = pool.submit(_use, variant, store, options.threads).result()
    return f"{note}, {forward:.1f} ms a clip, {flow:.1f} ms a frame for flow, {memory:.0f} MiB"


def _use(variant: Variant, store: ClipStore, threads: int) -> tuple[float, float, float]:
    """Milliseconds of the model for one clip and of the flow for one frame, and MiB of this process."""
    torch.set_num_threads(threads)
    latency = measure_latency(variant.create(store.labels).eval(), store, variant.spec)
    flow = latency.percentile("flow", 50) if "flow" in latency.milliseconds else 0.0
    return latency.percentile("forward", 50), flow, peak_memory()


def colour(options: argparse.Namespace) -> None:
    """Accuracy on depth and on colour, of the actor and of depth recordings rendered as colour."""
    bundle = Bundle.load(options.model)
    common = {"labels": bundle.labels, "spec": bundle.spec, "cache": options.cache, "workers": options.workers}
    build = partial(ClipStore.build, **common)
    known = [label for label in bundle.labels if label in ACTIONS and label != OTHER]
    print(f"the actor, {PERFORMANCES} unseen performances of {len(known)} actions:")
    for mode in ("depth", "colour"):
        store = build([ActorClip(label, UNSEEN + i, mode) for i, label in enumerate(PERFORMANCES * known)])
        right = np.concatenate(list(_right(bundle, store, None)))
        by_label = {store.labels[k]: right[store.classes == k] for k in np.unique(store.classes)}
        worst = sorted(by_label, key=lambda label: by_label[label].mean())[:6]
        told = ", ".join(f"{label} {by_label[label].sum()} of {len(by_label[label])}" for label in worst)
        print(f"  {mode:<8}{right.mean():6.1%}  (lowest: {told})")
    if options.data:
        recordings = read_data(options.data, media=options.media)
        store = build(chosen(recordings, splits=options.splits, subjects=options.subjects), depth=True)
        depth, *tops = (np.mean(list(_right(bundle, store, seed))) for seed in (None, *options.seeds))
        print(f"{len(store)} recordings:\n  depth   {depth:6.1%}")
        print(f"  colour  {np.mean(tops):6.1%}  ({min(tops):.1%} to {max(tops):.1%} over {len(tops)} renderings)")


@torch.inference_mode()
def _right(bundle: Bundle, store: ClipStore, seed: int | None) -> Iterator[NDArray[np.bool_]]:
    """Whether each clip gets its label, as it is or, with a seed, rendered as colour; (1,) for each clip."""
    model, spec = bundle.build_model(), bundle.spec
    for i, truth in enumerate(store.classes):
        sample = store[i]
        if seed is None:
            clip = whole_clip(sample, spec.frames, SELECTORS[spec.selection])[:2]
        else:
            indices = SELECTORS[spec.selection](sample, spec.frames).indices
            clip = augment_clip(raw_clip(sample, indices), RENDERED, np.random.default_rng([seed, i]))
        frames, flow = (torch.from_numpy(part) for part in clip)
        logits = model(normalise_rgb(frames, spec)[None], encode_flow(flow, spec)[None]).logits
        yield np.array([int(logits.argmax()) == truth])


def main() -> None:
    """Parse, compare and print."""
    made = parser(__doc__, "media", "depth", "subjects", "splits", "model", "threads", "cache", "json")
    modes = {"ablation": ablation, "families": families, "transfer": transfer, "colour": colour}
    add = made.add_argument
    add("mode", choices=modes)
    add("data", type=Path, nargs="?", help="folder or list of recordings (colour: may be left out)")
    add("--labels", type=Path, help="CSV name,label: rename, merge or drop labels")
    add("--held", nargs="+", default=[], metavar="SUBJECT", help="to measure on")
    add("--held-splits", nargs="+", default=[], metavar="SPLIT", help="to measure on")
    add("--leave-out", nargs="+", default=[], metavar="SUBJECT", help="instead: hold out each, train on the rest")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--variants", nargs="+", metavar="NAME", help="compare these only")
    add("--framing", choices=get_args(FramingName), help="transfer: see the centre square, or the whole image")
    add("--brighten", action="store_true", help="transfer: show dark images brighter")
    add("--backbone-rate", type=float, default=0.3, help="fine-tuning: relative to the head's rate (%(default)s)")
    add("--epochs", type=int, help="(default: 40 for transfer, else 18)")
    add("--workers", type=int, default=1)
    options = made.parse_args()
    options.epochs = options.epochs or (40 if options.mode == "transfer" else 18)
    torch.set_num_threads(options.threads)
    if options.mode == "colour":
        colour(options)
        return
    if options.data is None:
        made.error("name the recordings")
    variants = [v for v in modes[options.mode](options) if not options.variants or v.name in options.variants]
    compare(variants, options)


if __name__ == "__main__":
    main()
