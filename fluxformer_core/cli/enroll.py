"""fluxformer enroll: teach a model a new action from 1 to 10 examples, without training."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluxformer_core.bundle import Bundle

SUMMARY = "Teach a model a new action from 1 to 10 examples, without training."
EXAMPLES = """\
  fluxformer enroll model.safetensors --label thumbs_up up1.mp4 up2.mp4 up3.mp4 --out taught.safetensors
  fluxformer enroll taught.safetensors --forget thumbs_up --out model.safetensors
  fluxformer enroll old.safetensors --known index.csv --media clips_crop --depth --out model.safetensors
The last command prepares a model that cannot be taught yet (see `fluxformer inspect`) from recordings of its labels.
docs/usage/enrollment.md says how to record good examples."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="model file to start from")
    parser.add_argument("--out", metavar="BUNDLE", type=Path, required=True, help="new model file")
    add = parser.add_mutually_exclusive_group(required=True).add_argument
    clips = "name of the new action, then its examples: videos, bags or folders of images"
    add("--label", metavar=("NAME", "CLIP"), nargs="+", help=clips)
    add("--forget", metavar="NAME", help="remove this enrolled action")
    add("--known", metavar="DATA", type=Path, nargs="+", help="prepare the model from recordings of its own labels")
    add = parser.add_argument
    add("--even-if-similar", action="store_true", help="accept an action that looks like another one")
    add("--topic", help="image topic of the bags; needed where a bag has several")
    add("--rate", type=float, metavar="HZ", help="frame rate of folders (default: 30)")
    add = parser.add_argument_group("with --known").add_argument
    media = "folders of the files that a list names, beside its own folder"
    add("--media", metavar="FOLDER", nargs="+", default=[], help=media)
    add("--depth", metavar="NAME", nargs="*", help="the recordings (of these data sets) show depth as grey values")
    add("--labels", metavar="FILE", type=Path, help="CSV with columns name,label: rename, merge or drop labels")
    add("--splits", nargs="+", metavar="SPLIT", default=[], help="use only these splits (default: all)")
    add("--subjects", nargs="+", metavar="SUBJECT", default=[], help="use only these subjects (default: all)")
    add("--actor", type=int, default=0, metavar="N", help="add N rendered clips of each label")
    add("--cache", type=Path, default=Path(".cache/clips"), help="folder for decoded clips (default: %(default)s)")


def run(arguments: Namespace) -> None:
    """Add or remove an action, or prepare the model for teaching; write the new model."""
    from fluxformer_core.bundle import Bundle
    from fluxformer_core.enrollment.enroll import forget
    from fluxformer_core.errors import ConfigError

    if arguments.label is not None and len(arguments.label) < 2:
        raise ConfigError("--label takes the action's name and 1 to 10 clips that show it")
    bundle = Bundle.load(arguments.bundle)
    if arguments.forget is not None:
        changed = forget(bundle, arguments.forget)
    elif arguments.known is not None:
        changed = _with_statistics(bundle, arguments)
    else:
        changed = _with_action(bundle, arguments)
    saved = changed.save(arguments.out)
    enrolled = ", ".join(action.label for action in saved.enrolled) or "none"
    print(f"wrote {arguments.out} ({saved.digest}): {len(saved.labels)} labels; enrolled: {enrolled}")


def _with_action(bundle: Bundle, arguments: Namespace) -> Bundle:
    from tqdm import tqdm

    from fluxformer_core.enrollment.enroll import enroll

    label, *clips = arguments.label
    result = enroll(
        bundle,
        label,
        clips,
        topic=arguments.topic,
        rate=arguments.rate,
        even_if_similar=arguments.even_if_similar,
        progress=lambda clips: tqdm(clips, unit="clip", disable=None, leave=False),
    )
    count = f"{result.examples} example{'' if result.examples == 1 else 's'}"
    print(f"{count}, consistency {result.consistency:.2f}")
    print("most similar: " + ", ".join(f"{name} ({similarity:.2f})" for name, similarity in result.similar))
    changed = result.added_to(bundle)
    print(f"{label} is accepted")
    return changed


def _with_statistics(bundle: Bundle, arguments: Namespace) -> Bundle:
    from dataclasses import replace

    from fluxformer_core.data.assembly import RecordingFilter, build_stores, read_sources
    from fluxformer_core.data.label_mapping import LabelMap
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.training.calibration import known_statistics

    if bundle.enrolled:
        raise ConfigError("enrolled actions depend on the statistics that --known replaces; forget them first")
    label_map = LabelMap.read(arguments.labels) if arguments.labels else None
    selection = RecordingFilter(tuple(arguments.splits), tuple(arguments.subjects))
    sources = read_sources(arguments.known, arguments.media, arguments.depth, selection, label_map)
    if foreign := sorted({r.label for source in sources for r in source.train} - set(bundle.labels)):
        raise ConfigError(f"the model does not know {', '.join(foreign)}; --labels can rename or drop them")
    stores, _ = build_stores(sources, bundle.labels, bundle.spec, arguments.cache, actor=arguments.actor)
    return replace(bundle, statistics=known_statistics(bundle.build_model(), stores, bundle.spec))
