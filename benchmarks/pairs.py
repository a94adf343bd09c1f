r"""Whether two people in one picture, who do different things, keep the names that each of them gets alone.

Half of the pairs are depth recordings in depth rooms, half are performances of the rendered actor in pictures of real
rooms; benchmarks/anywhere.py describes both, and the two kinds of names. An id is swapped if it goes over from one
person to the other: the two never touch in the picture.

Example:
    python -m benchmarks.pairs utd_mhad_depth/index.csv --media clips --splits test --view person \
        --rooms benchmarks/empty_rooms.csv --room-media /data
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from benchmarks.options import parser
from benchmarks.synthetic.cast import Cast, Clip, of_recordings, of_the_actor
from benchmarks.synthetic.naming import Heard, Said
from fluxformer_core.bundle import Bundle
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import chosen
from fluxformer_core.stream.inference import ClipModel


@dataclass(frozen=True)
class Pair:
    """Two people in one picture."""

    kind: str
    alone: tuple[Said, Said]
    together: Heard

    def kept(self, name: Callable[[Said], str]) -> int:
        """How many of the two keep their name."""
        return sum(name(one) == name(two) for one, two in zip(self.alone, self.together.people, strict=True))


def measure(cast: Cast, kind: str, model: ClipModel, options: argparse.Namespace) -> Iterator[Pair]:
    """Show every clip of a cast with a partner, and each of them alone."""
    names: dict[Clip, Said] = {}
    for number, clip in enumerate(cast.clips):
        seed = 10_000 * options.seed + 2_000 + number
        clips = clip, cast.partner(number, seed)
        for one in clips:
            if one not in names:
                names[one] = cast.hear(model, options.view, cast.alone(one, seed, options.empty)).people[0]
        heard = cast.hear(model, options.view, cast.anywhere(clips, seed, options.empty))
        told = "; ".join(
            f"{one.label}, alone {names[one].by_scores or '-'} / {names[one].by_events}, "
            f"together {said.by_scores or '-'} / {said.by_events}"
            for one, said in zip(clips, heard.people, strict=True)
        )
        print(f"{kind} {number}: {told}; {heard.found} ids, {heard.swaps} swaps", flush=True)
        yield Pair(kind, (names[clips[0]], names[clips[1]]), heard)


def table(pairs: Sequence[Pair]) -> str:
    """Names that were kept, and ids that were swapped."""
    lines = [
        "| pairs | names kept by scores | by events | ids swapped | ids: fewer than two, two, more |",
        "| --- " * 5 + "|",
    ]
    for kind in ("depth", "colour", "all"):
        some = [pair for pair in pairs if kind in (pair.kind, "all")]
        if some:
            scores, events = (
                sum(pair.kept(name) for pair in some) / (2 * len(some))
                for name in (lambda said: said.by_scores, lambda said: said.by_events)
            )
            found = [min(max(pair.together.found, 1), 3) for pair in some]
            lines.append(
                f"| {len(some)} {kind} | {scores:.0%} | {events:.0%} | {sum(pair.together.swaps for pair in some)} "
                f"| {', '.join(str(found.count(n)) for n in (1, 2, 3))} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Compose, recognise and print."""
    made = parser(__doc__, "media", "splits", "subjects", "model", "view", "seed")
    add = made.add_argument
    add("data", type=Path, help="list of depth recordings without background")
    add("--rooms", type=Path, nargs="+", default=[], help="videos, folders or lists (default: depth alone)")
    add("--room-media", metavar="FOLDER", help="that the paths of lists of rooms are relative to (default: the list's)")
    add("--pairs", type=int, default=200, help="(default: %(default)s)")
    add("--empty", type=float, default=1.0, help="seconds before people are in the picture (default: %(default)g)")
    options = made.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    bundle = Bundle.load(options.model)
    model = ClipModel(bundle)
    recordings = chosen(read_data(options.data, media=options.media), splits=options.splits, subjects=options.subjects)
    in_colour = options.pairs // 2 if options.rooms else 0
    pairs = list(measure(of_recordings(recordings, options.pairs - in_colour, options.seed), "depth", model, options))
    if in_colour:
        actors = of_the_actor(bundle.labels, options.rooms, in_colour, options.seed, options.room_media)
        pairs += measure(actors, "colour", model, options)
    print(
        f"\n{len(pairs)} pairs, {options.model.name}, view {options.view}, seed {options.seed}, empty for "
        f"{options.empty:g} s\n\n{table(pairs)}"
    )


if __name__ == "__main__":
    main()
