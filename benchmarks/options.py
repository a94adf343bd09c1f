"""Arguments that several benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fluxformer_core.bundle import default_bundle_path

OPTIONS: dict[str, dict[str, Any]] = {
    "media": {"help": "read the files from this folder beside the list"},
    "depth": {"action": "store_true", "help": "the recordings show depth as grey"},
    "subjects": {"nargs": "+", "default": [], "help": "take these only (default: all)"},
    "splits": {"nargs": "+", "default": [], "help": "take these only (default: all)"},
    "model": {"type": Path, "default": default_bundle_path(), "help": "model file (default: the shipped one)"},
    "view": {"choices": ("auto", "scene", "person"), "default": "auto", "help": "what the model looks at"},
    "seed": {"type": int, "default": 0},
    "threads": {"type": int, "default": 1, "help": "processor threads (default: %(default)s)"},
    "cache": {"type": Path, "default": Path(".cache/clips"), "help": "folder of decoded clips (default: %(default)s)"},
    "json": {"type": Path, "metavar": "FILE", "help": "write the figures here"},
}


def parser(text: str | None, *names: str) -> argparse.ArgumentParser:
    """A parser with a benchmark's docstring as help text, and with some of the shared arguments."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        made.add_argument(f"--{name}", **OPTIONS[name])
    return made
