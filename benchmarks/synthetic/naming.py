"""What a recogniser says of people whose true places are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.synthetic.places import Shot
from fluxformer_core.people.person import Box
from fluxformer_core.people.tracker import overlap
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import OTHER, ActionEvent, EventKind, Recognition, Region

EVERY_SCORE = 1000
"""`top_k` with which a recognition lists every label."""

LEAST_SHARED = 0.5
"""Share of the smaller of two boxes, from which a region shows a true person; the region of an arm counts, too."""


@dataclass(frozen=True)
class Said:
    """What was said of one true person.

    A recognition belongs to the person whose true box its region overlaps most. Its scores count while somebody acts.
    """

    by_scores: str  # label with the best mean score; empty: there was no score
    by_events: str  # label of the best event that was not retracted; OTHER: there is none
    ids: tuple[str, ...]  # under which the person was known, in the order of time


@dataclass(frozen=True)
class Heard:
    """What was said in one scene."""

    people: tuple[Said, ...]  # of each true person
    found: int  # ids in recognitions, also of what is no person
    swaps: int  # times that an id went over to another true person
    started: int  # events that started, of anybody


@dataclass
class _Ear:
    scores: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    events: dict[int, ActionEvent] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)


def listen(recognizer: Recognizer, shots: Iterable[Shot], people: int) -> Heard:
    """Play a scene to a recogniser.

    Args:
        recognizer: with `top_k=EVERY_SCORE`; it is reset first.
        shots: the scene.
        people: how many true people there are.
    """
    recognizer.reset()
    ears = [_Ear() for _ in range(people)]
    owner: dict[str, int] = {}
    ids: set[str] = set()
    swaps = started = 0
    boxes: tuple[Box, ...] = ()
    last = None
    for shot in shots:
        update, boxes, last = recognizer.push(shot.image, shot.stamp, shot.pixels), shot.boxes or boxes, shot
        started += sum(event.kind is EventKind.STARTED for event in update.events)
        for recognition in update.recognitions:
            ids |= {recognition.person_id} - {""}
            who = _whose(recognition, boxes)
            if who is None:
                continue
            swaps += owner.get(recognition.person_id, who) != who
            owner[recognition.person_id] = who
            if ears[who].ids[-1:] != [recognition.person_id]:
                ears[who].ids.append(recognition.person_id)
            if shot.acting:
                for score in recognition.scores:
                    ears[who].scores[score.label].append(score.score)
        _hear(ears, update.events, boxes)
    if last is not None:
        _hear(ears, recognizer.close(), boxes)
    return Heard(tuple(_said(ear) for ear in ears), len(ids), swaps, started)


def _hear(ears: Sequence[_Ear], events: Iterable[ActionEvent], boxes: Sequence[Box]) -> None:
    for event in events:
        who = next((i for i, ear in enumerate(ears) if event.instance in ear.events), _whose(event, boxes))
        if who is None:
            continue
        if event.kind is EventKind.RETRACTED:
            ears[who].events.pop(event.instance, None)
        else:
            ears[who].events[event.instance] = event


def _said(ear: _Ear) -> Said:
    label = max(ear.scores, key=lambda label: np.mean(ear.scores[label]), default="")
    event = max(ear.events.values(), key=lambda event: event.score, default=None)
    return Said(label, OTHER if event is None else event.label, tuple(ear.ids))


def _whose(said: Recognition | ActionEvent, boxes: Sequence[Box]) -> int | None:
    """The true person that is spoken of; None: nobody. What is said of the whole scene is said of the first person."""
    if not boxes:
        return None
    region: Region | None = said.region
    if region is None:
        return None if said.person_id else 0
    shares = [overlap(region, box) for box in boxes]
    best = int(np.argmax(shares))
    both, smaller = _area(region) + _area(boxes[best]), min(_area(region), _area(boxes[best]))
    shared = both * shares[best] / (1 + shares[best])  # px that both have
    return best if shared >= LEAST_SHARED * smaller else None


def _area(box: Box) -> float:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)
