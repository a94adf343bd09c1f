"""fluxformer train: a bundle from recordings, from the rendered actor, or from both."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxformer_core.cli import train_arguments
from fluxformer_core.cli.train_arguments import augment_changes, training_config

if TYPE_CHECKING:
    from torch import nn

    from fluxformer_core.bundle import Bundle
    from fluxformer_core.data.assembly import Source
    from fluxformer_core.data.clip_store import ClipStore
    from fluxformer_core.enrolled import Statistics
    from fluxformer_core.training.recipe import TrainConfig
    from fluxformer_core.types import ClipSpec

SUMMARY = "Train a model on labelled recordings and on the rendered actor."
EXAMPLES = """\
  fluxformer train clips/ --out mine.safetensors                      # clips/wave/1.mp4, clips/clap/2.mp4, ...
  fluxformer train a/index.csv b/index.csv --check-splits val --out mine.safetensors
  fluxformer train clips/ --from model.safetensors --train head --out mine.safetensors
  fluxformer train clips/ --from one.safetensors two.safetensors --join ensemble --train none --out both.safetensors
  fluxformer train index.csv --media small --depth --subjects s1 s3 --check-subjects s5 --actor 24 --out m.safetensors
The same command again continues what was interrupted. docs/usage/training.md tells of the forms of data."""


add_arguments = train_arguments.add_arguments

_RECIPE = ("epochs", "batch", "learning_rate", "backbone_rate", "train", "label_smoothing", "mixup", "cutmix")
"""Of the training configuration, what a bundle tells of its training."""


def run(arguments: Namespace) -> None:
    """Decode, train, write.

    Raises:
        FluxformerError: if the data or an argument cannot be used.
    """
    import logging
    from dataclasses import replace

    import torch

    from fluxformer_core.bundle import Bundle, Metadata
    from fluxformer_core.data.assembly import Selection, build_stores, known_alone, read_sources, with_known
    from fluxformer_core.data.clip_store import ACTOR_MODES
    from fluxformer_core.data.labels import LabelMap, mirrored
    from fluxformer_core.models.registry import clip_spec, create_model, model_config
    from fluxformer_core.training.calibration import fit_temperature
    from fluxformer_core.training.train import predict, train, untrained
    from fluxformer_core.training.transfer import start_from
    from fluxformer_core.types import OTHER

    logging.getLogger("fluxformer_core").setLevel(logging.INFO)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = training_config(arguments)
    torch.manual_seed(config.seed)
    chosen = (arguments.splits, arguments.subjects, arguments.check_splits, arguments.check_subjects)
    label_map = LabelMap.read(arguments.labels) if arguments.labels else None
    sources = read_sources(arguments.data, arguments.media, arguments.depth, Selection(*map(tuple, chosen)), label_map)
    own = {r.label for source in sources for r in (*source.train, *source.check)}
    labels = tuple(sorted(own))
    if arguments.other and OTHER not in labels:
        labels = (*labels, OTHER)
    start = _start(arguments)
    if start is None:
        spec, architecture = clip_spec(arguments.model), model_config(arguments.model)
        if arguments.size:
            architecture = architecture.resized(spec.frames, arguments.size)
            spec = replace(spec, size=arguments.size)
        model = create_model(arguments.model, len(labels), config=architecture)
        metadata = Metadata(arguments.model, architecture, spec, labels)
    else:
        if arguments.train == "none":
            labels = known_alone(labels, start.labels)
        elif arguments.keep_labels:
            labels = with_known(labels, start.labels)
        model, _ = start_from(start, labels)
        metadata = replace(start.metadata, labels=labels)
    spec = _changed(metadata.spec, arguments)
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
    if arguments.train == "none":
        folder.mkdir(parents=True, exist_ok=True)
        trained = untrained(model)
    else:
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
    temperature = metadata.temperature if arguments.train == "none" else 1.0
    if check is not None:
        logits = predict(trained.model, check, spec)
        classes = torch.from_numpy(check.classes)
        temperature = round(fit_temperature(logits, classes), 4)
        top1 = (logits.argmax(1) == classes).float().mean().item()
        chose = arguments.train != "none" and config.keep == "best"
        print(f"{len(check)} clips to check on: top-1 {top1:.1%}, temperature {temperature:.2f}")
        provenance["checked_on"] = {
            "splits": arguments.check_splits,
            "subjects": arguments.check_subjects,
            "actor": arguments.check_actor,
            "clips": len(check),
            "used_for": "temperature" + (" and choice of weights" if chose else ""),
        }
        provenance["top1"] = round(top1, 4)
    metadata = replace(metadata, spec=spec, temperature=temperature, provenance=provenance)
    statistics = _statistics(trained.model, stores, spec, config)
    bundle = Bundle(metadata, trained.model.cpu().state_dict(), statistics=statistics).save(arguments.out)
    for checkpoint in folder.glob("*.ckpt"):
        checkpoint.unlink()
    if trained.clips_per_second:
        print(f"{trained.clips_per_second:.0f} clips/s, {trained.waiting:.1%} of the training spent waiting for data")
    _report_skipped(folder, [*stores, check] if check else stores)
    print(f"wrote {arguments.out} ({arguments.out.stat().st_size / 1e6:.1f} MB, {bundle.digest}); logs in {folder}")


def _start(arguments: Namespace) -> Bundle | None:
    """The model to go on from, if any: one of the files, or what is made of several.

    Raises:
        FluxformerError: if there is none though the arguments need one, or it cannot be had or used for them.
    """
    from fluxformer_core.bundle import Bundle
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.training.joining import ensemble_of, mean_of

    if not arguments.start:
        if arguments.train == "none":
            raise ConfigError("--train none needs a model that was trained already, given by --from")
        if arguments.join == "ensemble":
            raise ConfigError("--join ensemble needs models that were trained already, given by --from")
        return None
    if arguments.size:
        raise ConfigError("--size is of a new model; one to go on from, as --from does, keeps its own")
    bundles = [Bundle.load(path) for path in arguments.start]
    start = ensemble_of(bundles) if arguments.join == "ensemble" else mean_of(bundles)
    if start.metadata.members > 1 and arguments.train != "none":
        raise ConfigError("an ensemble takes --train none: its members learn one by one, before they are joined")
    return start


def _changed(spec: ClipSpec, arguments: Namespace) -> ClipSpec:
    """The clip as the arguments ask for it."""
    from dataclasses import replace

    changes: dict[str, Any] = {name: getattr(arguments, name) for name in ("selection", "framing", "brighten")}
    changes["flow"] = arguments.flow.partition(":")[0]
    return replace(spec, **{name: value for name, value in changes.items() if value})


def _statistics(model: nn.Module, stores: list[ClipStore], spec: ClipSpec, config: TrainConfig) -> Statistics | None:
    """What teaching further actions needs; not to be had of labels that only an earlier training knew."""
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.training.known_statistics import known_statistics

    try:
        return known_statistics(model, stores, spec, workers=config.workers)
    except ConfigError as error:
        print(f"further actions cannot be taught to this model by examples: {error}")
        return None


def _provenance(
    arguments: Namespace, config: TrainConfig, sources: list[Source], stores: list[ClipStore], start: Bundle | None
) -> dict[str, Any]:
    """What the model was made of. Names only: a bundle travels, and the trainer's folders are nobody's business."""
    from fluxformer_core.data.clip_store import ACTOR_MODES
    from fluxformer_core.types import OTHER

    provenance: dict[str, Any] = {
        "data": {name: sum(len(s) for s in stores if s.name == name) for name in {store.name: 0 for store in stores}},
        "media": [Path(folder).name for folder in arguments.media],
        "depth": [source.name for source in sources if source.depth],
        "actor_modes": list(arguments.actor_modes or ACTOR_MODES) if arguments.actor else [],
        "skipped": sum(len(store.skipped) for store in stores),
        "splits": arguments.splits or ["all"],
        "subjects": arguments.subjects or ["all"],
        "recipe": {name: getattr(config, name) for name in _RECIPE} if arguments.train != "none" else {"train": "none"},
        "shares": config.shares,
        "augment": augment_changes(arguments.augment),
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
