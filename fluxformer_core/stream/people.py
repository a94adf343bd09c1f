"""People apart: every tracked person is a stream of their own, cut out of the same images, and one model serves all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.enrolled import EnrolledAction
from fluxformer_core.people.square import Box, Person, Square
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.config import PeopleConfig, RecognizerConfig
from fluxformer_core.stream.prepare import check_image
from fluxformer_core.stream.recognizer import Counters, Question, Recognizer, ResetCause, Selection
from fluxformer_core.types import SECOND, ActionEvent, Pixels, Recognition, Update


@dataclass(frozen=True)
class PersonView:
    """Somebody who is followed, for pictures: where they are looked at, and what was said of them last."""

    id: str
    box: Box
    recognition: Recognition | None
    event: ActionEvent | None
    selection: Selection | None


@dataclass
class _Track:
    stream: Recognizer
    square: Square
    seen: int  # ns: stamp of the newest image in which the person was detected
    recognition: Recognition | None = None
    event: ActionEvent | None = None
    instances: dict[int, int] = field(default_factory=dict)  # the stream's number of an action -> everybody's


class PeopleRecognizer:
    """Recognises what each of several people does. Not thread-safe: one thread pushes.

    Args:
        recognizer: its model, settings and taught actions serve everybody; it sees no image itself.
        config: settings; may be replaced at any time.

    Attributes:
        counters: frames are images here, whoever is in them; recognitions, forward passes and flow fields are of all
            people together, and a forward pass may be for several people.
        forgotten: people who were not detected any more.
        ignored: detections that were left out because there were more people than `most`.
    """

    def __init__(self, recognizer: Recognizer, config: PeopleConfig | None = None) -> None:
        self.config = PeopleConfig() if config is None else config
        self.counters = Counters()
        self.forgotten = 0
        self.ignored = 0
        self._recognizer = recognizer
        self._admission = Admission(recognizer.spec, recognizer.config.max_gap)
        self._tracks: dict[str, _Track] = {}
        self._instances = 0
        self._format: tuple[tuple[int, ...], Pixels] | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """Who is followed now."""
        return tuple(self._tracks)

    @property
    def views(self) -> tuple[PersonView, ...]:
        """Who is followed now, where in the newest image, and what was said of each."""
        if self._format is None:
            return ()
        shape, _ = self._format
        return tuple(
            PersonView(person, track.square.within(shape), track.recognition, track.event, track.stream.last_selection)
            for person, track in self._tracks.items()
        )

    def configure(self, config: RecognizerConfig) -> None:
        """Settings of everybody's recognition from the next push on."""
        self._recognizer.config = config
        self._admission.set_max_gap(config.max_gap)
        for track in self._tracks.values():
            track.stream.config = config

    def push(
        self, image: NDArray[np.generic], stamp: int, pixels: Pixels, people: Sequence[Person] | None
    ) -> list[Update]:
        """Take in one camera frame.

        Args:
            image: as `pixels` says; not kept.
            stamp: ns, the camera's.
            pixels: how to read the image.
            people: who is where; None: nobody has looked yet, everybody stays where they were.

        Returns:
            What is to be said, each of one person, with their id.

        Raises:
            ImageError: if the image's shape or type contradicts `pixels`.
        """
        check_image(image, pixels)
        self.counters.frames += 1
        updates: list[Update] = []
        if self._format is not None and self._format != (image.shape, pixels):
            updates += self.reset(ResetCause.SIZE_CHANGE)
        self._format = (image.shape, pixels)
        result = self._admission.judge(stamp)
        if result in (AdmissionResult.SKIP, AdmissionResult.DUPLICATE, AdmissionResult.LATE):
            names = {AdmissionResult.SKIP: "skipped", AdmissionResult.DUPLICATE: "duplicates"}
            counted = names.get(result, "late")
            setattr(self.counters, counted, getattr(self.counters, counted) + 1)
            return updates
        if result in (AdmissionResult.GAP, AdmissionResult.TIME_JUMP):
            updates += self.reset(ResetCause(result.value))
        self.counters.admitted += 1
        if people is not None:
            self._follow(people, stamp)
        updates += self._forget(stamp)
        return updates + self._look(image, stamp, pixels)

    def reset(self, cause: ResetCause = ResetCause.REQUESTED) -> list[Update]:
        """Forget everybody and end open events."""
        self.counters.resets[cause] += 1
        if cause not in (ResetCause.GAP, ResetCause.TIME_JUMP):  # these have already taken in the new frame
            self._admission.reset()
            self._format = None
        return [self._leave(person) for person in list(self._tracks)]

    def enroll(self, actions: Sequence[EnrolledAction]) -> list[Update]:
        """Recognise these taught actions from now on, and no others; ends open events."""
        self._recognizer.enroll(actions)
        return [
            self._said(person, track, Update(events=track.stream.enroll(actions)))
            for person, track in self._tracks.items()
        ]

    def _follow(self, people: Sequence[Person], stamp: int) -> None:
        tallest = sorted(people, key=lambda person: person.box[1] - person.box[3])
        known = [person for person in tallest if person.id in self._tracks]
        room = self.config.most - len(self._tracks)
        new = [person for person in tallest if person.id not in self._tracks]
        self.ignored += max(0, len(new) - max(0, room))
        for person in known:
            track = self._tracks[person.id]
            track.square.follow(person.box)
            track.seen = stamp
        for person in new[: max(0, room)]:
            square = Square(person.box, self.config.margin)
            self._tracks[person.id] = _Track(self._recognizer.fork(), square, stamp)

    def _forget(self, stamp: int) -> list[Update]:
        expiry = round(self.config.expiry * SECOND)
        gone = [person for person, track in self._tracks.items() if stamp - track.seen > expiry]
        self.forgotten += len(gone)
        return [self._leave(person) for person in gone]

    def _look(self, image: NDArray[np.generic], stamp: int, pixels: Pixels) -> list[Update]:
        updates: list[Update] = []
        asked: list[tuple[str, _Track, Update, Question]] = []
        for person, track in self._tracks.items():
            before = track.stream.counters.flows, track.stream.counters.recognitions
            update, question = track.stream.begin(track.square.cut(image), stamp, pixels, image.shape)
            self.counters.flows += track.stream.counters.flows - before[0]
            self.counters.recognitions += track.stream.counters.recognitions - before[1]
            if question is None:
                updates.append(self._said(person, track, update))
            else:
                asked.append((person, track, update, question))
        if asked:
            self.counters.forwards += 1
            answers = self._recognizer.ask([question for *_, question in asked])
            for (person, track, update, question), evidence in zip(asked, answers, strict=True):
                updates.append(self._said(person, track, track.stream.conclude(update, question, evidence)))
        return updates

    def _leave(self, person: str) -> Update:
        track = self._tracks.pop(person)
        return self._said(person, track, Update(events=track.stream.close()))

    def _said(self, person: str, track: _Track, update: Update) -> Update:
        """What a stream says, in the person's name."""
        recognition = update.recognition and replace(update.recognition, person_id=person)
        events = tuple(self._named(person, track, event) for event in update.events)
        track.recognition = recognition or track.recognition
        track.event = events[-1] if events else track.event
        return Update(recognition, events)

    def _named(self, person: str, track: _Track, event: ActionEvent) -> ActionEvent:
        if event.instance not in track.instances:
            self._instances += 1
            track.instances = {event.instance: self._instances}  # one action is open at a time
        return replace(event, person_id=person, instance=track.instances[event.instance])
