"""Arguments of several commands: --backend, --precision, --view, and --set, which changes the recogniser's settings."""

from __future__ import annotations

from argparse import Action, ArgumentParser, _ArgumentGroup
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluxformer_core.stream.config import RecognizerConfig

BACKENDS = ("auto", "torch", "cuda", "openvino", "tensorrt")
PRECISIONS = ("fp32", "fp16", "bf16")
VIEWS = ("auto", "scene", "person")


def add_backend_arguments(parser: ArgumentParser) -> None:
    """Declare --backend and --precision. The names are repeated here, so that the help text needs no PyTorch."""
    add = parser.add_argument
    add("--backend", choices=BACKENDS, default="torch", help="library that runs the model (default: %(default)s)")
    add("--precision", choices=PRECISIONS, default="fp32", help="precision of the arithmetic (default: %(default)s)")


def add_view_argument(parser: ArgumentParser | _ArgumentGroup) -> Action:
    """Declare --view."""
    text = "the model sees the scene, or each person cut out (default: as in the model's training)"
    return parser.add_argument("--view", choices=VIEWS, default="auto", help=text)


def add_settings_argument(parser: ArgumentParser | _ArgumentGroup) -> Action:
    """Declare --set."""
    words = "thresholds and rates, named as the node's parameters: start_score=0.65 max_still_time=0.6"
    return parser.add_argument("--set", dest="settings", metavar="NAME=VALUE", nargs="+", default=[], help=words)


def apply_settings(config: RecognizerConfig, given: Sequence[str]) -> RecognizerConfig:
    """The configuration with the changes that --set gives; a ConfigError if a change cannot be used."""
    from fluxformer_core.errors import ConfigError
    from fluxformer_core.stream.config import with_settings

    changes: dict[str, float] = {}
    for item in given:
        name, _, value = item.partition("=")
        try:
            changes[name] = float(value)
        except ValueError:
            raise ConfigError(f"--set takes NAME=VALUE, such as start_score=0.65, not {item}") from None
    return with_settings(config, changes)
