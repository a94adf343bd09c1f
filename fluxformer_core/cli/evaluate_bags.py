"""fluxformer evaluate on bags."""

from __future__ import annotations

import json
import sys
from argparse import Action, Namespace, _ArgumentGroup
from pathlib import Path

from fluxformer_core.cli.shared_arguments import add_settings_argument, add_view_argument, apply_settings

WORSE, INCOMPLETE = 1, 3
"""Exit codes: worse than the baseline; some bags have no figures."""


def add_options(group: _ArgumentGroup) -> list[Action]:
    """Declare the options that only bags have."""
    add = group.add_argument
    return [
        add("--truth", metavar="FILE.csv", type=Path, nargs="+", help="bag,topic,start,end,label: what is performed"),
        add("--topic", nargs="+", default=[], help="image topics to read (default: those in the truth, or all)"),
        add_view_argument(group),
        add_settings_argument(group),
        add("--baseline", metavar="FILE.json", type=Path, help="earlier figures: exit with 1 if new ones are worse"),
        add("--max-drop", type=float, default=1.0, metavar="N", help="allowed loss in points or percent (%(default)s)"),
    ]


def run(arguments: Namespace) -> int:
    """Evaluate, print, write and compare with the baseline; returns the exit code."""
    from datetime import datetime

    from fluxformer_core.bundle import Bundle, default_bundle_path
    from fluxformer_core.cli.output import require_packages, write_text
    from fluxformer_core.data.label_mapping import LabelMap
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.stream.config import RecognizerConfig

    if arguments.max_drop < 0:
        raise ConfigError("--max-drop must not be negative")
    if len(arguments.model) > 1:
        raise ConfigError("bags are evaluated with one model at a time; compare models with --baseline")
    require_packages("evaluation", *(["jinja2"] if arguments.report else []), "torchmetrics")
    from fluxformer_core.evaluation.bags.evaluation import evaluate_bags
    from fluxformer_core.evaluation.bags.gate import compare, read_baseline
    from fluxformer_core.evaluation.report.json_document import bag_document
    from fluxformer_core.evaluation.report.text import bag_table

    baseline = read_baseline(arguments.baseline) if arguments.baseline else None  # evaluation takes long: refuse before
    model = arguments.model[0] if arguments.model else default_bundle_path()
    config = RecognizerConfig(backend=arguments.backend, precision=arguments.precision, view=arguments.view)
    evaluation = evaluate_bags(
        arguments.data,
        arguments.truth,
        model,
        flow=arguments.flow,
        config=apply_settings(config, arguments.settings),
        threads=arguments.threads or 1,
        topics=arguments.topic,
        labels=LabelMap.read(arguments.labels) if arguments.labels else None,
        workers=arguments.workers,
    )
    print(bag_table(evaluation))
    found = bag_document(evaluation)
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(found, indent=1) + "\n")
    if arguments.report is not None:
        from fluxformer_core.evaluation.report.html import bag_page
        from fluxformer_core.evaluation.report.mistakes import picture_mistakes, worst_bag_mistakes

        mistakes = worst_bag_mistakes(evaluation.streams)
        pictures = picture_mistakes(mistakes, Bundle.load(model).spec)
        write_text(arguments.report, bag_page(evaluation, mistakes, pictures, datetime.now().astimezone()))
    code = 0 if evaluation.complete else INCOMPLETE
    if baseline is not None:
        gate = compare(baseline, found, arguments.max_drop)
        if gate.passed:
            print(f"not worse than {arguments.baseline} by more than {arguments.max_drop:g}")
        else:
            sys.stdout.flush()
            lines = [*(f"WORSE  {line}" for line in gate.worse), *(f"       {line}" for line in gate.where)]
            sys.stderr.write("\n".join(lines) + "\n")
            code = WORSE
    return code
