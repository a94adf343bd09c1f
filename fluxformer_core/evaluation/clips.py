"""Evaluation on recordings of single actions: each recording is classified once, as a whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from fluxformer_core.backends.base import BackendName, InferencePrecision
from fluxformer_core.bundle import Bundle, Metadata, default_bundle_path
from fluxformer_core.data.assembly import RecordingFilter, build_stores, read_sources
from fluxformer_core.data.clip_store import ClipStore
from fluxformer_core.data.label_mapping import LabelMap
from fluxformer_core.errors import ConfigError
from fluxformer_core.evaluation.metrics.clips import ClipReport, score_clips
from fluxformer_core.evaluation.report.mistakes import ClipMistake, worst_clip_mistakes
from fluxformer_core.evaluation.speed.latency import Latency, measure_latency
from fluxformer_core.evaluation.speed.machine import Machine, this_machine
from fluxformer_core.stream.load import open_model
from fluxformer_core.training.train import predict

FIGURES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_recall": "mean recall",
    "macro_f1": "macro F1",
    "calibration_error": "calibration error",
}
"""Summary figures of a ClipReport with their names for people; all are shares, 0..1."""

CONFUSIONS = 6
"""Confusions of which a clip is shown."""

CHANCE = ("seed", "minutes", "clips_per_second", "waiting_for_data", "top1", "kept")
"""Entries of a bundle's provenance that may differ between two trainings of one recipe."""


@dataclass(frozen=True)
class EvaluatedData:
    """The recordings that the models were evaluated on."""

    sources: tuple[str, ...]  # names without folders
    splits: tuple[str, ...]  # empty: all
    subjects: tuple[str, ...]  # empty: all
    clips: int
    skipped: tuple[str, ...]  # one line for each file that could not be read
    restricted: bool  # whether answers were limited to the labels of these recordings


@dataclass(frozen=True)
class ModelResult:
    """One model on the data."""

    file: str  # name without folders
    bundle: Bundle
    report: ClipReport
    latency: Latency
    mistakes: tuple[ClipMistake, ...]


@dataclass(frozen=True)
class MeanAndStd:
    """A figure over several models."""

    mean: float
    sd: float  # standard deviation of a sample (n - 1)


@dataclass(frozen=True)
class RecipeResult:
    """Models that differ by their seed only, with mean and standard deviation of their figures."""

    models: tuple[ModelResult, ...]
    figures: dict[str, MeanAndStd]  # by the names of FIGURES; empty if there is one model only


@dataclass(frozen=True)
class ClipEvaluation:
    """Models side by side on the same data."""

    data: EvaluatedData
    machine: Machine
    models: tuple[ModelResult, ...]

    def recipes(self) -> list[RecipeResult]:
        """The models grouped by recipe, in the order of the first model of each recipe."""
        groups: dict[str, list[ModelResult]] = {}
        for model in self.models:
            groups.setdefault(recipe(model.bundle.metadata), []).append(model)
        found = []
        for group in groups.values():
            figures = {name: [getattr(m.report, name) for m in group] for name in FIGURES} if len(group) > 1 else {}
            means = {name: MeanAndStd(fmean(values), stdev(values)) for name, values in figures.items()}
            found.append(RecipeResult(tuple(group), means))
        return found


def recipe(metadata: Metadata) -> str:
    """The same text for models that were trained alike, on the same data, from different seeds."""
    how = {name: value for name, value in metadata.provenance.items() if name not in CHANCE}
    what = [metadata.model, asdict(metadata.config), asdict(metadata.spec), metadata.labels, how]
    return json.dumps(what, sort_keys=True)


def evaluate_clips(
    models: str | Path | Sequence[str | Path] = (),
    data: str | Path | Sequence[str | Path] = (),
    *,
    media: Sequence[str] = (),
    depth: bool | Sequence[str] = False,
    splits: Sequence[str] = (),
    subjects: Sequence[str] = (),
    labels: LabelMap | None = None,
    restrict: bool = False,
    flow: str = "",
    backend: BackendName = "torch",
    precision: InferencePrecision = "fp32",
    cache: str | Path = ".cache/clips",
    workers: int = 0,
) -> ClipEvaluation:
    """Evaluate models on labelled recordings.

    Args:
        models: bundle files; empty: the shipped model.
        data: folders of class folders, or lists of clips.
        media: folders with the files, one for all data or one for each; empty, or `-`: as the data says.
        depth: whether the recordings show depth as grey, or the names of the data that do.
        splits: evaluate on these only; empty: all.
        subjects: evaluate on these only; empty: all.
        labels: renames, merges or drops labels of the data.
        restrict: limit the answers to the labels of the data.
        flow: name of the optical flow estimator, see `create_flow`; empty: the one of the model's training.
        backend: what runs the models.
        precision: of the models' arithmetic.
        cache: folder for decoded clips.
        workers: processes that decode.

    Raises:
        FluxformerError: if the data, a model or an argument cannot be used.
    """
    paths = [Path(path) for path in _several(models)] or [default_bundle_path()]
    bundles = {path: Bundle.load(path) for path in dict.fromkeys(paths)}
    chosen = RecordingFilter(tuple(splits), tuple(subjects))
    shows_depth = ([] if depth else None) if isinstance(depth, bool) else depth
    sources = read_sources([Path(path) for path in _several(data)], media, shows_depth, chosen, labels)
    names = tuple(sorted({recording.label for source in sources for recording in source.train}))
    for path, bundle in bundles.items():
        _answers(bundle.labels, names, path.name, restrict=restrict)  # decoding takes long: refuse before
    stores = {
        spec: ClipStore.joined(build_stores(sources, names, spec, Path(cache), flow=flow, workers=workers)[0])
        for spec in dict.fromkeys(bundle.spec for bundle in bundles.values())
    }
    evaluate = partial(_evaluate, restrict=restrict, flow=flow, backend=backend, precision=precision)
    results = [evaluate(bundle, path.name, stores[bundle.spec]) for path, bundle in bundles.items()]
    store = stores[results[0].bundle.spec]
    sets = tuple(source.name for source in sources), chosen.splits, chosen.subjects
    evaluated = EvaluatedData(*sets, len(store), tuple(store.skipped), restrict)
    return ClipEvaluation(evaluated, this_machine(), tuple(results))


def _several(paths: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [paths] if isinstance(paths, (str, Path)) else paths


def _answers(labels: Sequence[str], data: Sequence[str], file: str, *, restrict: bool) -> tuple[str, ...]:
    """The labels of a model that it may answer with; a model without a label of the data is refused."""
    unknown = sorted(set(data) - set(labels))
    if unknown:
        raise ConfigError(f"{file} has no label {', '.join(unknown)}: rename or drop them with --labels")
    return tuple(label for label in labels if label in data) if restrict else tuple(labels)


def _evaluate(
    bundle: Bundle,
    file: str,
    store: ClipStore,
    *,
    restrict: bool,
    flow: str,
    backend: BackendName,
    precision: InferencePrecision,
) -> ModelResult:
    """Classify every recording of a store once."""
    labels = _answers(bundle.labels, store.labels, file, restrict=restrict)
    takes_flow = bundle.spec.flow != "none"  # `predict` has the same rule
    model = open_model(bundle, backend, precision, flow=takes_flow)
    logits = predict(model, store, bundle.spec) / bundle.metadata.temperature
    probabilities = logits[:, [bundle.labels.index(label) for label in labels]].softmax(1).numpy()
    truth = np.array([labels.index(label) for label in store.labels], np.intp)[store.classes]
    report = score_clips(probabilities, truth, labels)
    mistakes = worst_clip_mistakes(report, probabilities, truth, store, bundle.spec, confusions=CONFUSIONS)
    latency = measure_latency(model, store, bundle.spec, flow=flow)
    return ModelResult(file, bundle, report, latency, tuple(mistakes))
