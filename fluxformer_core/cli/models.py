"""fluxformer models: list the models that can be trained or converted, and what they cost."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import Any

SUMMARY = "List the models that can be trained, with their sizes and costs."
EXAMPLES = "  fluxformer models\n  fluxformer models --labels 60 --json"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--labels", type=int, default=27, metavar="N", help="number of labels (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> None:
    """Print a table of the models."""
    import torch

    from fluxformer_core.errors import ConfigError
    from fluxformer_core.models.cost import count_multiply_adds, count_parameters
    from fluxformer_core.models.registry import create_model, list_models, model_config

    if arguments.labels < 1:
        raise ConfigError(f"--labels must be at least 1, not {arguments.labels}")
    if not arguments.json:
        print(f"{'model':22}{'parameters':>12}{'multiply-adds':>17}  clip")
    rows = []
    for name in list_models():
        with torch.device("meta"):  # shapes without weights: large models would take seconds
            model = create_model(name, arguments.labels).eval()
        config = model_config(name)
        row: dict[str, Any] = {
            "model": name,
            "parameters": count_parameters(model),
            "multiply_adds": count_multiply_adds(model, (3, config.frames, config.size, config.size)),
            "frames": config.frames,
            "size": config.size,
        }
        rows.append(row)
        if not arguments.json:
            size = f"{row['parameters'] / 1e6:>10.2f} M{row['multiply_adds'] / 1e9:>15.2f} G"
            print(f"{name:22}{size}  {config.frames} frames of {config.size} px")
    if arguments.json:
        print(json.dumps(rows, indent=2))
