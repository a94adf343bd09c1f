"""The command `fluxformer`: one module for each of its sub-commands. Nothing here needs ROS.

A sub-command's module has `SUMMARY` and `EXAMPLES` for its help, `add_arguments` and `run`. What is slow to import is
imported by `run`, so that help comes at once.
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
"""Exit code when the user's input is at fault, as argparse has it for the arguments themselves."""


class Command(Protocol):
    """What the module of a sub-command offers."""

    SUMMARY: str
    EXAMPLES: str

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def run(self, arguments: Namespace) -> int | None:
        """Do it; returns the exit code, nothing for 0.

        Raises:
            FluxformerError: on bad input, in one line that the user can act on.
        """


COMMANDS: dict[str, Command] = {
    "recognize": recognize,
    "convert": convert,
    "train": train,
    "evaluate": evaluate,
    "label": label,
    "enroll": enroll,
    "compile": compile_,
    "bench": bench,
    "inspect": inspect,
    "models": models,
}


def build_parser() -> ArgumentParser:
    """The parser of the whole command line."""
    parser = ArgumentParser(prog="fluxformer", description="Recognise what people do in a stream of camera images.")
    parser.add_argument("--version", action="version", version=f"fluxformer {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=command.SUMMARY,
            epilog=f"examples:\n{command.EXAMPLES}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 on bad input, 130 when interrupted, or the command's own."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
    except FluxformerError as error:
        sys.stderr.write(f"fluxformer: {error}\n")
        return BAD_INPUT
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python must not complain again when it flushes at its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    else:
        return code or 0
    return 0
