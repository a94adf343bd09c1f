r"""Whether the same act gets the same name wherever it is: at any distance, left and right, beside somebody, in a pan.

Each clip is seen twice: alone in the middle at three quarters of the picture's height, and at one random place, where
the person takes 25 to 90 % of the picture's height. Every second person stands beside somebody who does something else.
The truth is the name of the same clip alone in the middle. Two names are compared: the label with the best mean score,
and the label of the best event that was not retracted (`other`: no event). A recognition and an event belong to the
person whose true box their region overlaps most. With --pan, the camera turns to and fro while people act; with --idle,
nobody acts under the turning camera, and events are counted.

depth    Recordings without background, in 640 x 480 depth rooms with furniture, seen by a camera of 95 degrees.
colour   Performances of the rendered actor, in the medians of real videos in which the pose nets find nobody.
         benchmarks/empty_rooms.csv lists videos whose medians show nobody to the eye either.

Examples:
    python -m benchmarks.anywhere depth utd_mhad_depth/index.csv --media clips --splits test --view person
    python -m benchmarks.anywhere colour benchmarks/empty_rooms.csv --media /data --view person --pan 30
    python -m benchmarks.anywhere colour benchmarks/empty_rooms.csv --media /data --view person --pan 30 --idle 10
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import torch

from benchmarks.options import parser
from benchmarks.synthetic.cast import Cast, of_recordings, of_the_actor
from benchmarks.synthetic.cutouts import cut_out
from benchmarks.synthetic.naming import Heard, Said
from benchmarks.synthetic.places import SIZES, idle
from fluxformer_core.bundle import Bundle
from fluxformer_core.data.read_data import read_data
from fluxformer_core.data.recordings import chosen
from fluxformer_core.stream.inference import ClipModel

IDLE_SCENE = 30.0
"""Seconds of one scene in which nobody acts."""

BOUNDS = (SIZES[0], 0.45, 0.65, 1.0)
"""Shares of the picture's height between the rows of the table."""


@dataclass(frozen=True)
class Outcome:
    """One clip."""

    label: str
    share: float  # of the picture's height
    people: int  # in the picture
    alone: Said
    there: Heard

    @property
    def said(self) -> Said:
        """What was said of the person at the random place."""
        return self.there.people[0]


def measure(cast: Cast, model: ClipModel, options: argparse.Namespace) -> list[Outcome]:
    """Show every clip twice."""
    outcomes = []
    for number, clip in enumerate(cast.clips):
        seed = 10_000 * options.seed + number
        alone = cast.hear(model, options.view, cast.alone(clip, seed, options.empty)).people[0]
        clips = [clip, cast.partner(number, seed)][: 1 + number % 2]
        play = cast.anywhere(clips, seed, options.empty, options.pan)
        place = play.people[0]
        outcome = Outcome(clip.label, place.share, len(clips), alone, cast.hear(model, options.view, play))
        outcomes.append(outcome)
        said, beside = outcome.said, f", beside {clips[1].label}" if len(clips) == 2 else ""
        print(
            f"{number} {clip.label}, alone {alone.by_scores or '-'} / {alone.by_events}; {place.share:.0%} high, "
            f"left {place.left}{beside}: {said.by_scores or '-'} / {said.by_events}, {outcome.there.found} ids",
            flush=True,
        )
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """Shares of equal and of right names, and numbers of people found, by size and by company."""
    rows: dict[str, Callable[[Outcome], bool]] = {
        "all": lambda _: True,
        "by themselves": lambda one: one.people == 1,
        "beside somebody": lambda one: one.people == 2,
    }
    for low, high in pairwise(BOUNDS):
        rows[f"{low:.0%} to {min(high, SIZES[1]):.0%} high"] = lambda one, a=low, b=high: a <= one.share < b  # type: ignore[misc]
    lines = [
        "| people | clips | as alone by scores | as alone by events | right by scores: alone, there | right by events: "
        "alone, there | ids: none, one, two, more |",
        "| --- " * 7 + "|",
    ]
    for name, belongs in rows.items():
        some = [one for one in outcomes if belongs(one)]
        if not some:
            continue

        def share(holds: Callable[[Outcome], bool], some: Sequence[Outcome] = some) -> str:
            return f"{sum(map(holds, some)) / len(some):.0%}"

        found = [min(one.there.found, 3) for one in some]
        lines.append(
            f"| {name} | {len(some)} "
            f"| {share(lambda one: one.said.by_scores == one.alone.by_scores)} "
            f"| {share(lambda one: one.said.by_events == one.alone.by_events)} "
            f"| {share(lambda one: one.alone.by_scores == one.label)}, "
            f"{share(lambda one: one.said.by_scores == one.label)} "
            f"| {share(lambda one: one.alone.by_events == one.label)}, "
            f"{share(lambda one: one.said.by_events == one.label)} "
            f"| {', '.join(str(found.count(n)) for n in range(4))} |"
        )
    return "\n".join(lines)


def rest(cast: Cast, model: ClipModel, options: argparse.Namespace) -> str:
    """Events in scenes in which nobody acts: half of them empty, half of them with a person who stands still."""
    events, ids = {"empty room": 0, "somebody stands": 0}, {"empty room": 0, "somebody stands": 0}
    scenes = max(1, round(60 * options.idle / IDLE_SCENE))
    for number in range(scenes):
        seed = 10_000 * options.seed + 5_000 + number
        kind = list(events)[number % 2]
        person = cut_out(cast.clips[number % len(cast.clips)]) if number % 2 else None
        play = idle(person, cast.room(seed), seed, seconds=IDLE_SCENE, pan=options.pan)
        heard = cast.hear(model, options.view, play)
        events[kind] += heard.started
        ids[kind] += heard.found
        print(f"{kind}, {IDLE_SCENE:g} s: {heard.started} events, {heard.found} ids", flush=True)
    lines = ["| scene | minutes | events | ids |", "| --- " * 4 + "|"]
    for i, kind in enumerate(events):
        minutes = len(range(i, scenes, 2)) * IDLE_SCENE / 60
        lines.append(f"| {kind} | {minutes:g} | {events[kind]} | {ids[kind]} |")
    return "\n".join(lines)


def main() -> None:
    """Compose, recognise and print."""
    made = parser(__doc__, "media", "splits", "subjects", "model", "view", "seed")
    add = made.add_argument
    add("mode", choices=("depth", "colour"))
    add("data", type=Path, nargs="+", help="depth: list of recordings; colour: videos of rooms, folders or lists")
    add("--clips", type=int, default=108, help="(default: %(default)s)")
    add("--empty", type=float, default=1.0, help="seconds before people are in the picture (default: %(default)g)")
    add("--pan", type=float, default=0.0, help="degrees per second by which the camera turns (default: %(default)g)")
    add("--idle", type=float, default=0.0, metavar="MINUTES", help="nobody acts")
    options = made.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    bundle = Bundle.load(options.model)
    if options.mode == "depth":
        recordings = [r for data in options.data for r in read_data(data, media=options.media)]
        cast = of_recordings(
            chosen(recordings, splits=options.splits, subjects=options.subjects), options.clips, options.seed
        )
    else:
        cast = of_the_actor(bundle.labels, options.data, options.clips, options.seed, options.media)
        print(f"{len(cast.pictures)} rooms without people", flush=True)
    model = ClipModel(bundle)
    found = rest(cast, model, options) if options.idle else table(measure(cast, model, options))
    print(
        f"\n{options.mode}, {len(cast.clips)} clips, {options.model.name}, view {options.view}, seed {options.seed}, "
        f"empty for {options.empty:g} s, pan {options.pan:g} degrees/s\n\n{found}"
    )


if __name__ == "__main__":
    main()
