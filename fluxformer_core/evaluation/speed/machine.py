"""What figures of speed were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Machine:
    """A machine and what runs the model on it."""

    processor: str
    cores: int  # that this process may use
    threads: int  # of one forward pass
    system: str
    python: str
    torch: str


def this_machine() -> Machine:
    """The machine that this runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        _processor(),
        cores,
        torch.get_num_threads(),
        f"{platform.system()} {platform.machine()}",
        platform.python_version(),
        torch.__version__,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # only Linux has it
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
