"""fluxformer evaluate on recordings of single actions."""

from __future__ import annotations

import json
from argparse import Action, Namespace, _ArgumentGroup
from pathlib import Path


def add_options(group: _ArgumentGroup) -> list[Action]:
    """Declare the options that only recordings of single actions have."""
    add = group.add_argument
    return [
        add("--media", metavar="FOLDER", nargs="+", default=[], help="read the files from this folder beside the list"),
        add("--depth", metavar="NAME", nargs="*", help="the recordings (of the data named) show depth as grey"),
        add("--splits", nargs="+", metavar="SPLIT", default=[], help="evaluate on these only (default: all)"),
        add("--subjects", nargs="+", metavar="SUBJECT", default=[], help="evaluate on these only (default: all)"),
        add("--restrict", action="store_true", help="limit the answers to the labels of these recordings"),
        add("--cache", type=Path, default=Path(".cache/clips"), help="folder of decoded clips (default: %(default)s)"),
    ]


def run(arguments: Namespace) -> None:
    """Evaluate, print and write."""
    from datetime import datetime

    import torch

    from fluxformer_core.cli.output import require_packages, write_text
    from fluxformer_core.data.label_mapping import LabelMap

    require_packages("evaluation", "jinja2", "torchmetrics")
    from fluxformer_core.evaluation.clips import evaluate_clips
    from fluxformer_core.evaluation.report.html import clip_page
    from fluxformer_core.evaluation.report.json_document import clip_document
    from fluxformer_core.evaluation.report.text import clip_table

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    evaluation = evaluate_clips(
        arguments.model,
        arguments.data,
        media=arguments.media,
        depth=False if arguments.depth is None else arguments.depth or True,
        splits=arguments.splits,
        subjects=arguments.subjects,
        labels=LabelMap.read(arguments.labels) if arguments.labels else None,
        restrict=arguments.restrict,
        flow=arguments.flow,
        backend=arguments.backend,
        precision=arguments.precision,
        cache=arguments.cache,
        workers=arguments.workers or 0,
    )
    print(clip_table(evaluation))
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(clip_document(evaluation), indent=1) + "\n")
    if arguments.report is not None:
        write_text(arguments.report, clip_page(evaluation, datetime.now().astimezone()))
