"""Plays recorded clips of known actions to one running recogniser and counts how many it names."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fluxformer_core.errors import FluxformerError, SourceError
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.types import SECOND, ActionEvent, EventKind
from fluxformer_ros.tools.graph import Run, run_graph

_HOLD = 1.0  # s: the person stands still before and after


@dataclass(frozen=True)
class Clip:
    """One line of the list."""

    path: str
    label: str


@dataclass(frozen=True)
class Verdict:
    """What was said during one clip."""

    path: str
    label: str
    answer: str  # the main action; empty if none was named
    score: float  # of its best event
    others: tuple[str, ...]  # further actions named

    @property
    def right(self) -> bool:
        """Whether the main action is the clip's."""
        return self.answer == self.label


def read_list(path: Path) -> list[Clip]:
    """Read a CSV file with the columns `path` and `label`; further columns are ignored.

    Raises:
        SourceError: if the file cannot be read, or has other columns, or no line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            clips = [Clip(row["path"], row["label"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not a CSV file with the columns path and label: {error}") from error
    if not clips:
        raise SourceError(f"{path} lists no clip")
    return clips


def judge(clips: Sequence[Clip], run: Run) -> list[Verdict]:
    """Give every clip its main action: the label with the largest sum of score times duration within the clip.

    Args:
        clips: in the order in which they were played.
        run: what was played and heard.
    """
    spans: dict[int, tuple[int, int]] = {}
    for frame in run.frames:
        spans[frame.source] = (spans.get(frame.source, (frame.stamp, 0))[0], frame.stamp)
    ended = [event for event in run.transcript.events if event.kind is EventKind.ENDED]
    return [_verdict(clip, spans[number], ended) for number, clip in enumerate(clips)]


def _verdict(clip: Clip, span: tuple[int, int], ended: Sequence[ActionEvent]) -> Verdict:
    weights: dict[str, float] = defaultdict(float)
    scores: dict[str, float] = defaultdict(float)
    for event in ended:
        overlap = min(event.end, span[1]) - max(event.start, span[0])
        if overlap > 0:
            weights[event.label] += event.score * overlap / SECOND
            scores[event.label] = max(scores[event.label], event.score)
    ranked = sorted(weights, key=lambda label: -weights[label])
    answer = ranked[0] if ranked else ""
    return Verdict(clip.path, clip.label, answer, scores.get(answer, 0.0), tuple(ranked[1:]))


def play(clips: Sequence[Clip], data: Path, model: str | None = None) -> Run:
    """Play all clips one after another to one recogniser, with a silence that clears its window in between.

    Raises:
        SourceError: if a clip is not there.
        GraphError: if a process fails.
    """
    missing = [clip.path for clip in clips if not (data / clip.path).is_file()]
    if missing:
        raise SourceError(f"{len(missing)} of {len(clips)} clips are not in {data}, the first: {missing[0]}")
    holds = ["--hold-before", str(_HOLD), "--hold-after", str(_HOLD), "--return-to-first"]
    pause = ["--pause", str(2 * RecognizerConfig().max_gap)]
    with TemporaryDirectory(prefix="fluxformer_") as folder:
        # A file, because hundreds of paths may be more than a command line holds.
        sources = Path(folder) / "sources"
        sources.write_text("\n".join(str(data / clip.path) for clip in clips), encoding="utf-8")
        return run_graph([f"@{sources}", *holds, *pause], model=model, quiet=True)


def main(args: Sequence[str] | None = None) -> int:
    """Run the check.

    Returns:
        The exit code: 2 if the clips cannot be played or a process failed.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python -m fluxformer_ros.checks.clips clips.csv recordings/ --json result.json",
    )
    parser.add_argument("list", type=Path, help="CSV file with the columns path and label")
    parser.add_argument("data", type=Path, help="folder that the paths are relative to")
    parser.add_argument("--model", metavar="FILE", help="another model than the one that is shipped")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every verdict there, too")
    options = parser.parse_args(args)
    try:
        clips = read_list(options.list)
        verdicts = judge(clips, play(clips, options.data, options.model))
    except FluxformerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    for verdict in verdicts:
        others = f"  also {', '.join(verdict.others)}" if verdict.others else ""
        mark = "right" if verdict.right else "WRONG"
        print(f"{mark}  {verdict.path:<32} {verdict.label:<18} {verdict.answer or '-':<18} {verdict.score:.2f}{others}")
    right = sum(verdict.right for verdict in verdicts)
    print(f"{right} of {len(verdicts)} clips named: {100 * right / len(verdicts):.1f} %")
    if options.json:
        lines = [{**asdict(verdict), "right": verdict.right} for verdict in verdicts]
        result = {"clips": len(verdicts), "right": right, "share": right / len(verdicts), "verdicts": lines}
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
