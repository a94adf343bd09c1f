"""Plays a bag to a running recogniser and checks that the recogniser says what it says about the bag offline."""

from __future__ import annotations

import time
from argparse import Namespace
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
ARGUMENTS = {
    "bag": dict(type=Path, metavar="BAG", help="a bag of images"),
    "--topic": dict(help="of the images; needed where the bag has several image topics"),
    "--rate": dict(type=float, default=1.0, help="speed of the playback (default: %(default)s)"),
    "--keep": dict(type=Path, metavar="BAG", help="keep the bag of results here, for `fluxformer evaluate`"),
}


def record(job: BagStream, out: Path, *, model: Path | None, rate: float) -> None:
    """Play a bag at a rate, with /clock, into a recogniser, and record the recogniser's topics to the bag `out`."""
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
    """Record a live run to the bag `out`, compare it with the offline run, and return their agreement and the live run.

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


def run(options: Namespace) -> bool:
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
