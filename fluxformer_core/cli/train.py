"""fluxformer train: a bundle from recordings, from the rendered actor, or from both."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

SUMMARY = "Train a model on labelled recordings and on the rendered actor."
EXAMPLES = """\
  fluxformer train clips/index.csv --out mine.safetensors
  fluxformer train clips/index.csv --start converted.safetensors --out mine.safetensors
  fluxformer train index.csv --media clips_crop --depth --splits train val --actor 24 --out model.safetensors"""

FINE_TUNING_RATE = 1e-4
"""Peak learning rate when weights are there already: the recipe's own would undo them."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="INDEX.csv", type=Path, help="list with the columns path, label[, split]")
    parser.add_argument("--out", metavar="BUNDLE", type=Path, required=True, help="where to write the model")
    parser.add_argument("--model", default="fluxformer_nano", help="architecture (default: %(default)s)")
    parser.add_argument("--start", metavar="BUNDLE", type=Path, help="go on from this model and its labels instead")
    parser.add_argument("--media", metavar="FOLDER", help="take the files from this folder beside the list")
    parser.add_argument("--depth", action="store_true", help="the recordings are grey pictures of depth")
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help="train on these splits only (default: all)")
    parser.add_argument("--check", nargs="+", metavar="SPLIT", help="log the accuracy on these; never trained on")
    parser.add_argument("--actor", type=int, default=0, metavar="N", help="rendered clips per label to add")
    parser.add_argument("--epochs", type=int, help="passes over all clips")
    parser.add_argument("--threads", type=int, help="processor threads for the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(".cache/clips"), help="decoded clips (default: %(default)s)")


def run(arguments: Namespace) -> None:
    """Decode, train, write.

    Raises:
        FluxformerError: if the data or an argument cannot be used.
    """
    import logging
    from dataclasses import replace

    import torch

    from fluxformer_core.bundle import Bundle, Metadata
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.learn.actor import ACTIONS, FLIPPED
    from fluxformer_core.learn.datasets import ClipStore, actor_clips, read_index
    from fluxformer_core.learn.training import TrainConfig, accuracy, train
    from fluxformer_core.models.registry import clip_spec, create_model, model_config

    logging.getLogger("fluxformer_core").setLevel(logging.INFO)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    recordings = read_index(arguments.data, media=arguments.media)
    start = Bundle.load(arguments.start) if arguments.start else None
    named = tuple(sorted({r.label for r in recordings}))
    if start is not None and (unknown := set(named) - set(start.labels)):
        raise ConfigError(f"{arguments.start} has no label {', '.join(sorted(unknown))}: convert it with --labels")
    name, labels, spec, architecture = (
        (start.name, start.labels, start.spec, start.metadata.config)
        if start is not None
        else (arguments.model, named, clip_spec(arguments.model), model_config(arguments.model))
    )
    used = [r for r in recordings if not arguments.splits or r.split in arguments.splits]
    stores = [ClipStore.build(used, labels, spec, arguments.cache, depth=arguments.depth)]
    if arguments.actor:
        clips = actor_clips([a for a in labels if a in ACTIONS], arguments.actor, seed=arguments.seed)
        stores.append(ClipStore.build(clips, labels, spec, arguments.cache))
    held = [r for r in recordings if arguments.check and r.split in arguments.check]
    check = ClipStore.build(held, labels, spec, arguments.cache, depth=arguments.depth) if held else None
    partner = {labels.index(a): labels.index(b) for a, b in FLIPPED.items() if a in labels and b in labels}
    config = replace(TrainConfig(), seed=arguments.seed)
    if start is not None:
        config = replace(config, learning_rate=FINE_TUNING_RATE)
    if arguments.epochs:
        config = replace(config, epochs=arguments.epochs)
    model = create_model(name, len(labels), config=architecture) if start is None else start.build_model()
    began = time.monotonic()
    checkpoint = arguments.out.with_suffix(".checkpoint")
    model = train(model, stores, spec, partner, config, checkpoint=checkpoint, check=check)
    provenance = {
        # Names only: a bundle travels, and the trainer's folders are nobody's business.
        "data": f"{arguments.data.resolve().parent.name}/{arguments.data.name}",
        "media": arguments.media or "",
        "recordings": len(stores[0]),
        "skipped": stores[0].skipped,
        "actor_clips": len(stores[1]) if arguments.actor else 0,
        "splits": arguments.splits or ["all"],
        "epochs": config.epochs,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "seed": config.seed,
    }
    if start is not None:
        provenance["started_from"] = {"bundle": start.digest, **start.metadata.provenance}
    if check is not None:
        provenance["checked_on"] = {"splits": arguments.check, "clips": len(check)}
        provenance["top1"] = round(accuracy(model, check, spec), 4)
    metadata = Metadata(name, architecture, spec, labels, provenance=provenance)
    bundle = Bundle(metadata, model.state_dict()).save(arguments.out)
    checkpoint.unlink(missing_ok=True)
    print(f"wrote {arguments.out} ({arguments.out.stat().st_size / 1e6:.1f} MB, {bundle.digest})")
