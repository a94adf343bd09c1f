"""An evaluation of bags from beginning to end: find, watch or read, judge, sum up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fluxformer_core.bundle import Bundle
from fluxformer_core.data.labels import LabelMap
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.bags.figures import Figures, Judged, LabelFigures, Scored, by_label, judge, measure
from fluxformer_core.evaluation.bags.finding import Fault, Job, find_bags, find_streams
from fluxformer_core.evaluation.bags.outcome import Outcome
from fluxformer_core.evaluation.bags.processes import watch_streams
from fluxformer_core.evaluation.bags.recorded import read_results
from fluxformer_core.evaluation.bags.truth import read_truth
from fluxformer_core.evaluation.bags.watch import Watcher
from fluxformer_core.evaluation.speed.machine import Machine, this_machine
from fluxformer_core.stream.config import RecognizerConfig, settings_of


@dataclass(frozen=True)
class BagEvaluation:
    """What was found: all that table, JSON document, page and gate are made from."""

    model: str  # name and digest; of results only: "recorded"
    labels: tuple[str, ...]  # of all streams
    truth: tuple[str, ...]  # names of the files
    streams: tuple[Scored, ...]
    faults: tuple[Fault, ...]  # of bags, streams and truth files
    figures: Figures | None  # of all streams together; None if none has figures
    by_label: tuple[LabelFigures, ...]
    seconds: float  # that watching took, with all processes at once
    workers: int
    machine: Machine
    settings: dict[str, float] = field(default_factory=dict)  # of the recogniser that watched; of results only: none

    @property
    def changed_settings(self) -> dict[str, float]:
        """Those that are not the defaults."""
        usual = settings_of(RecognizerConfig())
        return {name: value for name, value in self.settings.items() if value != usual[name]}

    @property
    def judged(self) -> list[Judged]:
        """All tracks that have figures."""
        return [one for stream in self.streams for one in stream.judged]

    @property
    def complete(self) -> bool:
        """Whether every bag has its figures."""
        return not any(fault.fatal for fault in self.faults)


def evaluate_bags(
    paths: Sequence[Path],
    truth_files: Sequence[Path],
    watcher: Watcher,
    *,
    topics: Sequence[str] = (),
    labels: LabelMap | None = None,
    workers: int = 1,
    quiet: bool = False,
) -> BagEvaluation:
    """Evaluate bags of images and bags of results.

    Args:
        paths: bags, and folders of bags.
        truth_files: what is performed in them.
        watcher: what watches bags of images.
        topics: the images to take, of every bag; empty: those that the truth names, or all.
        labels: renames those of the truth.
        workers: processes at once.
        quiet: no progress bar.

    Raises:
        SourceError: if a path holds no bag.
        ConfigError: if a truth file cannot be read, or streams have different labels.
    """
    bags = find_bags(paths)
    jobs, faults = find_streams(bags, {})
    played = {job.bag: job.of for job in jobs if job.results}
    truth, empty = read_truth(truth_files, bags, played, labels)
    chosen = {bag: frozenset(topics) for bag in bags} if topics else truth.topics()
    if chosen:
        jobs, faults = find_streams(bags, {bag: wanted for bag, wanted in chosen.items() if not played.get(bag)})
    faults = [*empty, *faults]
    faults += [Fault(bag, "the truth names it, but it is not evaluated", fatal=False) for bag in truth.strangers]
    began = time.monotonic()
    images = [job for job in jobs if not job.results]
    watched = dict(zip(images, watch_streams(watcher, images, workers, quiet=quiet), strict=True))
    seconds = time.monotonic() - began
    streams = [judge(watched[job] if job in watched else read_results(job), truth) for job in jobs]
    faults += [fault for stream in streams for fault in stream.outcome.faults]
    used = [stream for stream in streams if stream.judged]
    names = _labels([stream.outcome for stream in used])
    judged = [one for stream in used for one in stream.judged]
    return BagEvaluation(
        _model(watcher, jobs),
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


def _labels(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    different = {outcome.labels for outcome in outcomes}
    if len(different) > 1:
        raise ConfigError(
            f"{outcomes[0].job.bag} was watched by a recogniser with other labels than some other bag: "
            "evaluate images and results of different models one after the other"
        )
    return next(iter(different), ())


def _model(watcher: Watcher, jobs: Sequence[Job]) -> str:
    if all(job.results for job in jobs):
        return "recorded"
    bundle = Bundle.load(watcher.model)
    return f"{bundle.name} {bundle.digest}"
