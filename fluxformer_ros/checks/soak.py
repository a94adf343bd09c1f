"""Lets the recogniser run for long at 30 Hz and tells whether anything grows: memory, threads, file descriptors."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fluxformer_core.errors import FluxformerError
from fluxformer_ros.checks.rate import account
from fluxformer_ros.tools.graph import Graph, GraphError, Run, read_log
from fluxformer_ros.tools.transcript import read_transcript

_MIB = 1024 * 1024
_POLL = 1.0  # s
_DRAIN = 2.0  # s: for the last images to be recognised and counted
_START = 300.0  # s: for the recogniser to subscribe, on the slowest of machines
MOST_GROWTH = 1.0  # per cent of memory after warm-up


@dataclass(frozen=True)
class Sample:
    """A look at a process."""

    memory: float  # MiB, resident
    threads: int
    descriptors: int


def look(pid: int) -> Sample:
    """What a process holds now.

    Raises:
        OSError: if it is gone, or the system has no /proc.
    """
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / _MIB
    return Sample(memory, len(os.listdir(folder / "task")), len(os.listdir(folder / "fd")))


def growth(samples: Sequence[Sample], warm_up: float) -> dict[str, float]:
    """What grew between the first and the last tenth of the samples after warm-up.

    Args:
        samples: in the order of time.
        warm_up: share of the samples that does not count.

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


def soak(seconds: float, model: str | None = None) -> tuple[list[Sample], Run]:
    """Play the rendered actor to the recogniser over and over, and look at it once a second.

    Raises:
        GraphError: if a process fails.
    """
    samples = []
    with Graph() as graph:
        log, record = graph.folder / "played.jsonl", graph.folder / "heard.jsonl"
        parameters = ["--ros-args", "-p", f"model:={model}"] if model else []
        graph.start("recognizer", "fluxformer_ros.node.recognizer_node", *parameters)
        graph.start("listener", "fluxformer_ros.tools.listener_node", "--record", str(record), quiet=True)
        playing = ["actor", "--loop", "--duration", str(seconds), "--log", str(log), "--wait", str(_START)]
        graph.start("player", "fluxformer_ros.tools.player_node", *playing, quiet=True)
        while graph.running("player"):
            if not graph.running("recognizer"):
                raise GraphError(f"the recogniser ended early:\n{graph.said('recognizer')}")
            if log.exists() and log.stat().st_size:  # images flow
                samples.append(look(graph.pid("recognizer")))
            time.sleep(_POLL)
        time.sleep(_DRAIN)
        graph.stop("recognizer")
        time.sleep(_DRAIN)
        graph.stop("listener")
        return samples, Run(read_log(log), read_transcript(record))


def faults(numbers: dict[str, float]) -> list[str]:
    """What must not be."""
    found = []
    if numbers["memory growth [%]"] > MOST_GROWTH:
        found.append(f"memory grew by more than {MOST_GROWTH:g} %")
    found += [f"{name} is not 0" for name in ("thread growth", "file descriptor growth") if numbers[name] > 0]
    if numbers["frames unaccounted"]:
        found.append("not every image is accounted for")
    return found


def main(args: Sequence[str] | None = None) -> int:
    """Run the soak.

    Returns:
        The exit code: 1 if something grows or an image is unaccounted for, 2 if the graph failed.
    """
    example = "example: python -m fluxformer_ros.checks.soak --minutes 30"
    parser = argparse.ArgumentParser(description=__doc__, epilog=example)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s; at least 0.2)")
    parser.add_argument(
        "--warm-up", type=float, default=0.1, metavar="SHARE", help="share of it that does not count (default: 0.1)"
    )
    parser.add_argument("--model", metavar="FILE", help="another model than the one that is shipped")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(args)
    if options.minutes < 0.2 or not 0 <= options.warm_up <= 0.5:
        parser.error("--minutes must be at least 0.2, and --warm-up within 0 .. 0.5")
    try:
        samples, run = soak(60 * options.minutes, options.model)
        numbers = account(run) | growth(samples, options.warm_up)
    except (FluxformerError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    wrong = faults(numbers)
    if options.json:
        print(json.dumps({**numbers, "faults": wrong}))
    else:
        for name, number in numbers.items():
            print(f"{name:<28}{number:>10.{0 if isinstance(number, int) else 1}f}")
        print("; ".join(wrong) or "nothing grows, and every image is accounted for")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
