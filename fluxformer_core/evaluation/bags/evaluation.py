"""Evaluation on bags: find the streams, run the recogniser or read its recorded results, compare with the truth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.data.label_mapping import LabelMap
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.bags.figures import (
    BagFigures,
    JudgedStream,
    JudgedTrack,
    LabelFigures,
    by_label,
    judge,
    measure,
)
from fluxformer_core.evaluation.bags.finding import BagFault, find_bags, find_streams
from fluxformer_core.evaluation.bags.processes import watch_streams
from fluxformer_core.evaluation.bags.recorded import read_results
from fluxformer_core.evaluation.bags.truth import read_truth
from fluxformer_core.evaluation.bags.watch import Watcher
from fluxformer_core.evaluation.speed.machine import Machine, this_machine, usable_cores
from fluxformer_core.flow.registry import create_flow
from fluxformer_core.stream.config import RecognizerConfig, settings_of


@dataclass(frozen=True)
class BagEvaluation:
    """The result from which table, JSON document, page and gate are made."""

    model: str  # name and digest; "recorded" if all bags hold results
    labels: tuple[str, ...]  # of all streams
    truth: tuple[str, ...]  # names of the files
    streams: tuple[JudgedStream, ...]
    faults: tuple[BagFault, ...]  # of bags, streams and truth files
    figures: BagFigures | None  # of all streams together; None if no stream has figures
    by_label: tuple[LabelFigures, ...]
    seconds: float  # wall-clock time of the recognisers, all processes in parallel
    workers: int
    machine: Machine
    settings: dict[str, float] = field(default_factory=dict)  # of the recogniser; empty if all bags hold results

    @property
    def changed_settings(self) -> dict[str, float]:
        """Settings that differ from the defaults."""
        usual = settings_of(RecognizerConfig())
        return {name: value for name, value in self.settings.items() if value != usual[name]}

    @property
    def judged(self) -> list[JudgedTrack]:
        return [one for stream in self.streams for one in stream.judged]

    @property
    def complete(self) -> bool:
        return not any(fault.fatal for fault in self.faults)


def evaluate_bags(
    bags: Sequence[Path],
    truth_files: Sequence[Path],
    model: Path | None = None,
    *,
    flow: str = "",
    config: RecognizerConfig | None = None,
    threads: int = 1,
    topics: Sequence[str] = (),
    labels: LabelMap | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> BagEvaluation:
    """Evaluate bags of images, and bags of recorded results.

    Args:
        bags: bags, and folders of bags.
        truth_files: what is performed in them.
        model: bundle file; None: the shipped model.
        flow: name of the optical flow estimator, see `create_flow`; empty: the one of the model's training.
        config: settings of the recogniser; None: the defaults.
        threads: processor threads of one process.
        topics: image topics to read from every bag; empty: those that the truth names, or all.
        labels: renames the labels of the truth.
        workers: processes in parallel; None: as many as the cores allow.
        quiet: no progress bar.

    Raises:
        SourceError: if a path holds no bag.
        ConfigError: if a truth file cannot be read, or streams have different labels.
        BundleError: if the model cannot be used.
    """
    model = model or default_bundle_path()
    bundle = Bundle.load(model)
    create_flow(flow or bundle.spec.flow)  # refuses an unknown name once, before any process starts
    watcher = Watcher(model, flow, config or RecognizerConfig(), threads)
    workers = workers or max(1, usable_cores() // threads)
    paths = find_bags(bags)
    sources, faults = find_streams(paths, {})
    played = {source.bag: source.of for source in sources if source.recorded}
    truth, empty = read_truth(truth_files, paths, played, labels)
    chosen = {bag: frozenset(topics) for bag in paths} if topics else truth.topics()
    if chosen:
        sources, faults = find_streams(paths, {bag: wanted for bag, wanted in chosen.items() if not played.get(bag)})
    faults = [*empty, *faults]
    faults += [BagFault(bag, "the truth names it, but it is not evaluated", fatal=False) for bag in truth.strangers]
    began = time.monotonic()
    images = [source for source in sources if not source.recorded]
    watched = dict(zip(images, watch_streams(watcher, images, workers, quiet=quiet), strict=True))
    seconds = time.monotonic() - began
    streams = [judge(watched[source] if source in watched else read_results(source), truth) for source in sources]
    faults += [fault for stream in streams for fault in stream.result.faults]
    judged = [one for stream in streams for one in stream.judged]
    results = [stream.result for stream in streams if stream.judged]
    names = results[0].labels if results else ()
    if any(result.labels != names for result in results):
        raise ConfigError(
            f"{results[0].stream.bag} has results with other labels than another bag: "
            "evaluate images and results of different models in separate runs"
        )
    return BagEvaluation(
        "recorded" if not images else f"{bundle.name} {bundle.digest}",
        names,
        tuple(file.name for file in truth_files),
        tuple(streams),
        tuple(faults),
        measure(judged, names) if judged else None,
        tuple(by_label(judged, names)) if judged else (),
        seconds,
        min(workers, max(1, len(images))),
        this_machine(),
        settings_of(watcher.config) if images else {},
    )
