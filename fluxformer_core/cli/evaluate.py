"""fluxformer evaluate: how often models name labelled recordings rightly, and how fast."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluxformer_core.clip import ClipSpec
    from fluxformer_core.evaluation.result import Evaluation
    from fluxformer_core.learn.assembly import Source
    from fluxformer_core.learn.datasets import ClipStore

SUMMARY = "Measure models on labelled recordings."
EXAMPLES = """\
  fluxformer evaluate clips/index.csv --splits test --report report.html
  fluxformer evaluate index.csv --media clips_crop --depth --subjects s2 s4 --model mine.safetensors --json report.json
  fluxformer evaluate a/index.csv b/ --labels names.csv --restrict --model seed0.safetensors seed1.safetensors
docs/evaluation.md defines every figure."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="DATA", type=Path, nargs="+", help="folder of class folders, or list of clips")
    parser.add_argument(
        "--model", metavar="BUNDLE", type=Path, nargs="+", default=[], help="model files (default: the shipped one)"
    )
    parser.add_argument(
        "--media", metavar="FOLDER", nargs="+", default=[], help="take files from here, beside the list"
    )
    parser.add_argument("--depth", metavar="NAME", nargs="*", help="the recordings (of this data) show depth as grey")
    parser.add_argument("--labels", metavar="FILE", type=Path, help="CSV name,label: rename, fold, or drop labels")
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", default=[], help="measure on these only (default: all)")
    parser.add_argument("--subjects", nargs="+", metavar="SUBJECT", default=[], help="measure on these only")
    parser.add_argument("--restrict", action="store_true", help="let only labels of these recordings be answers")
    parser.add_argument("--flow", metavar="NAME", default="", help="optical flow (default: as in the model's training)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every figure here")
    parser.add_argument("--report", metavar="FILE.html", type=Path, help="write a page with charts here")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads for the model")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that decode")
    parser.add_argument("--cache", type=Path, default=Path(".cache/clips"), help="decoded clips (default: %(default)s)")


def run(arguments: Namespace) -> None:
    """Decode, classify, report.

    Raises:
        FluxformerError: if the data, a model or an argument cannot be used.
    """
    from datetime import datetime

    from fluxformer_core.errors import ConfigError

    for path in (arguments.json, arguments.report):
        if path is not None and not path.resolve().parent.is_dir():  # said before the work, not after it
            raise ConfigError(f"{path} cannot be written: there is no folder {path.parent}")
    try:
        import jinja2  # noqa: F401
        import torchmetrics  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(f"evaluation needs {error.name}: pip install 'fluxformer[train]'") from None
    from fluxformer_core.evaluation.document import document
    from fluxformer_core.evaluation.page import page
    from fluxformer_core.evaluation.text import table

    evaluation = _evaluate(arguments)
    print(table(evaluation))
    if arguments.json is not None:
        _write(arguments.json, json.dumps(document(evaluation), indent=1) + "\n")
    if arguments.report is not None:
        _write(arguments.report, page(evaluation, datetime.now().astimezone()))


def _evaluate(arguments: Namespace) -> Evaluation:
    import torch

    from fluxformer_core.bundle import Bundle, default_bundle_path
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.evaluation.machine import this_machine
    from fluxformer_core.evaluation.measure import answers, measure
    from fluxformer_core.evaluation.result import Data, Evaluation
    from fluxformer_core.learn.assembly import Selection, read_sources
    from fluxformer_core.learn.labels import LabelMap

    if (arguments.threads is not None and arguments.threads < 1) or arguments.workers < 0:
        raise ConfigError("--threads must be at least 1, --workers at least 0")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    paths = arguments.model or [default_bundle_path()]
    bundles = {path: Bundle.load(path) for path in dict.fromkeys(paths)}
    label_map = LabelMap.read(arguments.labels) if arguments.labels else None
    selection = Selection(tuple(arguments.splits), tuple(arguments.subjects))
    sources = read_sources(arguments.data, arguments.media, arguments.depth, selection, label_map)
    labels = tuple(sorted({recording.label for source in sources for recording in source.train}))
    for path, bundle in bundles.items():
        answers(bundle.labels, labels, path.name, restrict=False)  # said before decoding, not after it
    stores: dict[ClipSpec, ClipStore] = {}
    for bundle in bundles.values():
        if bundle.spec not in stores:
            stores[bundle.spec] = _decode(sources, labels, bundle.spec, arguments)
    models = [
        measure(bundle, path.name, stores[bundle.spec], restrict=arguments.restrict, flow=arguments.flow)
        for path, bundle in bundles.items()
    ]
    store = stores[models[0].bundle.spec]
    data = Data(
        tuple(source.name for source in sources),
        selection.splits,
        selection.subjects,
        len(store),
        tuple(store.skipped),
        arguments.restrict,
    )
    return Evaluation(data, this_machine(), tuple(models))


def _decode(sources: list[Source], labels: tuple[str, ...], spec: ClipSpec, arguments: Namespace) -> ClipStore:
    from fluxformer_core.learn.assembly import build_stores
    from fluxformer_core.learn.datasets import ClipStore

    stores, _ = build_stores(sources, labels, spec, arguments.cache, flow=arguments.flow, workers=arguments.workers)
    return ClipStore.joined(stores)


def _write(path: Path, text: str) -> None:
    from fluxformer_core.errors import ConfigError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
