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
    """Run one check.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m fluxformer_ros.checks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    checks = {name: import_module(f"fluxformer_ros.checks.{name}") for name in CHECKS}
    for name, check in checks.items():
        command = names.add_parser(
            name, help=check.__doc__, description=check.__doc__, epilog=f"example: {parser.prog} {name} {check.EXAMPLE}"
        )
        command.add_argument("--model", type=Path, metavar="FILE", help="another model than the shipped one")
        check.add_arguments(command)
    options = parser.parse_args(args)
    try:
        return int(checks[options.name].run(options))
    except (FluxformerError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
