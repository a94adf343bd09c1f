"""fluxformer label: proposes what is performed in bags; a person corrects the proposals."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

SUMMARY = "Propose what is performed in bags: writes a truth file for correction by hand."
EXAMPLES = """\
  fluxformer label my_bag                          writes my_bag.csv, and my_bag.html with thumbnails
  fluxformer label bags/ --out truth.csv
  fluxformer label my_bag --topic /camera/depth/image_raw --model mine.safetensors
Correct the CSV by hand, then: fluxformer evaluate my_bag --truth my_bag.csv. docs/usage/evaluation.md tells how."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bags", metavar="BAG", type=Path, nargs="+", help="bags, or folders of bags")
    parser.add_argument("--out", metavar="FILE.csv", type=Path, help="the truth file (default: the first bag's name)")
    parser.add_argument("--topic", nargs="+", default=[], help="images to take (default: all image topics)")
    parser.add_argument("--model", metavar="BUNDLE", type=Path, help="model file (default: the shipped one)")
    parser.add_argument("--flow", metavar="NAME", default="", help="optical flow (default: as in the model's training)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that watch (default: the cores)")


def run(arguments: Namespace) -> int:
    """Run the recogniser, propose segments and write them; returns the exit code."""
    from datetime import datetime

    from fluxformer_core.bundle import Bundle, default_bundle_path
    from fluxformer_core.cli.evaluate_bags import INCOMPLETE
    from fluxformer_core.cli.output import check_writable, require_packages, write_text
    from fluxformer_core.errors import ConfigError, SourceError
    from fluxformer_core.evaluation.bags.finding import find_bags, find_streams
    from fluxformer_core.evaluation.bags.processes import watch_streams
    from fluxformer_core.evaluation.bags.proposals import write_proposals
    from fluxformer_core.evaluation.bags.watch import Watcher
    from fluxformer_core.evaluation.speed.machine import usable_cores

    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigError("--workers must be at least 1")
    require_packages("label", "jinja2")
    bags = find_bags(arguments.bags)
    out = arguments.out or Path(f"{arguments.bags[0].resolve().stem}.csv")
    page = out.with_suffix(".html")
    if out == page:
        raise ConfigError(f"{out} must be a CSV file; the page beside it ends in .html")
    check_writable(out)
    if out.exists():
        raise ConfigError(f"{out} exists already, perhaps corrected by hand: remove it or name another file")
    model = arguments.model or default_bundle_path()
    bundle = Bundle.load(model)
    streams, faults = find_streams(bags, {bag: frozenset(arguments.topic) for bag in bags} if arguments.topic else {})
    images = [stream for stream in streams if not stream.recorded]
    watched = watch_streams(Watcher(model, arguments.flow), images, arguments.workers or usable_cores())
    faults += [fault for result in watched for fault in result.faults]
    usable = [result for result in watched if result.usable]
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if not usable:
        raise SourceError("no bag has images from which segments could be proposed")
    count = write_proposals(out, usable)
    from fluxformer_core.evaluation.report.html import label_page

    write_text(page, label_page(usable, out.name, bundle.spec, datetime.now().astimezone()))
    print(f"{count} segment{'' if count == 1 else 's'} proposed: correct {out} with the help of {page}")
    return INCOMPLETE if any(fault.fatal for fault in faults) else 0
