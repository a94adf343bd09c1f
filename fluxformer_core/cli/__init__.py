"""The command `fluxformer`: one module for each sub-command. No sub-command needs ROS.

The module of a sub-command has `SUMMARY` and `EXAMPLES` for the help text, `add_arguments` and `run`. Libraries that
are slow to import are imported in `run`, so that the help text appears at once.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Protocol

from fluxformer_core import __version__
from fluxformer_core.cli import bench, convert, enroll, evaluate, inspect, label, models, recognize, train
from fluxformer_core.cli import compile as compile_
from fluxformer_core.errors import FluxformerError

BAD_INPUT = 2
"""Exit code for wrong input; argparse uses the same code for wrong arguments."""


class Command(Protocol):
    """The interface of a sub-command's module.

    `run` returns the exit code; None means 0. On wrong input, `run` raises a FluxformerError of one line that says what
    to do.
    """

    SUMMARY: str
    EXAMPLES: str

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def run(self, arguments: Namespace) -> int | None: ...


GROUPS: dict[str, dict[str, Command]] = {
    "recognition": {"recognize": recognize, "enroll": enroll},
    "training and evaluation": {"train": train, "convert": convert, "evaluate": evaluate, "label": label},
    "models and speed": {"models": models, "inspect": inspect, "compile": compile_, "bench": bench},
}
COMMANDS: dict[str, Command] = {name: command for group in GROUPS.values() for name, command in group.items()}


def build_parser() -> ArgumentParser:
    """The parser of the whole command line."""
    lists = [
        "\n".join([f"{title}:", *(f"    {name:11}{command.SUMMARY}" for name, command in group.items())])
        for title, group in GROUPS.items()
    ]
    parser = ArgumentParser(
        prog="fluxformer",
        description="Recognise human actions in a stream of camera images.",
        epilog="\n\n".join([*lists, "`fluxformer COMMAND --help` explains a command and gives examples."]),
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fluxformer {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, help="one of the commands below")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            description=command.SUMMARY,
            epilog=f"examples:\n{command.EXAMPLES}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 2 on wrong input, 130 on Ctrl-C, or the command's own code."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        code: int = arguments.run(arguments) or 0
        sys.stdout.flush()
        return code
    except FluxformerError as error:
        sys.stderr.write(f"fluxformer: {error}\n")
        return BAD_INPUT
    except BrokenPipeError:
        # The reader of the pipe (head, less) has closed it. Without this line, Python would fail again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
