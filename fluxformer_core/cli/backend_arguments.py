"""The arguments --backend and --precision of several commands."""

from __future__ import annotations

from argparse import ArgumentParser

BACKENDS = ("auto", "torch", "cuda", "openvino", "tensorrt")
PRECISIONS = ("fp32", "fp16", "bf16")


def add_backend_arguments(parser: ArgumentParser) -> None:
    """Declare --backend and --precision. The names are repeated here, so that the help text needs no PyTorch."""
    parser.add_argument(
        "--backend", choices=BACKENDS, default="torch", help="library that runs the model (default: %(default)s)"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="precision of the arithmetic (default: %(default)s)"
    )
