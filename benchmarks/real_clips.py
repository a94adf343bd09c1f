"""Names of labelled colour clips by events, as a robot would hear them, and by mean scores.

The recogniser sees each clip from its start to its end, with half a second before and after where the video has it. The
name of a clip is the label of the best event that was not retracted; no event is the name `other`.

Example:
    python -m benchmarks.real_clips real_colour.csv --view person
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from benchmarks.options import parser
from benchmarks.synthetic.naming import EVERY_SCORE, Said, listen
from benchmarks.synthetic.places import Shot
from fluxformer_core.bundle import Bundle
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import Recording
from fluxformer_core.io.sources import open_source
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.inference import ClipModel
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND

AROUND = SECOND // 2
"""ns before and after a clip that are shown, too."""


@dataclass(frozen=True)
class Named:
    """A clip and its names."""

    clip: Recording
    said: Said
    found: int  # people


def shots_of(clip: Recording) -> Iterator[Shot]:
    """The images of a clip; whoever is seen anywhere counts as the person."""
    with open_source(clip.path) as source:
        first = None
        for frame in source:
            first = frame.stamp if first is None else first
            since = frame.stamp - first
            begin, end = clip.start or 0, clip.end
            if end is not None and since > end + AROUND:
                return
            if since >= begin - AROUND:
                acting = since >= begin and (end is None or since <= end)
                height, width = frame.image.shape[:2]
                yield Shot(frame.stamp, frame.image, frame.pixels, ((0.0, 0.0, float(width), float(height)),), acting)


def table(named: list[Named]) -> str:
    """Clips and names by label."""
    lines = ["| label | clips | right by events | right by mean scores | named instead |", "| --- " * 5 + "|"]
    labels = sorted({one.clip.label for one in named})
    for label in (*labels, "all"):
        some = [one for one in named if label in (one.clip.label, "all")]
        events = [one.said.by_events == one.clip.label for one in some]
        scores = [one.said.by_scores == one.clip.label for one in some]
        wrong = sorted({one.said.by_events for one in some if one.said.by_events != one.clip.label})
        told = "" if label == "all" else ", ".join(wrong)
        lines.append(f"| {label} | {len(some)} | {sum(events)} | {sum(scores)} | {told} |")
    return "\n".join(lines)


def main() -> None:
    """Recognise and print."""
    made = parser(__doc__, "media", "model", "view")
    made.add_argument("data", type=Path, help="list of clips, in the folder that its paths are relative to")
    options = made.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    model = ClipModel(Bundle.load(options.model))
    config = RecognizerConfig(view=options.view, top_k=EVERY_SCORE)
    named: list[Named] = []
    for clip in read_data(options.data, media=options.media):
        heard = listen(Recognizer(model, config), shots_of(clip), 1)
        named.append(Named(clip, heard.people[0], heard.found))
        said = f"{heard.people[0].by_events} (by scores {heard.people[0].by_scores or 'nothing'})"
        print(f"{Path(clip.path).name} {clip.label}: {said}, {heard.found} ids", flush=True)
    print(f"\n{options.data}, {options.model.name}, view {options.view}\n\n{table(named)}")


if __name__ == "__main__":
    main()
