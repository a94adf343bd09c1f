"""fluxformer evaluate on bags: what a recogniser makes of them, held against what was performed."""

from __future__ import annotations

import json
import sys
from argparse import Action, Namespace, _ArgumentGroup
from pathlib import Path
from typing import TYPE_CHECKING

from fluxformer_core.cli.settings_arguments import add_settings_argument, apply_settings

if TYPE_CHECKING:
    from fluxformer_core.evaluation.bags.evaluation import BagEvaluation
    from fluxformer_core.evaluation.bags.watch import Watcher

WORSE, INCOMPLETE = 1, 3
"""Exit codes: worse than the baseline; some bags have no figures."""


def add_options(group: _ArgumentGroup) -> list[Action]:
    """Declare the options that only bags have."""
    add = group.add_argument
    return [
        add("--truth", metavar="FILE.csv", type=Path, nargs="+", help="bag,topic,start,end,label: what is performed"),
        add("--topic", nargs="+", default=[], help="images to take (default: those that the truth names, or all)"),
        add_settings_argument(group),
        add("--baseline", metavar="FILE.json", type=Path, help="earlier figures: exit with 1 if these are worse"),
        add("--max-drop", type=float, default=1.0, metavar="N", help="by how many points or percent (%(default)s)"),
    ]


def run(arguments: Namespace) -> int:
    """Watch, judge, report and compare; returns the exit code.

    Raises:
        FluxformerError: if the bags, the truth, the model or an argument cannot be used at all.
    """
    from fluxformer_core.cli.output import write_text
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.evaluation.bags.gate import compare, read_baseline
    from fluxformer_core.evaluation.report.bag_document import document
    from fluxformer_core.evaluation.report.bag_text import table

    if arguments.max_drop < 0:
        raise ConfigError("--max-drop must not be negative")
    baseline = read_baseline(arguments.baseline) if arguments.baseline else None  # before the work, not after it
    _needs(*(["jinja2"] if arguments.report else []), "torchmetrics")
    watcher = _watcher(arguments)
    evaluation = _evaluate(arguments, watcher)
    print(table(evaluation))
    found = document(evaluation)
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(found, indent=1) + "\n")
    if arguments.report is not None:
        write_text(arguments.report, _page(evaluation, watcher))
    code = 0 if evaluation.complete else INCOMPLETE
    if baseline is not None:
        verdict = compare(baseline, found, arguments.max_drop)
        if verdict.passed:
            print(f"not worse than {arguments.baseline} by more than {arguments.max_drop:g}")
        else:
            sys.stdout.flush()
            lines = [*(f"WORSE  {line}" for line in verdict.worse), *(f"       {line}" for line in verdict.where)]
            sys.stderr.write("\n".join(lines) + "\n")
            code = WORSE
    return code


def _watcher(arguments: Namespace) -> Watcher:
    from fluxformer_core.bundle import Bundle, default_bundle_path
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.evaluation.bags.watch import Watcher
    from fluxformer_core.flow.registry import create_flow
    from fluxformer_core.stream.config import RecognizerConfig

    if len(arguments.model) > 1:
        raise ConfigError("bags are evaluated with one model at a time; compare models with --baseline")
    model = arguments.model[0] if arguments.model else default_bundle_path()
    bundle = Bundle.load(model)  # what is wrong with the model is said here, not by every process
    create_flow(arguments.flow or bundle.spec.flow)
    config = RecognizerConfig(backend=arguments.backend, precision=arguments.precision)
    config = apply_settings(config, arguments.settings)
    return Watcher(model, arguments.flow, config, threads=arguments.threads or 1)


def _evaluate(arguments: Namespace, watcher: Watcher) -> BagEvaluation:
    from fluxformer_core.data.labels import LabelMap
    from fluxformer_core.evaluation.bags.evaluation import evaluate_bags
    from fluxformer_core.evaluation.bags.processes import usable_cores

    return evaluate_bags(
        arguments.data,
        arguments.truth,
        watcher,
        topics=arguments.topic,
        labels=LabelMap.read(arguments.labels) if arguments.labels else None,
        workers=arguments.workers or max(1, usable_cores() // watcher.threads),
    )


def _page(evaluation: BagEvaluation, watcher: Watcher) -> str:
    from datetime import datetime

    from fluxformer_core.bundle import Bundle
    from fluxformer_core.evaluation.report.bag_mistakes import picture_mistakes, worst_mistakes
    from fluxformer_core.evaluation.report.bag_page import page

    mistakes = worst_mistakes(evaluation.streams)
    pictures = picture_mistakes(mistakes, Bundle.load(watcher.model).spec)
    return page(evaluation, mistakes, pictures, datetime.now().astimezone())


def _needs(*packages: str) -> None:
    from importlib.util import find_spec

    from fluxformer_core.errors import ConfigError

    for package in packages:
        if find_spec(package) is None:
            raise ConfigError(f"evaluation needs {package}: pip install 'fluxformer[train]'")
