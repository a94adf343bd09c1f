"""Who acts in composed scenes: people of depth recordings in depth rooms, or the actor in pictures of real rooms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic.cutouts import cut_out
from benchmarks.synthetic.naming import EVERY_SCORE, Heard, listen
from benchmarks.synthetic.places import Play, alone, anywhere
from benchmarks.synthetic.rooms import DEPTH_FIELD, empty_pictures
from fluxformer_core.actor import ACTIONS
from fluxformer_core.data.decoding import ActorClip
from fluxformer_core.data.recordings import Recording
from fluxformer_core.people.depth import DepthConfig, DepthFinder
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.inference import ClipModel
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import OTHER, ViewName

UNSEEN = 2_000_000
"""Seeds of the actor from here on are used by no training, nor by benchmarks/compare.py."""

Clip = Recording | ActorClip


@dataclass(frozen=True)
class Cast:
    """Clips and rooms."""

    clips: tuple[Clip, ...]
    pictures: tuple[NDArray[np.uint8], ...]  # of rooms without people, RGB; empty: depth rooms

    def room(self, seed: int) -> NDArray[np.uint8] | None:
        """The picture of a room, which the seed decides; None: a depth room."""
        return (
            self.pictures[int(np.random.default_rng([seed, 7]).integers(len(self.pictures)))] if self.pictures else None
        )

    def partner(self, number: int, seed: int) -> Clip:
        """A clip with another label than the clip of this number."""
        others = [clip for clip in self.clips if clip.label != self.clips[number].label]
        return others[int(np.random.default_rng([seed, 8]).integers(len(others)))]

    def alone(self, clip: Clip, seed: int, empty: float) -> Play:
        """One clip in the middle."""
        return alone(cut_out(clip), self.room(seed), seed, empty=empty)

    def anywhere(self, clips: Sequence[Clip], seed: int, empty: float, pan: float = 0.0) -> Play:
        """One or two clips, each at a place."""
        return anywhere([cut_out(clip) for clip in clips], self.room(seed), seed, empty=empty, pan=pan)

    def recognizer(self, model: ClipModel, view: ViewName) -> Recognizer:
        """A recogniser that has seen nothing yet."""
        finder = None if self.pictures else DepthFinder(DepthConfig(field_of_view=DEPTH_FIELD))
        return Recognizer(model, RecognizerConfig(view=view, top_k=EVERY_SCORE), finder=finder)

    def hear(self, model: ClipModel, view: ViewName, play: Play) -> Heard:
        """What a new recogniser says of a scene."""
        return listen(self.recognizer(model, view), play, len(play.people))


def of_recordings(recordings: Sequence[Recording], count: int, seed: int) -> Cast:
    """`count` depth recordings, as many of each label, of as many people as there are, in depth rooms."""
    order = np.random.default_rng([seed, 9]).permutation(len(recordings))
    taken: Counter[tuple[str, str]] = Counter()
    ranked = []
    for recording in (recordings[i] for i in order):
        ranked.append((taken[recording.label, recording.subject], recording))
        taken[recording.label, recording.subject] += 1
    by_label: dict[str, list[Recording]] = {}
    for _, recording in sorted(ranked, key=lambda pair: pair[0]):
        by_label.setdefault(recording.label, []).append(recording)
    rounds = max(map(len, by_label.values()), default=0)
    clips = [by_label[label][i] for i in range(rounds) for label in sorted(by_label) if i < len(by_label[label])]
    return Cast(tuple(clips[:count]), ())


def of_the_actor(
    labels: Sequence[str], videos: Sequence[Path], count: int, seed: int, media: str | None = None
) -> Cast:
    """`count` performances of those labels that the actor knows, in turn, in pictures of rooms; see `empty_pictures`.

    Raises:
        ConfigError: if every median shows somebody.
        PeopleError: if the nets cannot be used.
    """
    known = sorted(label for label in labels if label in ACTIONS and label != OTHER)
    clips = [ActorClip(known[i % len(known)], UNSEEN + 1000 * seed + i, "colour") for i in range(count)]
    return Cast(tuple(clips), tuple(empty_pictures(videos, media)))
