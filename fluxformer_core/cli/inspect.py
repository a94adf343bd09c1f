"""fluxformer inspect: show the contents of a model file."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

SUMMARY = "Show what a model file holds: model, clip, labels and the origin of its weights."
EXAMPLES = "  fluxformer inspect\n  fluxformer inspect my_model.safetensors --json"

_PARENTS = {"mean_of", "ensemble_of"}
"""Entries of a provenance that list the models from which one was made."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE", help="model file (default: the shipped one)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> None:
    """Print the contents of a bundle."""
    from fluxformer_core.bundle import Bundle, default_bundle_path

    path = Path(arguments.bundle) if arguments.bundle else default_bundle_path()
    bundle = Bundle.load(path)
    content = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "digest": bundle.digest,
        "model": bundle.name,
        "members": bundle.metadata.members,
        "parameters": sum(weights.numel() for weights in bundle.weights.values()),
        "spec": asdict(bundle.spec),
        "labels": list(bundle.labels),
        "enrolled": {
            action.label: {
                "examples": action.examples,
                "consistency": round(action.consistency, 2),
                "threshold": round(action.threshold, 2),
            }
            for action in bundle.enrolled
        },
        "can be taught": bundle.statistics is not None,
        "temperature": bundle.metadata.temperature,
        "provenance": bundle.metadata.provenance,
    }
    print(json.dumps(content, indent=2) if arguments.json else "\n".join(_lines(_with_ancestors(content))))


def _with_ancestors(content: dict[str, Any]) -> dict[str, Any]:
    """The content with each ancestor listed once, under "ancestors".

    The provenance of each parent repeats all its ancestors, and the parents of a mean share most of them.
    """
    ancestors: dict[str, Any] = {}

    def shortened(provenance: Any) -> Any:
        if not isinstance(provenance, dict):
            return provenance
        short = {}
        for key, value in provenance.items():
            if key == "started_from" and isinstance(value, dict):
                short[key] = shortened(value) if value.keys() & _PARENTS else digest_of(value)
            elif key in _PARENTS and isinstance(value, list):
                short[key] = [digest_of(parent) for parent in value]
            else:
                short[key] = value
        return short

    def digest_of(parent: dict[str, Any]) -> str:
        digest = str(parent.get("bundle", "unknown"))
        if digest not in ancestors:
            ancestors[digest] = {}  # keeps the place before its own ancestors
            ancestors[digest] = shortened({key: value for key, value in parent.items() if key != "bundle"})
        return digest

    short = {**content, "provenance": shortened(content["provenance"])}
    return {**short, "ancestors": ancestors} if ancestors else short


def _lines(content: dict[str, Any], indent: str = "") -> Iterator[str]:
    width = max((len(key) for key in content), default=0) + 2
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{key:{width}}{_readable(value)}"


def _readable(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_readable, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
