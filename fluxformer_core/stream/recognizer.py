"""The recogniser: frames with stamps in, recognitions and events out. Everything live goes through `push`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import EnrolledAction
from fluxformer_core.errors import ConfigError
from fluxformer_core.images import check_image
from fluxformer_core.people.square import Person, Square
from fluxformer_core.people.tracks import PeopleConfig, Tracks
from fluxformer_core.stream.admission import Admission, AdmissionResult
from fluxformer_core.stream.clip import FrameSelection
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.inference import ClipModel
from fluxformer_core.stream.measurements import Counters, ResetCause, StageTimings
from fluxformer_core.stream.stream import ClipRequest, Stream
from fluxformer_core.types import ActionEvent, Pixels, Recognition, Update

SCENE = ""
"""Id of the view that shows the whole scene."""


@dataclass(frozen=True)
class ViewState:
    """What is seen and said of one view, for pictures."""

    person_id: str  # empty: the whole scene
    box: tuple[int, int, int, int] | None  # left, top, right, bottom in px of the image; None: the whole scene
    recognition: Recognition | None  # the newest one
    event: ActionEvent | None  # the newest one
    clip: FrameSelection | None  # what the newest decision looked at


@dataclass
class _View:
    stream: Stream
    square: Square | None = None
    recognition: Recognition | None = None
    event: ActionEvent | None = None
    instances: dict[int, int] = field(default_factory=dict)  # the stream's number of an action -> the recogniser's


class Recognizer:
    """Recognises actions in the frames of one camera. Not thread-safe: one thread pushes.

    A recogniser has one stream for the whole scene or, with `people`, one for each person. Frames are admitted once for
    all streams, and the clips of all streams that are due go through the model in one batch.

    Args:
        model: a model that is ready to run, or a bundle.
        config: settings; the property of the same name replaces them at any time.
        flow: estimator of optical flow for a bundle, as `create_flow` names it; empty: the one of its training.
        people: settings of following people; None: the whole scene is watched.

    Attributes:
        model: the model, shared by all streams.
        tracks: who is followed; None: the whole scene is watched.
        counters: what happened to frames, of all streams together.
        timings: milliseconds of the stages.

    Raises:
        FluxformerError: as `ClipModel` does, if a bundle is given.
    """

    def __init__(
        self,
        model: ClipModel | Bundle,
        config: RecognizerConfig | None = None,
        *,
        flow: str = "",
        people: PeopleConfig | None = None,
    ) -> None:
        self._config = config = RecognizerConfig() if config is None else config
        if isinstance(model, Bundle):
            model = ClipModel(model, backend=config.backend, precision=config.precision, flow=flow)
        self.model = model
        self.tracks = None if people is None else Tracks(people)
        self.counters = Counters()
        self.timings = StageTimings()
        self._admission = Admission(model.spec, config.max_gap)
        self._format: tuple[tuple[int, ...], Pixels] | None = None
        self._instances = 0
        self._views = {} if people else {SCENE: _View(self._new_stream())}

    @property
    def config(self) -> RecognizerConfig:
        """Current settings; other settings take effect at the next push, another backend only in a new recogniser."""
        return self._config

    @config.setter
    def config(self, config: RecognizerConfig) -> None:
        self._config = config
        self._admission.set_max_gap(config.max_gap)
        for view in self._views.values():
            view.stream.configure(config)

    @property
    def scene(self) -> Stream:
        """The stream of the whole scene; a recogniser that follows people has none."""
        return self._views[SCENE].stream

    @property
    def views(self) -> tuple[ViewState, ...]:
        """The scene, or every person who is followed now, with what was said of each last."""
        shape = self._format[0] if self._format else (0, 0)
        return tuple(
            ViewState(
                person,
                None if view.square is None else view.square.within(shape),
                view.recognition,
                view.event,
                view.stream.last_clip,
            )
            for person, view in self._views.items()
            if self._format or view.square is None
        )

    def push(
        self,
        image: NDArray[np.generic],
        stamp: int,
        pixels: Pixels = Pixels.RGB,
        people: Sequence[Person] | None = None,
    ) -> Update:
        """Take in one camera frame.

        Args:
            image: as `pixels` says; not kept.
            stamp: ns, the camera's.
            pixels: how to read the image.
            people: who is where, for a recogniser that follows people; None: no detector has looked at this frame.

        Returns:
            A recognition of each view for which one was due, and the events of the frame.

        Raises:
            ImageError: if the image's shape or type contradicts `pixels`; the frame then counts for nothing else.
            ConfigError: if people are given to a recogniser of the whole scene.
        """
        check_image(image, pixels)
        if people is not None and self.tracks is None:
            raise ConfigError("this recogniser watches the whole scene; make it with people=PeopleConfig()")
        self.counters.frames += 1
        events: tuple[ActionEvent, ...] = ()
        if self._format not in (None, (image.shape, pixels)):
            events = self.reset(ResetCause.SIZE_CHANGE)
        self._format = image.shape, pixels
        result = self._admission.judge(stamp)
        if result is AdmissionResult.SKIP:
            self.counters.skipped += 1
        elif result is AdmissionResult.DUPLICATE:
            self.counters.duplicates += 1
        elif result is AdmissionResult.LATE:
            self.counters.late += 1
        else:
            if result is not AdmissionResult.ADMIT:
                events += self._empty(ResetCause(result.value))
            self.counters.admitted += 1
            events += self._follow(people, stamp)
            update = self._look(image, stamp, pixels)
            return Update(update.recognitions, (*events, *update.events))
        return Update(events=events)

    def reset(self, cause: ResetCause = ResetCause.REQUESTED) -> tuple[ActionEvent, ...]:
        """Empty every window, forget people, and end open actions."""
        self._admission.reset()
        self._format = None
        return self._empty(cause)

    def enroll(self, actions: Sequence[EnrolledAction]) -> tuple[ActionEvent, ...]:
        """Recognise these taught actions from now on, and no others; ends open actions.

        Raises:
            ConfigError: if the bundle has no statistics of its own actions.
        """
        self.model.enroll(actions)
        return self.close()

    def close(self) -> tuple[ActionEvent, ...]:
        """End open actions; the recogniser may be used on."""
        return tuple(
            event
            for person, view in self._views.items()
            for event in self._named(person, view, Update(events=view.stream.close())).events
        )

    def _new_stream(self) -> Stream:
        return Stream(self.model, self._config, self.counters, self.timings)

    def _empty(self, cause: ResetCause) -> tuple[ActionEvent, ...]:
        self.counters.resets[cause] += 1
        if self.tracks is not None:
            self.tracks.clear()
            return self._leave(list(self._views))
        view = self._views[SCENE]
        view.recognition = None
        events = view.stream.reset(keep_rhythm=cause is ResetCause.GAP)
        return self._named(SCENE, view, Update(events=events)).events

    def _follow(self, people: Sequence[Person] | None, stamp: int) -> tuple[ActionEvent, ...]:
        """Open a view for each new person, and close those of people who are gone."""
        if self.tracks is None:
            return ()
        self.tracks.update(people, stamp)
        for person, square in self.tracks.squares.items():
            if person not in self._views:
                self._views[person] = _View(self._new_stream(), square)
        return self._leave([person for person in self._views if person not in self.tracks.squares])

    def _leave(self, people: Sequence[str]) -> tuple[ActionEvent, ...]:
        left = [(person, self._views.pop(person)) for person in people]
        return tuple(
            event
            for person, view in left
            for event in self._named(person, view, Update(events=view.stream.close())).events
        )

    def _look(self, image: NDArray[np.generic], stamp: int, pixels: Pixels) -> Update:
        """Show an admitted image to every view, and ask the model about all that are due at once."""
        recognitions: list[Recognition] = []
        events: list[ActionEvent] = []
        due: list[tuple[str, _View, ClipRequest]] = []

        def say(person: str, view: _View, update: Update) -> None:
            named = self._named(person, view, update)
            recognitions.extend(named.recognitions)
            events.extend(named.events)

        for person, view in self._views.items():
            seen = image if view.square is None else view.square.cut(image)
            recognition, happened, request = view.stream.observe(seen, stamp, pixels)
            say(person, view, Update((recognition,) if recognition else (), happened))
            if request is not None:
                due.append((person, view, request))
        if due:
            self.counters.forwards += 1
            with self.timings.measure("forward", pool=True):
                outputs = self.model.infer([request.clip for *_, request in due])
            for (person, view, request), output in zip(due, outputs, strict=True):
                say(person, view, view.stream.decide(request, output))
        return Update(tuple(recognitions), tuple(events))

    def _named(self, person: str, view: _View, update: Update) -> Update:
        """What a stream says, with the person's id and instances counted over all streams; the view remembers it."""
        recognitions = tuple(replace(recognition, person_id=person) for recognition in update.recognitions)
        events = []
        for event in update.events:
            if event.instance not in view.instances:
                self._instances += 1
                view.instances = {event.instance: self._instances}  # one action is open at a time
            events.append(replace(event, person_id=person, instance=view.instances[event.instance]))
        view.recognition = recognitions[-1] if recognitions else view.recognition
        view.event = events[-1] if events else view.event
        return Update(recognitions, tuple(events))
