"""Plays a bag to a running recogniser and checks that the recogniser says what it says about the bag offline."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from fluxformer_core.bundle import default_bundle_path
from fluxformer_core.errors import SourceError
from fluxformer_core.evaluation.bags.agreement import RunAgreement, compare_runs, describe
from fluxformer_core.evaluation.bags.finding import BagStream, find_bags, find_streams
from fluxformer_core.evaluation.bags.processes import watch_streams
from fluxformer_core.evaluation.bags.recorded import read_results
from fluxformer_core.evaluation.bags.stream_result import StreamResult
from fluxformer_core.evaluation.bags.watch import Watcher
from fluxformer_ros.tools.graph import Graph
from fluxformer_ros.tools.recorder_node import HEARS

_START = 120.0  # s: for the recogniser to subscribe, on the slowest of machines
_DRAIN = 2.0  # s: for the last images to be recognised
EXAMPLE = "my_bag --topic /camera/color/image_raw --keep results"


def record(job: BagStream, out: Path, *, model: Path | None = None, rate: float = 1.0) -> None:
    """Play a bag in real time, with /clock, into a recogniser, and record the recogniser's topics.

    Args:
        job: a bag of images.
        out: the bag of results that is made.
        model: file of the model; the shipped one if None.
        rate: speed of the playback.

    Raises:
        GraphError: if a process fails.
    """
    clock = ["--ros-args", "-p", "use_sim_time:=true"]
    # Metrics of frames need all scores. A reliable subscription loses no image on the way.
    settings = ["-p", "top_k:=1000", "-p", "qos_overrides./image.subscription.reliability:=reliable"]
    settings += ["-p", "camera_timeout:=60.0"]  # a pause of a busy machine does not end the events
    named = ["-p", f"model:={model}"] if model else []
    played = [str(job.path), "--topic", job.topic, "--clock", "--reliable", "--rate", str(rate), "--wait", str(_START)]
    with Graph() as graph:
        source = ["--played", str(job.path), "--topic", job.topic]
        graph.start("recorder", "fluxformer_ros.tools.recorder_node", str(out), *source, *clock, quiet=True)
        graph.start("recognizer", "fluxformer_ros.node.recognizer_node", *clock, *settings, *named)
        end = time.monotonic() + _START
        while f"{HEARS} /recognizer/recognition" not in graph.said("recorder") and time.monotonic() < end:
            graph.wait("recognizer", "recorder")
        graph.start("player", "fluxformer_ros.tools.player_node", *played, quiet=True)
        while graph.running("player"):
            graph.wait("recognizer", "recorder")
        time.sleep(_DRAIN)
        graph.stop("recognizer")
        graph.stop("recorder")


def check(
    job: BagStream, out: Path, *, model: Path | None = None, rate: float = 1.0
) -> tuple[RunAgreement, StreamResult]:
    """Record a live run and compare it with the offline one.

    Args:
        job: a bag of images.
        out: the bag of results that is made.
        model: file of the model; the shipped one if None.
        rate: speed of the playback.

    Returns:
        How far they agree, and the live run.

    Raises:
        GraphError: if a process fails.
        SourceError: if the bag or the results cannot be used.
    """
    record(job, out, model=model, rate=rate)
    (results,), _ = find_streams(find_bags([out]), {})
    live = read_results(results)
    (offline,) = watch_streams(Watcher(model or default_bundle_path()), [job], 1)
    for outcome in (live, offline):
        if not outcome.usable:
            raise SourceError(f"{outcome.stream.bag}: {outcome.faults[-1].text}")
    return compare_runs(live, offline), live


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this check."""
    add = parser.add_argument
    add("bag", type=Path, metavar="BAG", help="a bag of images")
    add("--topic", help="of the images; needed where the bag has several image topics")
    add("--rate", type=float, default=1.0, help="speed of the playback (default: %(default)s)")
    add("--keep", type=Path, metavar="BAG", help="keep the bag of results here, for `fluxformer evaluate`")


def run(options: argparse.Namespace) -> bool:
    """Play the bag; the check fails (True) if live and offline differ in too many windows.

    Raises:
        SourceError: if the bag cannot be used.
    """
    bags = find_bags([options.bag])
    jobs, faults = find_streams(bags, {name: frozenset([options.topic]) for name in bags} if options.topic else {})
    if len(jobs) != 1 or jobs[0].recorded:
        topics = ", ".join(job.topic for job in jobs)
        reason = faults[0].text if faults else f"choose one of its images with --topic: {topics}"
        raise SourceError(f"{options.bag}: {reason}")
    with TemporaryDirectory(prefix="fluxformer_") as folder:
        out = options.keep or Path(folder) / "results"
        agreement, live = check(jobs[0], out, model=options.model, rate=options.rate)
    print(describe(agreement, live.origin))
    if dropped := sum(live.drops.values()):
        print(f"{dropped} images came faster than they were recognised: quieten the machine, or lower --rate")
    return not agreement.enough
