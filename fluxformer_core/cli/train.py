"""fluxformer train: a bundle from recordings, from the rendered actor, or from both."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fluxformer_core.types import FramingName, SelectionName, ViewName

if TYPE_CHECKING:
    from fluxformer_core.training.recipe import TrainConfig

SUMMARY = "Train a model on labelled recordings and on the rendered actor."
EXAMPLES = """\
  fluxformer train clips/ --out mine.safetensors                      # clips/wave/1.mp4, clips/clap/2.mp4, ...
  fluxformer train a/index.csv b/index.csv --check-splits val --out mine.safetensors
  fluxformer train clips/ --from model.safetensors --train head --out mine.safetensors
  fluxformer train clips/ --from one.safetensors two.safetensors --join ensemble --train none --out both.safetensors
  fluxformer train index.csv --media small --depth --subjects s1 s3 --check-subjects s5 --actor 24 --out m.safetensors
The same command again continues what was interrupted. docs/usage/training.md tells of the forms of data."""

FINE_TUNING_BACKBONE = 0.1
"""Factor on the learning rate of trained weights but the head: the full rate would undo what they have learnt."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    file: dict[str, Any] = {"metavar": "FILE", "type": Path}
    several: dict[str, Any] = {"nargs": "+", "default": []}
    count: dict[str, Any] = {"metavar": "N", "type": int}
    alpha: dict[str, Any] = {"metavar": "ALPHA", "type": float, "help": "0: none"}
    add = parser.add_argument
    add("data", metavar="DATA", type=Path, nargs="+", help="folder of class folders, or list of clips")
    add("--out", metavar="BUNDLE", type=Path, required=True, help="where to write the model")
    add("--model", default="fluxformer_nano", help="architecture (default: %(default)s)")
    start = "start from this model, or from several joined to one"
    add("--from", dest="start", metavar="BUNDLE", type=Path, **several, help=start)
    join = "several models become the mean of their weights, or an ensemble (default: %(default)s)"
    add("--join", choices=("mean", "ensemble"), default="mean", help=join)
    add("--keep-labels", action="store_true", help="keep labels of that model that the data lacks")
    train = "what learns; none: only temperature and statistics are computed anew (default: %(default)s)"
    add("--train", choices=("all", "head", "none"), default="all", help=train)
    add = parser.add_argument_group("data").add_argument
    add("--media", metavar="FOLDER", **several, help="take files from here, beside the list")
    add("--depth", metavar="NAME", nargs="*", help="the recordings (of this data) show depth in grey")
    add("--labels", **file, help="CSV name,label: rename, merge or (empty) drop labels")
    add("--label-table", **file, help="CSV label,mirror,gait,repeated,one_way: what labels mean")
    add("--flow", metavar="NAME", default="", help="dis, farneback, none or gmflow:FILE (default: dis)")
    add("--splits", metavar="SPLIT", **several, help="train on these only (default: all)")
    add("--subjects", metavar="SUBJECT", **several, help="train on these only (default: all)")
    add("--check-splits", metavar="SPLIT", **several, help="check on these, never train")
    add("--check-subjects", metavar="SUBJECT", **several, help="check on these, never train")
    add("--actor", **count, default=0, help="rendered clips to add per label (3 N of other)")
    add("--check-actor", **count, default=0, help="rendered clips per label to check on")
    modes = "how the actor is rendered (default: both, by turns)"
    add("--actor-modes", choices=("depth", "colour"), nargs="+", help=modes)
    other = "also learn what is no action, from this share of clips (e.g. 0.1)"
    add("--other", type=float, metavar="SHARE", help=other)
    add("--backgrounds", metavar="FOLDER", **several, help="pictures and videos to show behind people")
    add("--weight", metavar="NAME=SHARE", **several, help="share of an epoch for this data, e.g. actor=0.3")
    add("--class-weights", choices=("none", "balanced"), default="none", help="show labels equally often")
    add("--epoch-clips", **count, help="clips of an epoch (default: as many as there are)")
    add("--cache", type=Path, default=Path(".cache/clips"), help="decoded clips (default: %(default)s)")
    add = parser.add_argument_group("recipe").add_argument
    add("--size", type=int, metavar="PX", help="side of the model's clip (default: the model's own)")
    selection = "how a clip's frames are selected (default: flow_guided)"
    add("--selection", choices=get_args(SelectionName), help=selection)
    framing = "show the centre square, or all, squeezed (default: crop)"
    add("--framing", choices=get_args(FramingName), help=framing)
    add("--view", choices=get_args(ViewName), help="train on the scene, or on people cut out on black (default: scene)")
    add("--brighten", action="store_true", help="show dark images brighter, in training and in use")
    add("--epochs", type=int, help="passes over all clips")
    add("--batch", type=int, help="clips per step")
    add("--learning-rate", type=float, metavar="RATE", help="peak of the learning rate")
    add("--backbone-rate", type=float, metavar="FACTOR", help="on the rate of all but the head")
    add("--mixup", **alpha)
    add("--cutmix", **alpha)
    smoothing = "of probability, spread over all labels; 0: none"
    add("--label-smoothing", type=float, metavar="SHARE", help=smoothing)
    add("--keep", choices=("best", "last"), help="weights to keep when there are checks (default: best)")
    augment = "how far clips differ from the recordings: colourised=0 scale=0.6:1.2"
    add("--augment", metavar="NAME=VALUE", **several, help=augment)
    add("--seed", type=int)
    add = parser.add_argument_group("machine").add_argument
    add("--precision", choices=("auto", "bf16-mixed", "16-mixed", "32"), help="(default: auto, by the machine)")
    add("--accelerator", help="auto, cpu, gpu, ... (default: auto)")
    add("--devices", help="auto, or how many (default: auto)")
    add("--threads", type=int, help="processor threads for the model")
    add("--workers", type=int, help="processes that decode and prepare clips")


def run(arguments: Namespace) -> None:
    """Train, save the model, and print what came of it.

    Raises:
        FluxformerError: if the data or an argument cannot be used.
    """
    import logging

    import torch

    from fluxformer_core.data.assembly import RecordingFilter
    from fluxformer_core.data.clip_store import ACTOR_MODES
    from fluxformer_core.training.train_bundle import train_bundle

    logging.getLogger("fluxformer_core").setLevel(logging.INFO)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    given = vars(arguments)
    same = ("data", "out", "model", "start", "join", "keep_labels", "media", "depth", "labels", "label_table", "other",
            "actor", "check_actor", "flow", "cache")  # fmt: skip
    changes: dict[str, Any] = {name: given[name] for name in same}
    filters = ("splits", "subjects", "check_splits", "check_subjects")
    changes["recordings"] = RecordingFilter(*(tuple(given[name]) for name in filters))
    of_clip = ("size", "selection", "framing", "brighten", "view")
    changes["clip"] = {name: given[name] for name in of_clip if given[name]}
    result = train_bundle(**changes, config=_config(arguments), actor_modes=arguments.actor_modes or ACTOR_MODES)
    if not result.trained.first:
        return  # another process has saved the model
    if result.accuracy is not None:
        temperature = result.bundle.metadata.temperature
        print(f"{result.checked} clips to check on: top-1 {result.accuracy:.1%}, temperature {temperature:.2f}")
    if result.not_teachable:
        print(f"further actions cannot be taught to this model by examples: {result.not_teachable}")
    if speed := result.trained.clips_per_second:
        print(f"{speed:.0f} clips/s, {result.trained.waiting:.1%} of the training spent waiting for data")
    if result.skipped:
        shown = "".join(f"\n  {line}" for line in result.skipped[:10])
        print(f"{len(result.skipped)} recordings were skipped, see {result.folder / 'skipped.txt'}:{shown}")
    size = result.path.stat().st_size / 1e6
    print(f"wrote {result.path} ({size:.1f} MB, {result.bundle.digest}); logs in {result.folder}")


def _config(arguments: Namespace) -> TrainConfig:
    """The recipe that the arguments name."""
    from dataclasses import fields

    from fluxformer_core.augment.config import AugmentConfig
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.training.recipe import TrainConfig

    given = {f.name: getattr(arguments, f.name, None) for f in fields(TrainConfig)}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes["balanced"] = arguments.class_weights == "balanced"
    try:
        pairs = (item.split("=") for item in arguments.weight)
        changes["shares"] = {name: float(share) for name, share in pairs}
    except ValueError:
        raise ConfigError(f"--weight takes NAME=SHARE, such as actor=0.3, not {' '.join(arguments.weight)}") from None
    backgrounds = tuple(arguments.backgrounds)
    changes["augment"] = AugmentConfig(backgrounds=backgrounds, **_augment_changes(arguments.augment))
    if arguments.start and "backbone_rate" not in changes:
        changes["backbone_rate"] = FINE_TUNING_BACKBONE
    return TrainConfig(**changes)


def _augment_changes(given: list[str]) -> dict[str, Any]:
    """The values of --augment by name."""
    from dataclasses import fields

    from fluxformer_core.augment.config import AugmentConfig
    from fluxformer_core.errors import ConfigError

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
            form = "LOW:HIGH, such as scale=0.6:1.2" if ranges[name] else "VALUE, such as colourised=0"
            raise ConfigError(f"--augment takes NAME={form}, not {name}={value}") from None
        values[name] = (low, high) if ranges[name] else low
    return values
