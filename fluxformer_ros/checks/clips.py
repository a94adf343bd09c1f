"""Plays recorded clips of known actions to one running recogniser and counts how many of them it names."""

from __future__ import annotations

import csv
import json
from argparse import Namespace
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fluxformer_core.errors import SourceError
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.types import SECOND, ActionEvent
from fluxformer_ros.tools.graph import Run, run_graph

EXAMPLE = "clips.csv recordings/ --json result.json"
ARGUMENTS = {
    "list": dict(type=Path, help="CSV file with the columns path and label"),
    "data": dict(type=Path, help="folder that the paths are relative to"),
    "--json": dict(type=Path, metavar="FILE", help="also write the result of every clip to this file"),
}
_HOLD = 1.0  # s: the person stands still before and after


@dataclass(frozen=True)
class ListedClip:
    """One line of the list."""

    path: str
    label: str


@dataclass(frozen=True)
class CheckResult:
    """What the recogniser said during one clip."""

    path: str
    label: str
    answer: str  # the main action; empty if no action was named
    score: float  # of its best event
    others: tuple[str, ...]  # further actions named

    @property
    def right(self) -> bool:
        """Whether the main action is the clip's."""
        return self.answer == self.label


def read_list(path: Path) -> list[ListedClip]:
    """Read a CSV file with the columns `path` and `label`; raises a SourceError if these or all lines are missing."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            clips = [ListedClip(row["path"], row["label"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not a CSV file with the columns path and label: {error}") from error
    if not clips:
        raise SourceError(f"{path} lists no clip")
    return clips


def judge(clips: Sequence[ListedClip], run: Run) -> list[CheckResult]:
    """Give every clip, in the order of playing, its main action: the largest sum of score times duration within it."""
    spans: dict[int, tuple[int, int]] = {}
    for frame in run.frames:
        spans[frame.source] = (spans.get(frame.source, (frame.stamp, 0))[0], frame.stamp)
    return [_result(clip, spans[number], run.transcript.ended) for number, clip in enumerate(clips)]


def _result(clip: ListedClip, span: tuple[int, int], ended: Sequence[ActionEvent]) -> CheckResult:
    weights: dict[str, float] = defaultdict(float)
    scores: dict[str, float] = defaultdict(float)
    for event in ended:
        overlap = min(event.end, span[1]) - max(event.start, span[0])
        if overlap > 0:
            weights[event.label] += event.score * overlap / SECOND
            scores[event.label] = max(scores[event.label], event.score)
    ranked = sorted(weights, key=lambda label: -weights[label])
    answer = ranked[0] if ranked else ""
    return CheckResult(clip.path, clip.label, answer, scores.get(answer, 0.0), tuple(ranked[1:]))


def play(clips: Sequence[ListedClip], data: Path, model: Path | None = None) -> Run:
    """Play all clips to one recogniser, with a silence between two clips that clears the recogniser's window.

    Raises:
        SourceError: if a clip is missing.
        GraphError: if a process fails.
    """
    missing = [clip.path for clip in clips if not (data / clip.path).is_file()]
    if missing:
        raise SourceError(f"{len(missing)} of {len(clips)} clips are not in {data}, the first: {missing[0]}")
    holds = ["--hold-before", str(_HOLD), "--hold-after", str(_HOLD), "--return-to-first"]
    pause = ["--pause", str(2 * RecognizerConfig().max_gap)]
    with TemporaryDirectory(prefix="fluxformer_") as folder:
        # A file, because a command line may be too short for hundreds of paths.
        sources = Path(folder) / "sources"
        sources.write_text("\n".join(str(data / clip.path) for clip in clips), encoding="utf-8")
        return run_graph([f"@{sources}", *holds, *pause], model=model, quiet=True)


def run(options: Namespace) -> bool:
    """Play the clips and print the result of each; this check never fails."""
    clips = read_list(options.list)
    results = judge(clips, play(clips, options.data, options.model))
    for result in results:
        others = f"  also {', '.join(result.others)}" if result.others else ""
        mark = "right" if result.right else "WRONG"
        print(f"{mark}  {result.path:<32} {result.label:<18} {result.answer or '-':<18} {result.score:.2f}{others}")
    right = sum(result.right for result in results)
    print(f"{right} of {len(results)} clips named: {100 * right / len(results):.1f} %")
    if options.json:
        lines = [{**asdict(result), "right": result.right} for result in results]
        summary = {"clips": len(results), "right": right, "share": right / len(results), "results": lines}
        options.json.write_text(json.dumps(summary, indent=1), encoding="utf-8")
    return False
