"""Checks of the recogniser at work: python -m fluxformer_ros.checks NAME ...

Every check prints its result, exits with 1 if the check fails, and with 2 if the check cannot be made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from fluxformer_core.errors import FluxformerError

CHECKS = ("rate", "soak", "clips", "replay", "faults")


def main(args: Sequence[str] | None = None) -> int:
    """Run one check and return the exit code."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m fluxformer_ros.checks", description=__doc__, formatter_class=shape)
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    for name in CHECKS:
        check = import_module(f"fluxformer_ros.checks.{name}")
        example = f"example: {parser.prog} {name} {check.EXAMPLE}"
        command = names.add_parser(name, help=check.__doc__, description=check.__doc__, epilog=example)
        command.add_argument("--model", type=Path, metavar="FILE", help="another model than the shipped one")
        for flags, settings in check.ARGUMENTS.items():
            command.add_argument(*flags.split(), **settings)
        command.set_defaults(run=check.run)
    options = parser.parse_args(args)
    try:
        return int(options.run(options))
    except (FluxformerError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
