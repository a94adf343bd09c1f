"""The arguments by which several commands choose what runs the model."""

from __future__ import annotations

from argparse import ArgumentParser

BACKENDS = ("auto", "torch", "cuda", "openvino", "tensorrt")
PRECISIONS = ("fp32", "fp16", "bf16")


def add_backend_arguments(parser: ArgumentParser) -> None:
    """Declare --backend and --precision; names are written out here, so that help comes without PyTorch."""
    parser.add_argument(
        "--backend", choices=BACKENDS, default="torch", help="what runs the model (default: %(default)s)"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="of the model's arithmetic (default: %(default)s)"
    )
