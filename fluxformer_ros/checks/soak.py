"""Lets the recogniser run for long at 30 Hz and tells whether anything grows: memory, threads, file descriptors."""

from __future__ import annotations

import json
import os
import statistics
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fluxformer_ros.checks.rate import account, print_numbers
from fluxformer_ros.node.process import resident_memory
from fluxformer_ros.tools.graph import Graph, run_graph

EXAMPLE = "--minutes 30"
ARGUMENTS = {
    "--minutes": dict(type=float, default=30.0, help="how long (default: %(default)s; at least 0.2)"),
    "--warm-up": dict(type=float, default=0.1, metavar="SHARE", help="share of the time that does not count (0.1)"),
    "--json": dict(action="store_true", help="print one JSON object instead of a table"),
}
MOST_GROWTH = 1.0  # per cent of memory after warm-up
_PERIOD = 1.0  # s between two samples


@dataclass(frozen=True)
class ProcessSample:
    """What a process holds at one moment."""

    memory: float  # MiB, resident
    threads: int
    descriptors: int


def look(pid: int) -> ProcessSample:
    """What a process holds now; raises an OSError if the process has ended, or the system has no /proc."""
    folder = Path(f"/proc/{pid}")
    return ProcessSample(resident_memory(pid), len(os.listdir(folder / "task")), len(os.listdir(folder / "fd")))


def growth(samples: Sequence[ProcessSample], warm_up: float) -> dict[str, float]:
    """What grew between the first and the last tenth of the samples after a share of them that is warm-up.

    Raises:
        ValueError: if there are fewer than 4 samples after warm-up.
    """
    counted = samples[round(warm_up * len(samples)) :]
    if len(counted) < 4:
        raise ValueError(f"{len(counted)} samples after warm-up are too few")
    tenth = max(2, len(counted) // 10)
    first, last = counted[:tenth], counted[-tenth:]
    before = statistics.median(sample.memory for sample in first)
    after = statistics.median(sample.memory for sample in last)
    return {
        "memory after warm-up [MiB]": before,
        "memory at the end [MiB]": after,
        "memory growth [%]": 100 * (after - before) / before,
        "thread growth": max(s.threads for s in last) - max(s.threads for s in first),
        "file descriptor growth": max(s.descriptors for s in last) - max(s.descriptors for s in first),
    }


def find_faults(numbers: dict[str, float]) -> list[str]:
    """What is wrong with a run; empty if nothing is."""
    found = []
    if numbers["memory growth [%]"] > MOST_GROWTH:
        found.append(f"memory grew by more than {MOST_GROWTH:g} %")
    found += [f"{name} is not 0" for name in ("thread growth", "file descriptor growth") if numbers[name] > 0]
    if numbers["frames unaccounted"]:
        found.append("not every image is accounted for")
    return found


def run(options: Namespace) -> bool:
    """Play the rendered actor over and over; the check fails (True) if something grows or an image is unaccounted for.

    Raises:
        ValueError: if the time is too short.
    """
    if options.minutes < 0.2 or not 0 <= options.warm_up <= 0.5:
        raise ValueError("--minutes must be at least 0.2, and --warm-up within 0 .. 0.5")
    samples: list[ProcessSample] = []
    due = 0.0

    def watch(graph: Graph) -> None:
        nonlocal due
        if graph.playing and time.monotonic() >= due:
            due = time.monotonic() + _PERIOD
            samples.append(look(graph.pid("recognizer")))

    player = ["actor", "--loop", "--duration", str(60 * options.minutes)]
    numbers = account(run_graph(player, model=options.model, quiet=True, watch=watch))
    numbers |= growth(samples, options.warm_up)
    faults = find_faults(numbers)
    if options.json:
        print(json.dumps({**numbers, "faults": faults}))
    else:
        print_numbers(numbers)
        print("; ".join(faults) or "nothing grows, and every image is accounted for")
    return bool(faults)
