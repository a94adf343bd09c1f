"""fluxformer evaluate on recordings of single actions: how often models name them rightly, and how fast."""

from __future__ import annotations

import json
from argparse import Action, Namespace, _ArgumentGroup
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluxformer_core.data.assembly import RecordingSet
    from fluxformer_core.data.clip_store import ClipStore
    from fluxformer_core.evaluation.report.result import Evaluation
    from fluxformer_core.types import ClipSpec


def add_options(group: _ArgumentGroup) -> list[Action]:
    """Declare the options that only recordings of single actions have."""
    add = group.add_argument
    return [
        add("--media", metavar="FOLDER", nargs="+", default=[], help="take files from here, beside the list"),
        add("--depth", metavar="NAME", nargs="*", help="the recordings (of this data) show depth as grey"),
        add("--splits", nargs="+", metavar="SPLIT", default=[], help="measure on these only (default: all)"),
        add("--subjects", nargs="+", metavar="SUBJECT", default=[], help="measure on these only"),
        add("--restrict", action="store_true", help="let only labels of these recordings be answers"),
        add("--cache", type=Path, default=Path(".cache/clips"), help="decoded clips (default: %(default)s)"),
    ]


def run(arguments: Namespace) -> None:
    """Decode, classify, report.

    Raises:
        FluxformerError: if the data, a model or an argument cannot be used.
    """
    from datetime import datetime

    from fluxformer_core.cli.output import write_text
    from fluxformer_core.errors import ConfigError

    try:
        import jinja2  # noqa: F401
        import torchmetrics  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(f"evaluation needs {error.name}: pip install 'fluxformer[train]'") from None
    from fluxformer_core.evaluation.report.document import document
    from fluxformer_core.evaluation.report.page import page
    from fluxformer_core.evaluation.report.text import table

    evaluation = _evaluate(arguments)
    print(table(evaluation))
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(document(evaluation), indent=1) + "\n")
    if arguments.report is not None:
        write_text(arguments.report, page(evaluation, datetime.now().astimezone()))


def _evaluate(arguments: Namespace) -> Evaluation:
    import torch

    from fluxformer_core.bundle import Bundle, default_bundle_path
    from fluxformer_core.data.assembly import RecordingFilter, read_sources
    from fluxformer_core.data.labels import LabelMap
    from fluxformer_core.evaluation.measure import answers, measure
    from fluxformer_core.evaluation.report.result import Data, Evaluation
    from fluxformer_core.evaluation.speed.machine import this_machine

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    paths = arguments.model or [default_bundle_path()]
    bundles = {path: Bundle.load(path) for path in dict.fromkeys(paths)}
    label_map = LabelMap.read(arguments.labels) if arguments.labels else None
    selection = RecordingFilter(tuple(arguments.splits), tuple(arguments.subjects))
    sources = read_sources(arguments.data, arguments.media, arguments.depth, selection, label_map)
    labels = tuple(sorted({recording.label for source in sources for recording in source.train}))
    for path, bundle in bundles.items():
        answers(bundle.labels, labels, path.name, restrict=False)  # said before decoding, not after it
    stores: dict[ClipSpec, ClipStore] = {}
    for bundle in bundles.values():
        if bundle.spec not in stores:
            stores[bundle.spec] = _decode(sources, labels, bundle.spec, arguments)
    models = [
        measure(
            bundle,
            path.name,
            stores[bundle.spec],
            restrict=arguments.restrict,
            flow=arguments.flow,
            backend=arguments.backend,
            precision=arguments.precision,
        )
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


def _decode(sources: list[RecordingSet], labels: tuple[str, ...], spec: ClipSpec, arguments: Namespace) -> ClipStore:
    from fluxformer_core.data.assembly import build_stores
    from fluxformer_core.data.clip_store import ClipStore

    stores, _ = build_stores(
        sources, labels, spec, arguments.cache, flow=arguments.flow, workers=arguments.workers or 0
    )
    return ClipStore.joined(stores)
