"""The recogniser: frames with stamps in, recognitions and events out. Everything live goes through `push`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import EnrolledAction
from fluxformer_core.errors import PeopleError
from fluxformer_core.images import check_image
from fluxformer_core.people.finder import Finder, create_finder
from fluxformer_core.people.person import Sighting, region_in
from fluxformer_core.people.square import Rectangle
from fluxformer_core.people.tracker import Track
from fluxformer_core.people.watch import PeopleWatch
from fluxformer_core.stream.admission import Admission, AdmissionResult, Rhythm
from fluxformer_core.stream.buffer import Earlier
from fluxformer_core.stream.clip import FrameSelection
from fluxformer_core.stream.config import RecognizerConfig
from fluxformer_core.stream.inference import ClipModel
from fluxformer_core.stream.measurements import Counters, ResetCause, StageTimings
from fluxformer_core.stream.prepare import person_pictures, prepare
from fluxformer_core.stream.stream import ClipRequest, Stream
from fluxformer_core.types import ActionEvent, Pixels, Recognition, State, Update, ViewName

log = logging.getLogger(__name__)

SCENE = ""
"""Id of the view that shows the whole scene."""


@dataclass(frozen=True)
class ViewState:
    """What is seen and said of one view, for pictures."""

    person_id: str  # empty: the whole scene
    square: Rectangle | None  # where the person is looked at, px of the image; None: the whole scene
    sighting: Sighting | None  # the person as seen last; None: the whole scene
    recognition: Recognition | None  # the newest one
    event: ActionEvent | None  # the newest one
    clip: FrameSelection | None  # what the newest decision looked at


@dataclass
class _View:
    stream: Stream
    track: Track | None = None  # the person; None: the whole scene
    recognition: Recognition | None = None
    event: ActionEvent | None = None
    instances: dict[int, int] = field(default_factory=dict)  # the stream's number of an action -> the recogniser's


class Recognizer:
    """Recognises actions in the frames of one camera. Not thread-safe: one thread pushes.

    In the scene view, a recogniser has one stream for the whole scene. In the person view, it has one for each person.
    Frames are admitted once for all streams, and the clips of all streams go through the model in one batch.

    Args:
        model: a model that is ready to run, or a bundle.
        config: settings; the property of the same name replaces them at any time.
        flow: estimator of optical flow for a bundle, as `create_flow` names it; empty: the one of its training.
        finder: finds people in the person view; None: the shipped nets in colour, and surfaces in depth.

    Attributes:
        model: the model, shared by all streams.
        view: what the model looks at.
        people: who is followed; None in the scene view, and before the first frame.
        obstacle: why the scene is watched although the person view was wanted; empty: it is not so.
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
        finder: Finder | None = None,
    ) -> None:
        self._config = config = RecognizerConfig() if config is None else config
        if isinstance(model, Bundle):
            model = ClipModel(model, backend=config.backend, precision=config.precision, flow=flow)
        self.model = model
        self.view: ViewName = model.spec.view if config.view == "auto" else config.view
        self.people: PeopleWatch | None = None
        self.obstacle = ""
        self.counters = Counters()
        self.timings = StageTimings()
        self._finder, self._depth = finder, False
        self._admission = Admission(model.spec, config.max_gap)
        self._rhythm = Rhythm(model.spec)
        self._format: tuple[tuple[int, ...], Pixels] | None = None
        self._instances = 0
        self._views = {SCENE: _View(self._new_stream())} if self.view == "scene" else {}

    @property
    def config(self) -> RecognizerConfig:
        """Current settings; other settings take effect at the next push, another backend only in a new recogniser."""
        return self._config

    @config.setter
    def config(self, config: RecognizerConfig) -> None:
        if config.recognition_rate != self._config.recognition_rate:
            self._rhythm.reset()
        self._config = config
        self._admission.set_max_gap(config.max_gap)
        for view in self._views.values():
            view.stream.configure(config)

    @property
    def scene(self) -> Stream:
        """The stream of the whole scene, which a recogniser in the person view does not have."""
        return self._views[SCENE].stream

    def stream_of(self, person_id: str = "") -> Stream | None:
        """The stream of a person; without an id, that of the scene or of the tallest person; None: nobody is there."""
        view = self._views.get(person_id) if person_id else next(iter(self._views.values()), None)
        return None if view is None else view.stream

    @property
    def views(self) -> tuple[ViewState, ...]:
        """The scene, or every person who is followed now, with what was said of each last."""
        return tuple(
            ViewState(
                person,
                None if view.track is None else view.track.square.rectangle,
                None if view.track is None else view.track.sighting,
                view.recognition,
                view.event,
                view.stream.last_clip,
            )
            for person, view in self._views.items()
        )

    def push(
        self,
        image: NDArray[np.generic],
        stamp: int,
        pixels: Pixels = Pixels.RGB,
        people: Sequence[Sighting] | None = None,
    ) -> Update:
        """Take in one camera frame.

        Args:
            image: as `pixels` says; not kept.
            stamp: ns, the camera's.
            pixels: how to read the image.
            people: who is where, if a detector outside this package says so; None: such a detector has not looked at
                this frame. The scene view ignores people.

        Returns:
            A recognition of each view for which one was due, and the events of the frame.

        Raises:
            ImageError: if the image's shape or type contradicts `pixels`; the frame then counts for nothing else.
        """
        check_image(image, pixels)
        self.counters.frames += 1
        events: tuple[ActionEvent, ...] = ()
        if self._format not in (None, (image.shape, pixels)):
            events = self.reset(ResetCause.SIZE_CHANGE)
        if self._format is None:
            self._format = image.shape, pixels
            self._open_view(pixels)
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
            events += self._follow(image, stamp, pixels, people)
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

    def warm_up(self) -> None:
        """Load the nets that find people, and run the model, so that the first frames take no longer than others."""
        self.model.warm_up()
        if self.view == "person":
            self._open_view(Pixels.RGB)

    def _open_view(self, pixels: Pixels) -> None:
        """Begin to follow people in images of a kind or, where people cannot be found, watch the whole scene."""
        depth = pixels is Pixels.DEPTH
        if self.view == "scene" or (self.people is not None and self._depth == depth):
            return
        self._depth = depth
        try:
            finder = self._finder or create_finder(pixels)
        except PeopleError as error:
            log.warning("%s; the whole scene is watched instead", error)
            self.view, self.people, self.obstacle = "scene", None, str(error)
            self._views = {SCENE: _View(self._new_stream())}
            return
        self.people = PeopleWatch(finder, self._config.people)

    def _empty(self, cause: ResetCause) -> tuple[ActionEvent, ...]:
        self.counters.resets[cause] += 1
        if cause is not ResetCause.GAP:
            # After a loss of frames, recognitions go on at the same stamps as before.
            self._rhythm.reset()
        if self.people is not None:
            self.people.clear(same_place=cause is ResetCause.GAP)
            return self._leave(list(self._views))
        events: tuple[ActionEvent, ...] = ()
        for person, view in self._views.items():
            view.recognition = None
            events += self._named(person, view, Update(events=view.stream.reset())).events
        return events

    def _follow(
        self, image: NDArray[np.generic], stamp: int, pixels: Pixels, given: Sequence[Sighting] | None
    ) -> tuple[ActionEvent, ...]:
        """Open a view for each new person, and close those of people who are gone."""
        if self.people is None:
            return ()
        with self.timings.measure("people"):
            self.people.observe(image, pixels, stamp, given)
        present = {track.id: track for track in self.people.people}
        events = self._leave([person for person in self._views if person not in present])
        self._views = {
            person: self._views.get(person) or _View(self._new_stream(), track) for person, track in present.items()
        }
        return events

    def _leave(self, people: Sequence[str]) -> tuple[ActionEvent, ...]:
        left = [(person, self._views.pop(person)) for person in people]
        return tuple(
            event
            for person, view in left
            for event in self._named(person, view, Update(events=view.stream.close())).events
        )

    def _look(self, image: NDArray[np.generic], stamp: int, pixels: Pixels) -> Update:
        """Show an admitted image to every view, and ask the model about all of them at once."""
        recognitions: list[Recognition] = []
        events: list[ActionEvent] = []
        requests: list[tuple[str, _View, ClipRequest]] = []

        def say(person: str, view: _View, update: Update) -> None:
            named = self._named(person, view, update)
            recognitions.extend(named.recognitions)
            events.extend(named.events)

        due = self._rhythm.due(stamp, self._config.recognition_rate)
        for person, view in self._views.items():
            with self.timings.measure("prepare"):
                frame, earlier = self._picture(view, image, stamp, pixels)
            recognition, happened, request = view.stream.observe(frame, stamp, due=due, earlier=earlier)
            say(person, view, Update((recognition,) if recognition else (), happened))
            if request is not None:
                requests.append((person, view, request))
        if requests:
            self.counters.forwards += 1
            with self.timings.measure("forward", pool=True):
                outputs = self.model.infer([request.clip for *_, request in requests])
            for (person, view, request), output in zip(requests, outputs, strict=True):
                say(person, view, view.stream.decide(request, output))
        if due and not self._views:
            self.counters.recognitions += 1
            recognitions.append(Recognition(stamp, stamp, stamp, State.NOBODY))
        return Update(tuple(recognitions), tuple(events))

    def _picture(
        self, view: _View, image: NDArray[np.generic], stamp: int, pixels: Pixels
    ) -> tuple[NDArray[np.uint8], Earlier | None]:
        """What a view shows now, and what shows earlier images in the same square; None: the square never moves."""
        spec = self.model.spec
        if view.track is None or self.people is None:
            return prepare(image, pixels, spec), None
        return person_pictures(self.people, view.track, stamp, pixels, spec)

    def _named(self, person: str, view: _View, update: Update) -> Update:
        """What a stream says, with the person's id and instances counted over all streams; the view remembers it."""
        where, found_by = self._where(view.track), "" if view.track is None else view.track.sighting.found_by.value
        recognitions = tuple(
            replace(recognition, person_id=person, **where, found_by=found_by) for recognition in update.recognitions
        )
        events = []
        for event in update.events:
            if event.instance not in view.instances:
                self._instances += 1
                view.instances = {event.instance: self._instances}  # one action is open at a time
            events.append(replace(event, person_id=person, instance=view.instances[event.instance], **where))
        view.recognition = recognitions[-1] if recognitions else view.recognition
        view.event = events[-1] if events else view.event
        return Update(recognitions, tuple(events))

    def _where(self, track: Track | None) -> dict[str, Any]:
        """Region and distance of a person, for messages; empty for the whole scene."""
        if track is None or self._format is None:
            return {}
        region = region_in(track.sighting.box, self._format[0])
        return {"region": region, "distance": track.sighting.distance}
