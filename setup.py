"""Adds the extras to pyproject.toml; they cannot stand there because `ros` depends on where this folder lies.

`pip install .` is Python only and works on any platform. What ROS 2 needs compiled is a second distribution, in
messages/, so that only who asks for it (`pip install .[ros]`) needs a compiler and a platform for which the ROS 2
wheels exist. Where ROS 2 itself is sourced, colcon builds the messages and no wheel may lie over that installation.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import setup

MESSAGES = Path(__file__).resolve().parent / "messages"
OPENVINO = ["openvino>=2025.4"]  # the backend of that name: graphs optimised for processors, about 40 MB
TRAIN = [
    "jinja2>=3.1,<4",  # the page of `fluxformer evaluate`
    "pytorch-lightning>=2.6.6,<3",  # the loop of `fluxformer train`
    "torchmetrics>=1.9,<2",  # the figures of `fluxformer evaluate`
]

setup(
    extras_require={
        "ros": [] if "ROS_DISTRO" in os.environ else [f"fluxformer-messages @ {MESSAGES.as_uri()}"],
        "train": TRAIN,
        "openvino": OPENVINO,
        "test": [
            *TRAIN,
            *OPENVINO,
            "hypothesis>=6.100,<7",
            "import-linter>=2.5,<3",
            "mypy>=1.19,<3",
            "pytest>=8,<10",
            "pytest-xdist>=3.6,<4",
            "pyyaml>=6,<7",
            "ruff>=0.14,<0.18",
            "scikit-learn>=1.7,<2",
            "types-tqdm>=4.64,<5",
        ],
    },
)
