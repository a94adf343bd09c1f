"""fluxformer train: a bundle from recordings, from the rendered actor, or from both."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fluxformer_core.clip import FramingName, SelectionName

if TYPE_CHECKING:
    from torch import nn

    from fluxformer_core.bundle import Bundle
    from fluxformer_core.clip import ClipSpec
    from fluxformer_core.enrolled import Statistics
    from fluxformer_core.learn.assembly import Source
    from fluxformer_core.learn.datasets import ClipStore
    from fluxformer_core.learn.training import TrainConfig

SUMMARY = "Train a model on labelled recordings and on the rendered actor."
EXAMPLES = """\
  fluxformer train clips/ --out mine.safetensors                      # clips/wave/1.mp4, clips/clap/2.mp4, ...
  fluxformer train a/index.csv b/index.csv --check-splits val --out mine.safetensors
  fluxformer train clips/ --from model.safetensors --train head --out mine.safetensors
  fluxformer train index.csv --media small --depth --subjects s1 s3 --check-subjects s5 --actor 24 --out m.safetensors
The same command again continues what was interrupted. docs/training.md tells of the forms of data."""

FINE_TUNING_BACKBONE = 0.1
"""Rate of everything but the head, relative to the head's, when weights are there already: the full one undoes them."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="DATA", type=Path, nargs="+", help="folder of class folders, or list of clips")
    parser.add_argument("--out", metavar="BUNDLE", type=Path, required=True, help="where to write the model")
    parser.add_argument("--model", default="fluxformer_nano", help="architecture (default: %(default)s)")
    parser.add_argument(
        "--from",
        dest="start",
        metavar="BUNDLE",
        nargs="+",
        type=Path,
        default=[],
        help="go on from this model instead, or from the mean of these",
    )
    parser.add_argument("--keep-labels", action="store_true", help="keep labels of that model that the data lacks")
    parser.add_argument("--train", choices=("all", "head"), default="all", help="what learns (default: %(default)s)")
    data = parser.add_argument_group("data")
    data.add_argument("--media", metavar="FOLDER", nargs="+", default=[], help="take files from here, beside the list")
    data.add_argument("--depth", metavar="NAME", nargs="*", help="the recordings (of this data) show depth as grey")
    data.add_argument(
        "--labels", metavar="FILE", type=Path, help="CSV name,label: rename, fold, or (empty) drop labels"
    )
    data.add_argument("--flow", metavar="NAME", default="", help="dis, farneback, none or gmflow:FILE (default: dis)")
    data.add_argument("--splits", nargs="+", metavar="SPLIT", default=[], help="train on these only (default: all)")
    data.add_argument("--subjects", nargs="+", metavar="SUBJECT", default=[], help="train on these only (default: all)")
    data.add_argument("--check-splits", nargs="+", metavar="SPLIT", default=[], help="never train on these, but check")
    data.add_argument("--check-subjects", nargs="+", metavar="SUBJECT", default=[], help="likewise")
    data.add_argument(
        "--actor", type=int, default=0, metavar="N", help="rendered clips to add per label (3 N of other)"
    )
    data.add_argument("--check-actor", type=int, default=0, metavar="N", help="rendered clips per label to check on")
    data.add_argument(
        "--actor-modes",
        choices=("depth", "colour"),
        nargs="+",
        help="how the actor is rendered (default: both, by turns)",
    )
    data.add_argument(
        "--other", type=float, metavar="SHARE", help="also learn what is no action, from this share of clips (e.g. 0.1)"
    )
    data.add_argument(
        "--backgrounds", metavar="FOLDER", nargs="+", default=[], help="pictures and videos to set people before"
    )
    data.add_argument(
        "--weight", metavar="NAME=SHARE", nargs="+", default=[], help="share of an epoch for this data, e.g. actor=0.3"
    )
    data.add_argument("--class-weights", choices=("none", "balanced"), default="none", help="show labels equally often")
    data.add_argument("--epoch-clips", type=int, metavar="N", help="clips of an epoch (default: as many as there are)")
    data.add_argument("--cache", type=Path, default=Path(".cache/clips"), help="decoded clips (default: %(default)s)")
    recipe = parser.add_argument_group("recipe")
    recipe.add_argument("--size", type=int, metavar="PX", help="side of the model's clip (default: the model's own)")
    recipe.add_argument(
        "--selection", choices=get_args(SelectionName), help="how a clip's frames are selected (default: flow_guided)"
    )
    recipe.add_argument(
        "--framing", choices=get_args(FramingName), help="see the centre square, or all, squeezed (default: crop)"
    )
    recipe.add_argument("--brighten", action="store_true", help="show dark images brighter, now and when in use")
    recipe.add_argument("--epochs", type=int, help="passes over all clips")
    recipe.add_argument("--batch", type=int, help="clips per step")
    recipe.add_argument("--learning-rate", type=float, metavar="RATE", help="peak")
    recipe.add_argument("--backbone-rate", type=float, metavar="FACTOR", help="on the rate of all but the head")
    recipe.add_argument("--mixup", type=float, metavar="ALPHA", help="0: none")
    recipe.add_argument("--cutmix", type=float, metavar="ALPHA", help="0: none")
    recipe.add_argument(
        "--label-smoothing", type=float, metavar="SHARE", help="of a label's probability that all get; 0: none"
    )
    recipe.add_argument(
        "--keep", choices=("best", "last"), help="weights to keep when there are checks (default: best)"
    )
    recipe.add_argument(
        "--augment",
        metavar="NAME=VALUE",
        nargs="+",
        default=[],
        help="how far clips stray: dressed=0 scale=0.6:1.2",
    )
    recipe.add_argument("--seed", type=int)
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--precision", choices=("auto", "bf16-mixed", "16-mixed", "32"), help="(default: auto, by the machine)"
    )
    machine.add_argument("--accelerator", help="auto, cpu, gpu, ... (default: auto)")
    machine.add_argument("--devices", help="auto, or how many (default: auto)")
    machine.add_argument("--threads", type=int, help="processor threads for the model")
    machine.add_argument("--workers", type=int, help="processes that decode and prepare clips")


def run(arguments: Namespace) -> None:
    """Decode, train, write.

    Raises:
        FluxformerError: if the data or an argument cannot be used.
    """
    import logging
    from dataclasses import replace

    import torch

    from fluxformer_core.bundle import Bundle, Metadata
    from fluxformer_core.clip import OTHER
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.learn.assembly import Selection, build_stores, read_sources, with_known
    from fluxformer_core.learn.calibration import fit_temperature
    from fluxformer_core.learn.datasets import ACTOR_MODES
    from fluxformer_core.learn.labels import LabelMap, mirrored
    from fluxformer_core.learn.training import predict, train
    from fluxformer_core.learn.transfer import mean_of, start_from
    from fluxformer_core.models.registry import clip_spec, create_model, model_config

    logging.getLogger("fluxformer_core").setLevel(logging.INFO)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = _config(arguments)
    torch.manual_seed(config.seed)
    chosen = (arguments.splits, arguments.subjects, arguments.check_splits, arguments.check_subjects)
    label_map = LabelMap.read(arguments.labels) if arguments.labels else None
    sources = read_sources(arguments.data, arguments.media, arguments.depth, Selection(*map(tuple, chosen)), label_map)
    own = {r.label for source in sources for r in (*source.train, *source.check)}
    labels = tuple(sorted(own))
    if arguments.other and OTHER not in labels:
        labels = (*labels, OTHER)
    if arguments.start and arguments.size:
        raise ConfigError("--size is of a new model; one to go on from, as --from does, keeps its own")
    start = mean_of([Bundle.load(path) for path in arguments.start]) if arguments.start else None
    if start is None:
        name, spec, architecture = arguments.model, clip_spec(arguments.model), model_config(arguments.model)
        if arguments.size:
            architecture = architecture.resized(spec.frames, arguments.size)
            spec = replace(spec, size=arguments.size)
        model = create_model(name, len(labels), config=architecture)
    else:
        name, spec, architecture = start.name, start.spec, start.metadata.config
        labels = with_known(labels, start.labels) if arguments.keep_labels else labels
        model, _ = start_from(start, labels)
    if arguments.flow:
        spec = replace(spec, flow=arguments.flow.partition(":")[0])
    if arguments.selection:
        spec = replace(spec, selection=arguments.selection)
    if arguments.framing:
        spec = replace(spec, framing=arguments.framing)
    if arguments.brighten:
        spec = replace(spec, brighten=True)
    stores, check = build_stores(
        sources,
        labels,
        spec,
        arguments.cache,
        flow=arguments.flow,
        actor=arguments.actor,
        check_actor=arguments.check_actor,
        actor_modes=arguments.actor_modes or ACTOR_MODES,
        seed=config.seed,
        workers=config.workers,
    )
    partner, fixed = mirrored(labels)
    folder = arguments.out.with_suffix(".run")
    began = time.monotonic()
    trained = train(model, stores, spec, partner, config, fixed=fixed, folder=folder, check=check)
    if not trained.first:
        return  # another process writes the result
    provenance = _provenance(arguments, config, sources, stores, start)
    provenance |= {
        "kept": trained.kept,
        "precision": trained.precision,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "clips_per_second": round(trained.clips_per_second, 1),
        "waiting_for_data": round(trained.waiting, 3),
    }
    temperature = 1.0
    if check is not None:
        logits = predict(trained.model, check, spec)
        classes = torch.from_numpy(check.classes)
        temperature = round(fit_temperature(logits, classes), 4)
        top1 = (logits.argmax(1) == classes).float().mean().item()
        print(f"{len(check)} clips to check on: top-1 {top1:.1%}, temperature {temperature:.2f}")
        provenance["checked_on"] = {
            "splits": arguments.check_splits,
            "subjects": arguments.check_subjects,
            "actor": arguments.check_actor,
            "clips": len(check),
            "used_for": "temperature" + (" and choice of weights" if config.keep == "best" else ""),
        }
        provenance["top1"] = round(top1, 4)
    metadata = Metadata(name, architecture, spec, labels, temperature, provenance=provenance)
    statistics = _statistics(trained.model, stores, spec, config)
    bundle = Bundle(metadata, trained.model.cpu().state_dict(), statistics=statistics).save(arguments.out)
    for checkpoint in folder.glob("*.ckpt"):
        checkpoint.unlink()
    if trained.clips_per_second:
        print(f"{trained.clips_per_second:.0f} clips/s, {trained.waiting:.1%} of the training spent waiting for data")
    _report_skipped(folder, [*stores, check] if check else stores)
    print(f"wrote {arguments.out} ({arguments.out.stat().st_size / 1e6:.1f} MB, {bundle.digest}); logs in {folder}")


def _statistics(model: nn.Module, stores: list[ClipStore], spec: ClipSpec, config: TrainConfig) -> Statistics | None:
    """What teaching further actions needs; not to be had of labels that only an earlier training knew."""
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.learn.known import known_statistics

    try:
        return known_statistics(model, stores, spec, workers=config.workers)
    except ConfigError as error:
        print(f"further actions cannot be taught to this model by examples: {error}")
        return None


def _config(arguments: Namespace) -> TrainConfig:
    from dataclasses import fields, replace

    from fluxformer_core.errors import ConfigError
    from fluxformer_core.learn.augment_config import AugmentConfig
    from fluxformer_core.learn.training import TrainConfig

    given = {f.name: getattr(arguments, f.name, None) for f in fields(TrainConfig)}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes["balanced"] = arguments.class_weights == "balanced"
    try:
        pairs = (item.split("=") for item in arguments.weight)
        changes["shares"] = {name: float(share) for name, share in pairs}
    except ValueError:
        raise ConfigError(f"--weight takes NAME=SHARE, such as actor=0.3, not {' '.join(arguments.weight)}") from None
    augment = replace(AugmentConfig(), backgrounds=tuple(arguments.backgrounds), **_augment(arguments.augment))
    changes["augment"] = augment if arguments.other is None else replace(augment, other=arguments.other)
    if arguments.start and "backbone_rate" not in changes:
        changes["backbone_rate"] = FINE_TUNING_BACKBONE
    return replace(TrainConfig(), **changes)


def _augment(given: list[str]) -> dict[str, Any]:
    from dataclasses import fields

    from fluxformer_core.errors import ConfigError
    from fluxformer_core.learn.augment_config import AugmentConfig

    ranges = {f.name: isinstance(f.default, tuple) for f in fields(AugmentConfig) if f.default != ()}
    values: dict[str, Any] = {}
    for name, _, value in (item.partition("=") for item in given):
        if name not in ranges:
            raise ConfigError(f"--augment does not know {name}; known are {', '.join(ranges)}")
        try:
            low, high = (float(v) for v in (value.split(":") if ranges[name] else (value, value)))
            if low > high:
                raise ValueError
        except ValueError:
            form = "LOW:HIGH, such as scale=0.6:1.2" if ranges[name] else "VALUE, such as dressed=0"
            raise ConfigError(f"--augment takes NAME={form}, not {name}={value}") from None
        values[name] = (low, high) if ranges[name] else low
    return values


def _provenance(
    arguments: Namespace, config: TrainConfig, sources: list[Source], stores: list[ClipStore], start: Bundle | None
) -> dict[str, Any]:
    """What the model was made of. Names only: a bundle travels, and the trainer's folders are nobody's business."""
    from fluxformer_core.clip import OTHER
    from fluxformer_core.learn.datasets import ACTOR_MODES

    provenance: dict[str, Any] = {
        "data": {name: sum(len(s) for s in stores if s.name == name) for name in {store.name: 0 for store in stores}},
        "media": [Path(folder).name for folder in arguments.media],
        "depth": [source.name for source in sources if source.depth],
        "actor_modes": list(arguments.actor_modes or ACTOR_MODES) if arguments.actor else [],
        "skipped": sum(len(store.skipped) for store in stores),
        "splits": arguments.splits or ["all"],
        "subjects": arguments.subjects or ["all"],
        "recipe": {
            name: getattr(config, name)
            for name in (
                "epochs",
                "batch",
                "learning_rate",
                "backbone_rate",
                "train",
                "label_smoothing",
                "mixup",
                "cutmix",
            )
        },
        "shares": config.shares,
        "augment": _augment(arguments.augment),
        "other": config.augment.other if OTHER in stores[0].labels else 0.0,
        "class_weights": arguments.class_weights,
        "seed": config.seed,
    }
    if start is not None:
        own = {"bundle": start.digest} if start.digest else {}  # a mean of several is in no file
        provenance["started_from"] = {**own, **start.metadata.provenance}
    return provenance


def _report_skipped(folder: Path, stores: list[ClipStore]) -> None:
    lines = [line for store in stores for line in store.skipped]
    report = folder / "skipped.txt"
    report.unlink(missing_ok=True)
    if lines:
        report.write_text("\n".join(lines) + "\n")
        shown = "".join(f"\n  {line}" for line in lines[:10])
        print(f"{len(lines)} recordings were skipped, see {report}:{shown}")
