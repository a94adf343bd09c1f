"""The whole training of a bundle: read the data, decode, train, calibrate, save."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from fluxformer_core.augment.config import AugmentConfig
from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.data.assembly import RecordingFilter, RecordingSet, build_stores, read_sources
from fluxformer_core.data.clip_store import ACTOR_MODES, ClipStore
from fluxformer_core.data.label_mapping import LabelMap
from fluxformer_core.data.label_table import read_label_table
from fluxformer_core.errors import ConfigError
from fluxformer_core.models.registry import clip_spec, create_model, model_config
from fluxformer_core.training.calibration import fit_temperature, known_statistics
from fluxformer_core.training.joining import ensemble_of, mean_of, start_from
from fluxformer_core.training.recipe import TrainConfig
from fluxformer_core.training.train import Trained, predict, train
from fluxformer_core.types import OTHER

log = logging.getLogger(__name__)

Join = Literal["mean", "ensemble"]
"""How several models to start from become one: the mean of their weights, or an ensemble."""

_RECIPE = ("epochs", "batch", "learning_rate", "backbone_rate", "train", "label_smoothing", "mixup", "cutmix")
"""Fields of the TrainConfig that a bundle keeps."""


@dataclass(frozen=True)
class TrainResult:
    """What a training gave."""

    bundle: Bundle
    path: Path  # of the bundle's file
    folder: Path  # of logs, checkpoints and the list of skipped recordings
    accuracy: float | None  # share of the checked clips that are classified correctly; None without a check
    checked: int  # clips to check on
    skipped: tuple[str, ...]  # recordings that could not be read, with the reason
    not_teachable: str  # why further actions cannot be taught to the model by examples; empty: they can be
    trained: Trained  # speed and kept weights; only the process that is `first` in a distributed training saves


def train_bundle(
    data: Sequence[str | Path],  # folders of class folders, and lists of clips
    out: str | Path,  # the bundle's file; its name with the suffix `.run` names the folder of logs and checkpoints
    *,
    model: str = "fluxformer_nano",  # architecture, one of `list_models()`; not used with `start`
    config: TrainConfig | None = None,  # the recipe
    start: Sequence[str | Path] = (),  # bundles to start from, instead of random weights
    join: Join = "mean",
    keep_labels: bool = False,  # whether labels of the model to start from that the data lacks are kept
    recordings: RecordingFilter | None = None,  # splits and subjects to train and to check on; None: train on all
    media: Sequence[str] = (),  # folder beside a list to take files from, for all data or for each; `-`: as listed
    depth: Sequence[str] | None = None,  # names of the data that show depth as grey pictures; empty: all; None: none
    labels: str | Path | None = None,  # CSV `name,label`: other names for labels; see `data.label_mapping`
    label_table: str | Path | None = None,  # CSV of traits that extends the package's; see `data.label_table`
    other: float | None = None,  # share of clips of `other`, made from actions; None: the recipe's if the data has it
    actor: int = 0,  # rendered clips to add per label
    check_actor: int = 0,  # rendered clips per label to check on
    actor_modes: Sequence[str] = ACTOR_MODES,  # how the actor is rendered, by turns
    clip: Mapping[str, Any] | None = None,  # of the ClipSpec: `size` (new models), `selection`, `view` ...
    flow: str = "",  # estimator of optical flow, as `create_flow` takes a name; empty: the model's
    cache: str | Path = ".cache/clips",  # folder of decoded clips
) -> TrainResult:
    """Train a model on labelled recordings and save the model as a bundle.

    The same call again continues a training that was interrupted.

    Raises:
        FluxformerError: if the data or an argument cannot be used.
    """
    config, out, changes = config or TrainConfig(), Path(out), dict(clip or {})
    if other is not None:
        config = replace(config, augment=replace(config.augment, other=other))
    torch.manual_seed(config.seed)
    chosen = recordings or RecordingFilter()
    table = read_label_table(Path(label_table) if label_table else None)
    renamed = LabelMap.read(Path(labels)) if labels else None
    sources = read_sources([Path(path) for path in data], media, depth, chosen, renamed)
    names = tuple(sorted({r.label for source in sources for r in (*source.train, *source.check)}))
    if other and OTHER not in names:
        names = (*names, OTHER)
    parent = _parent(start, join, config, resized="size" in changes)
    if parent is None:
        spec, architecture = clip_spec(model), model_config(model)
        if size := changes.pop("size", None):
            spec, architecture = replace(spec, size=size), architecture.resized(spec.frames, size)
        net = create_model(model, len(names), config=architecture)
        metadata = Metadata(model, architecture, spec, names)
    else:
        if config.train == "none":
            if new := sorted(set(names) - set(parent.labels)):
                raise ConfigError(f"the model has not learnt {', '.join(new)}, and is not to learn anything now")
            names = parent.labels
        elif keep_labels:
            names = (*parent.labels, *(label for label in names if label not in parent.labels))
        net, metadata = start_from(parent, names), replace(parent.metadata, labels=names)
    changes |= {"flow": flow.partition(":")[0]}
    try:
        spec = replace(metadata.spec, **{name: value for name, value in changes.items() if value})
    except TypeError as error:
        raise ConfigError(f"a clip cannot be changed so: {error}") from None
    config = replace(config, augment=replace(config.augment, view=spec.view))
    rendered = {"actor": actor, "check_actor": check_actor, "seed": config.seed}
    stores, check = build_stores(
        sources, names, spec, Path(cache), flow=flow, actor_modes=actor_modes, workers=config.workers, **rendered
    )
    folder = out.with_suffix(".run")
    began = time.monotonic()
    if config.train == "none":
        folder.mkdir(parents=True, exist_ok=True)
        trained = Trained(net.eval())
    else:
        trained = train(net, stores, spec, config, table=table, flow=flow, folder=folder, check=check)
    provenance = _provenance(config, chosen, sources, stores)
    if parent is not None:
        own = {"bundle": parent.digest} if parent.digest else {}  # a mean of several bundles is in no file
        provenance["started_from"] = {**own, **parent.metadata.provenance}
    provenance |= {
        "media": [Path(folder).name for folder in media],
        "actor_modes": list(actor_modes) if actor else [],
        "kept": trained.kept,
        "precision": trained.precision,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "clips_per_second": round(trained.clips_per_second, 1),
        "waiting_for_data": round(trained.waiting, 3),
    }
    temperature = metadata.temperature if config.train == "none" else 1.0
    top1, not_teachable, statistics = None, "", None
    if trained.first:  # other processes of a distributed training have done their part
        if check is not None:
            logits, classes = predict(trained.model, check, spec), torch.from_numpy(check.classes)
            temperature = round(fit_temperature(logits, classes), 4)
            top1 = (logits.argmax(1) == classes).float().mean().item()
            selects = config.train != "none" and config.keep == "best"
            provenance["checked_on"] = {
                "splits": list(chosen.check_splits),
                "subjects": list(chosen.check_subjects),
                "actor": check_actor,
                "clips": len(check),
                "used_for": "temperature" + (" and choice of weights" if selects else ""),
            }
            provenance["top1"] = round(top1, 4)
        try:
            statistics = known_statistics(trained.model, stores, spec, workers=config.workers)
        except ConfigError as error:  # a label that only an earlier training had clips of
            not_teachable = str(error)
    metadata = replace(metadata, spec=spec, temperature=temperature, provenance=provenance)
    bundle = Bundle(metadata, trained.model.cpu().state_dict(), statistics=statistics)
    skipped = tuple(line for store in (*stores, *([check] if check else [])) for line in store.skipped)
    if trained.first:
        bundle = bundle.save(out)
        for checkpoint in folder.glob("*.ckpt"):  # a finished training continues from none
            checkpoint.unlink()
        report = folder / "skipped.txt"
        report.unlink(missing_ok=True)
        if skipped:
            report.write_text("\n".join(skipped) + "\n")
    checked = len(check) if check else 0
    return TrainResult(bundle, out, folder, top1, checked, skipped, not_teachable, trained)


def _parent(paths: Sequence[str | Path], join: Join, config: TrainConfig, *, resized: bool) -> Bundle | None:
    """The model to start from, if any: one of the files, or what several files become."""
    if not paths:
        if config.train == "none":
            raise ConfigError("--train none needs a model that was trained already, given by --from")
        if join == "ensemble":
            raise ConfigError("--join ensemble needs models that were trained already, given by --from")
        return None
    if resized:
        raise ConfigError("--size is of a new model; a model to start from, as by --from, keeps its own")
    bundles = [Bundle.load(path) for path in paths]
    parent = ensemble_of(bundles) if join == "ensemble" else mean_of(bundles)
    if parent.metadata.members > 1 and config.train != "none":
        raise ConfigError("an ensemble takes --train none: its members learn one by one, before they are joined")
    return parent


def _provenance(
    config: TrainConfig, chosen: RecordingFilter, sources: Sequence[RecordingSet], stores: Sequence[ClipStore]
) -> dict[str, Any]:
    """What the model was made of. Bundles are passed on, so that folders are named without their paths."""
    default, augment = asdict(AugmentConfig()), config.augment
    changed = {k: v for k, v in vars(augment).items() if v != default[k] and k not in ("other", "backgrounds", "view")}
    return {
        "data": {name: sum(len(s) for s in stores if s.name == name) for name in {store.name: 0 for store in stores}},
        "depth": [source.name for source in sources if source.depth],
        "skipped": sum(len(store.skipped) for store in stores),
        "splits": list(chosen.splits) or ["all"],
        "subjects": list(chosen.subjects) or ["all"],
        "recipe": {name: getattr(config, name) for name in _RECIPE} if config.train != "none" else {"train": "none"},
        "shares": config.shares,
        "augment": changed,
        "other": augment.other if OTHER in stores[0].labels else 0.0,
        "class_weights": "balanced" if config.balanced else "none",
        "seed": config.seed,
    }
