"""fluxformer evaluate: evaluate models on recordings of single actions, or on bags with a truth."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from fluxformer_core.cli import evaluate_bags, evaluate_clips
from fluxformer_core.cli.shared_arguments import add_backend_arguments

SUMMARY = "Evaluate models on labelled recordings, or on bags."
EXAMPLES = """\
  fluxformer evaluate clips/index.csv --splits test --report report.html
  fluxformer evaluate index.csv --media clips_crop --depth --subjects s2 s4 --model mine.safetensors --json report.json
  fluxformer evaluate a/index.csv b/ --labels names.csv --restrict --model seed0.safetensors seed1.safetensors
  fluxformer evaluate my_bag more_bags/ --truth truth.csv --report report.html --json new.json
  fluxformer evaluate bags/ --truth truth.csv --baseline old.json --max-drop 1.0
docs/usage/evaluation.md defines every figure.
Exit codes: 0 all is well, 1 worse than the baseline, 2 bad input, 3 some bags have no figures."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    data = "folder of class folders, or list of clips; with --truth: bags or folders of bags"
    add("data", metavar="DATA", type=Path, nargs="+", help=data)
    add("--model", metavar="BUNDLE", type=Path, nargs="+", default=[], help="model files (default: the shipped one)")
    add("--labels", metavar="FILE", type=Path, help="CSV name,label: rename, merge or drop labels")
    add("--flow", metavar="NAME", default="", help="optical flow (default: as in the model's training)")
    add_backend_arguments(parser)
    add("--json", metavar="FILE", type=Path, help="write every figure here")
    add("--report", metavar="FILE.html", type=Path, help="write a page with charts here")
    add("--threads", type=int, metavar="N", help="threads of the model (default for bags: 1)")
    add("--workers", type=int, metavar="N", help="processes that decode or read bags (default for bags: the cores)")
    clips = evaluate_clips.add_options(parser.add_argument_group("recordings of single actions"))
    bags = evaluate_bags.add_options(parser.add_argument_group("bags"))
    parser.set_defaults(only_clips=clips, only_bags=bags)


def run(arguments: Namespace) -> int:
    """Evaluate on clips or on bags; returns the exit code."""
    from fluxformer_core.cli.output import check_writable
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.evaluation.bags.finding import is_bag

    bags = arguments.truth is not None
    if not bags and (bag := next((path for path in arguments.data if is_bag(path)), None)):
        raise ConfigError(f"{bag} is a bag: name a truth file with --truth (`fluxformer label` proposes one)")
    foreign = arguments.only_clips if bags else arguments.only_bags
    if given := [action.option_strings[0] for action in foreign if getattr(arguments, action.dest) != action.default]:
        kind = "bags" if bags else "recordings of single actions"
        raise ConfigError(f"{', '.join(given)} cannot be used with {kind}")
    if arguments.threads is not None and arguments.threads < 1:
        raise ConfigError("--threads must be at least 1")
    if arguments.workers is not None and arguments.workers < (1 if bags else 0):
        raise ConfigError(f"--workers must be at least {1 if bags else 0}")
    check_writable(arguments.json, arguments.report)
    if bags:
        return evaluate_bags.run(arguments)
    evaluate_clips.run(arguments)
    return 0
