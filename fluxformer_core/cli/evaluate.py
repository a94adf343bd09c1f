"""fluxformer evaluate: how often a model names labelled recordings rightly."""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser, Namespace
from pathlib import Path

SUMMARY = "Measure a model on labelled recordings."
EXAMPLES = """\
  fluxformer evaluate clips/index.csv --splits test
  fluxformer evaluate index.csv --media clips_crop --depth --splits test --model mine.safetensors --json report.json"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="INDEX.csv", type=Path, help="list with the columns path, label[, split]")
    parser.add_argument("--model", metavar="BUNDLE", help="model file (default: the shipped one)")
    parser.add_argument("--media", metavar="FOLDER", help="take the files from this folder beside the list")
    parser.add_argument("--depth", action="store_true", help="the recordings are grey pictures of depth")
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help="measure on these splits only (default: all)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures here too")
    parser.add_argument("--cache", type=Path, default=Path(".cache/clips"), help="decoded clips (default: %(default)s)")


def run(arguments: Namespace) -> None:
    """Decode, classify, report.

    Raises:
        FluxformerError: if the data or the model cannot be used.
    """
    from fluxformer_core.bundle import Bundle, default_bundle_path
    from fluxformer_core.evaluation.clips import score_clips
    from fluxformer_core.learn.datasets import ClipStore, read_index
    from fluxformer_core.learn.training import predict

    bundle = Bundle.load(arguments.model or default_bundle_path())
    recordings = [
        r
        for r in read_index(arguments.data, media=arguments.media)
        if not arguments.splits or r.split in arguments.splits
    ]
    store = ClipStore.build(recordings, bundle.labels, bundle.spec, arguments.cache, depth=arguments.depth)
    logits = predict(bundle.build_model(), store, bundle.spec) / bundle.metadata.temperature
    report = score_clips(logits.softmax(1).numpy(), store.classes, bundle.labels)
    print(f"{'label':<20} clips  right")
    for label, count, recall in zip(report.labels, report.confusion.sum(axis=1), report.recall, strict=True):
        if not math.isnan(recall):
            print(f"{label:<20} {count:5d} {recall:6.1%}")
    for truth, predicted, count in report.mistakes(8):
        print(f"{count:3d} x {truth} taken for {predicted}")
    for line in store.skipped:
        print(f"skipped: {line}")
    print(
        f"{len(store)} clips: top-1 {report.top1:.1%}, top-5 {report.top5:.1%}, "
        f"calibration error {report.calibration_error:.1%}"
    )
    if arguments.json:
        figures = {
            "model": bundle.digest,
            "clips": len(store),
            "skipped": store.skipped,
            "top1": report.top1,
            "top5": report.top5,
            "calibration_error": report.calibration_error,
            "labels": report.labels,
            "confusion": report.confusion.tolist(),
        }
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
