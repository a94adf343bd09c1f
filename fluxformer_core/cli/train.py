"""fluxformer train: a bundle from recordings, from the rendered actor, or from both."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fluxformer_core.types import FramingName, SelectionName

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
        help="start from this model, or from several joined to one",
    )
    parser.add_argument(
        "--join",
        choices=("mean", "ensemble"),
        default="mean",
        help="several models become the mean of their weights, or an ensemble (default: %(default)s)",
    )
    parser.add_argument("--keep-labels", action="store_true", help="keep labels of that model that the data lacks")
    parser.add_argument(
        "--train",
        choices=("all", "head", "none"),
        default="all",
        help="what learns; none: only temperature and statistics are computed anew (default: %(default)s)",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--media", metavar="FOLDER", nargs="+", default=[], help="take files from here, beside the list")
    data.add_argument("--depth", metavar="NAME", nargs="*", help="the recordings (of this data) show depth in grey")
    data.add_argument(
        "--labels", metavar="FILE", type=Path, help="CSV name,label: rename, merge or (empty) drop labels"
    )
    data.add_argument(
        "--label-table", metavar="FILE", type=Path, help="CSV label,mirror,gait,repeated,one_way: what labels mean"
    )
    data.add_argument("--flow", metavar="NAME", default="", help="dis, farneback, none or gmflow:FILE (default: dis)")
    data.add_argument("--splits", nargs="+", metavar="SPLIT", default=[], help="train on these only (default: all)")
    data.add_argument("--subjects", nargs="+", metavar="SUBJECT", default=[], help="train on these only (default: all)")
    data.add_argument("--check-splits", nargs="+", metavar="SPLIT", default=[], help="check on these, never train")
    data.add_argument("--check-subjects", nargs="+", metavar="SUBJECT", default=[], help="check on these, never train")
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
        "--other",
        type=float,
        metavar="SHARE",
        help="also learn what is no action, from this share of clips (e.g. 0.1)",
    )
    data.add_argument(
        "--backgrounds", metavar="FOLDER", nargs="+", default=[], help="pictures and videos to show behind people"
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
        "--framing",
        choices=get_args(FramingName),
        help="show the centre square, or all, squeezed (default: crop)",
    )
    recipe.add_argument("--brighten", action="store_true", help="show dark images brighter, in training and in use")
    recipe.add_argument("--epochs", type=int, help="passes over all clips")
    recipe.add_argument("--batch", type=int, help="clips per step")
    recipe.add_argument("--learning-rate", type=float, metavar="RATE", help="peak of the learning rate")
    recipe.add_argument("--backbone-rate", type=float, metavar="FACTOR", help="on the rate of all but the head")
    recipe.add_argument("--mixup", type=float, metavar="ALPHA", help="0: none")
    recipe.add_argument("--cutmix", type=float, metavar="ALPHA", help="0: none")
    recipe.add_argument(
        "--label-smoothing",
        type=float,
        metavar="SHARE",
        help="of probability, spread over all labels; 0: none",
    )
    recipe.add_argument(
        "--keep", choices=("best", "last"), help="weights to keep when there are checks (default: best)"
    )
    recipe.add_argument(
        "--augment",
        metavar="NAME=VALUE",
        nargs="+",
        default=[],
        help="how far clips differ from the recordings: colourised=0 scale=0.6:1.2",
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
    chosen = (arguments.splits, arguments.subjects, arguments.check_splits, arguments.check_subjects)
    clip = {name: getattr(arguments, name) for name in ("size", "selection", "framing", "brighten")}
    result = train_bundle(
        arguments.data,
        arguments.out,
        model=arguments.model,
        config=_config(arguments),
        start=arguments.start,
        join=arguments.join,
        keep_labels=arguments.keep_labels,
        recordings=RecordingFilter(*map(tuple, chosen)),
        media=arguments.media,
        depth=arguments.depth,
        labels=arguments.labels,
        label_table=arguments.label_table,
        other=arguments.other,
        actor=arguments.actor,
        check_actor=arguments.check_actor,
        actor_modes=arguments.actor_modes or ACTOR_MODES,
        clip={name: value for name, value in clip.items() if value},
        flow=arguments.flow,
        cache=arguments.cache,
    )
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
    """The recipe that the arguments name.

    Raises:
        ConfigError: if an argument is not understood, or a value is outside its range.
    """
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
    """The values of --augment by name.

    Raises:
        ConfigError: if a name is unknown, or a value is of another form.
    """
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
