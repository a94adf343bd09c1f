"""fluxformer enroll: a new action from 1 to 10 examples, without training."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluxformer_core.bundle import Bundle

SUMMARY = "Teach a model a new action by 1 to 10 examples, without training."
EXAMPLES = """\
  fluxformer enroll model.safetensors --label thumbs_up up1.mp4 up2.mp4 up3.mp4 --out taught.safetensors
  fluxformer enroll taught.safetensors --forget thumbs_up --out model.safetensors
  fluxformer enroll old.safetensors --known index.csv --media clips_crop --depth --out model.safetensors
The last one readies a model that `fluxformer inspect` says cannot be taught, from recordings of what it knows.
docs/enrollment.md tells what makes good examples."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="the model file to start from")
    parser.add_argument("--out", metavar="BUNDLE", type=Path, required=True, help="where to write the new model file")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--label",
        metavar=("NAME", "CLIP"),
        nargs="+",
        help="name of the new action and its examples: a video, a bag or a folder of images each",
    )
    what.add_argument("--forget", metavar="NAME", help="remove this enrolled action instead")
    what.add_argument(
        "--known", metavar="DATA", type=Path, nargs="+", help="take where the model's own labels lie from these clips"
    )
    parser.add_argument("--even-if-similar", action="store_true", help="accept what looks like a known action, too")
    parser.add_argument("--topic", help="the bags' images; needed where one has several image topics")
    parser.add_argument("--rate", type=float, metavar="HZ", help="frames per second of folders (default: 30)")
    data = parser.add_argument_group("with --known")
    data.add_argument("--media", metavar="FOLDER", nargs="+", default=[], help="take files from here, beside the list")
    data.add_argument("--depth", metavar="NAME", nargs="*", help="the recordings (of this data) show depth as grey")
    data.add_argument("--labels", metavar="FILE", type=Path, help="CSV name,label: rename, fold, or drop labels")
    data.add_argument("--splits", nargs="+", metavar="SPLIT", default=[], help="these only (default: all)")
    data.add_argument("--subjects", nargs="+", metavar="SUBJECT", default=[], help="likewise")
    data.add_argument("--actor", type=int, default=0, metavar="N", help="rendered clips per label to add")
    data.add_argument("--cache", type=Path, default=Path(".cache/clips"), help="decoded clips (default: %(default)s)")


def run(arguments: Namespace) -> None:
    """Teach, forget or measure; write the new model.

    Raises:
        FluxformerError: if the model, a clip or an argument cannot be used, or the action is refused.
    """
    from fluxformer_core.bundle import Bundle
    from fluxformer_core.errors import ConfigError

    if arguments.label is not None and len(arguments.label) < 2:
        raise ConfigError("--label takes the action's name and 1 to 10 clips that show it")
    bundle = Bundle.load(arguments.bundle)
    if arguments.forget is not None:
        changed = _without(bundle, arguments.forget)
    elif arguments.known is not None:
        changed = _with_statistics(bundle, arguments)
    else:
        changed = _with_action(bundle, arguments)
    saved = changed.save(arguments.out)
    taught = ", ".join(action.label for action in saved.enrolled) or "none"
    print(f"wrote {arguments.out} ({saved.digest}): {len(saved.labels)} labels; enrolled: {taught}")


def _with_action(bundle: Bundle, arguments: Namespace) -> Bundle:
    from dataclasses import replace

    from tqdm import tqdm

    from fluxformer_core.enrolled import MOST_EXAMPLES
    from fluxformer_core.enrollment.examples import describe, read_example
    from fluxformer_core.enrollment.teaching import refuse_name, teach
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.stream.recognizer import Recognizer
    from fluxformer_core.stream.taught import KnownActions

    label, *clips = arguments.label
    if refusal := refuse_name(label, bundle.labels, bundle.enrolled):
        raise ConfigError(refusal)
    if len(clips) > MOST_EXAMPLES:
        raise ConfigError(f"{len(clips)} clips are more than {MOST_EXAMPLES}; `fluxformer train` learns from many")
    known, recognizer = KnownActions(bundle), Recognizer(bundle)
    examples = [
        describe(
            recognizer,
            read_example(clip, bundle.spec, recognizer.flow, topic=arguments.topic, rate=arguments.rate),
        )
        for clip in tqdm(clips, unit="clip", disable=None, leave=False)
    ]
    lesson = teach(label, examples, known, bundle.enrolled, even_if_similar=arguments.even_if_similar)
    count = f"{len(examples)} example{'' if len(examples) == 1 else 's'}"
    print(f"{count}, likeness to each other {lesson.agreement:.2f}")
    print("most like " + ", ".join(f"{name} ({likeness:.2f})" for name, likeness in lesson.similar))
    if lesson.action is None:
        raise ConfigError(f"{label} is refused: {lesson.refusal}")
    print(f"{label} is accepted")
    return replace(bundle, enrolled=(*bundle.enrolled, lesson.action))


def _without(bundle: Bundle, label: str) -> Bundle:
    from dataclasses import replace

    from fluxformer_core.errors import ConfigError

    if label not in {action.label for action in bundle.enrolled}:
        names = ", ".join(action.label for action in bundle.enrolled) or "none"
        raise ConfigError(f"{label} is not enrolled in this model; enrolled: {names}")
    return replace(bundle, enrolled=tuple(action for action in bundle.enrolled if action.label != label))


def _with_statistics(bundle: Bundle, arguments: Namespace) -> Bundle:
    from dataclasses import replace

    from fluxformer_core.data.assembly import RecordingFilter, build_stores, read_sources
    from fluxformer_core.data.labels import LabelMap
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.training.calibration import known_statistics

    if bundle.enrolled:
        raise ConfigError("the enrolled actions depend on what --known would change; forget them first")
    label_map = LabelMap.read(arguments.labels) if arguments.labels else None
    selection = RecordingFilter(tuple(arguments.splits), tuple(arguments.subjects))
    sources = read_sources(arguments.known, arguments.media, arguments.depth, selection, label_map)
    if foreign := sorted({r.label for source in sources for r in source.train} - set(bundle.labels)):
        raise ConfigError(f"the model does not know {', '.join(foreign)}; --labels can rename or drop them")
    stores, _ = build_stores(sources, bundle.labels, bundle.spec, arguments.cache, actor=arguments.actor)
    return replace(bundle, statistics=known_statistics(bundle.build_model(), stores, bundle.spec))
