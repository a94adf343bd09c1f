"""What `fluxformer train` is told: its arguments, and the recipe that they name."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fluxformer_core.types import FramingName, SelectionName

if TYPE_CHECKING:
    from fluxformer_core.training.recipe import TrainConfig

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
        help="go on from this model instead, or from several as one",
    )
    parser.add_argument(
        "--join",
        choices=("mean", "ensemble"),
        default="mean",
        help="several: the mean of their weights, or all of them and the mean of their answers (default: %(default)s)",
    )
    parser.add_argument("--keep-labels", action="store_true", help="keep labels of that model that the data lacks")
    parser.add_argument(
        "--train",
        choices=("all", "head", "none"),
        default="all",
        help="what learns; none: only temperature and statistics are found anew (default: %(default)s)",
    )
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


def training_config(arguments: Namespace) -> TrainConfig:
    """The recipe that the arguments name.

    Raises:
        ConfigError: if one is not understood, or a value is outside its range.
    """
    from dataclasses import fields, replace

    from fluxformer_core.augment.config import AugmentConfig
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.training.recipe import TrainConfig

    given = {f.name: getattr(arguments, f.name, None) for f in fields(TrainConfig)}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if arguments.train == "none":
        del changes["train"]  # no kind of training
    changes["balanced"] = arguments.class_weights == "balanced"
    try:
        pairs = (item.split("=") for item in arguments.weight)
        changes["shares"] = {name: float(share) for name, share in pairs}
    except ValueError:
        raise ConfigError(f"--weight takes NAME=SHARE, such as actor=0.3, not {' '.join(arguments.weight)}") from None
    augment = replace(AugmentConfig(), backgrounds=tuple(arguments.backgrounds), **augment_changes(arguments.augment))
    changes["augment"] = augment if arguments.other is None else replace(augment, other=arguments.other)
    if arguments.start and "backbone_rate" not in changes:
        changes["backbone_rate"] = FINE_TUNING_BACKBONE
    return replace(TrainConfig(), **changes)


def augment_changes(given: list[str]) -> dict[str, Any]:
    """What --augment changes, by name.

    Raises:
        ConfigError: if a name or a form is not known.
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
            form = "LOW:HIGH, such as scale=0.6:1.2" if ranges[name] else "VALUE, such as dressed=0"
            raise ConfigError(f"--augment takes NAME={form}, not {name}={value}") from None
        values[name] = (low, high) if ranges[name] else low
    return values
