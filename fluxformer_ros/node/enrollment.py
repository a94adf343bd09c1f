"""~/enroll and ~/forget: teach the running recogniser a new action, or remove a taught action.

A thread of its own embeds the examples, so that neither images nor services wait. The executor's thread decides on the
result, so that decisions never run side by side.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fluxformer.action import Enroll
from fluxformer.msg import ActionScore
from fluxformer.srv import Forget
from rclpy.action.server import ActionServer, CancelResponse, ServerGoalHandle
from rclpy.node import Node

from fluxformer_core.bundle import Bundle
from fluxformer_core.enrolled import MOST_EXAMPLES, EnrolledAction
from fluxformer_core.enrollment.enrolled_file import load_enrolled, save_enrolled
from fluxformer_core.enrollment.examples import Example, describe
from fluxformer_core.enrollment.live_examples import CaptureStatus, ExampleCapture
from fluxformer_core.enrollment.teaching import refuse_name, teach
from fluxformer_core.errors import ConfigError
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.taught import KnownActions
from fluxformer_core.types import SECOND
from fluxformer_ros.node.worker import Worker

USUAL_DURATION, LONGEST_DURATION = 60.0, 600.0  # s
_FEEDBACK_PERIOD = 0.5  # s: the longest time between two messages of feedback
_NEXT = "perform the action, then stand still"
_FIRST = "stand still, then perform the action, then stand still"


@dataclass(frozen=True)
class _Model:
    """The model to teach, from configure to cleanup."""

    bundle: Bundle
    worker: Worker
    file: Path

    @property
    def recognizer(self) -> Recognizer:
        return self.worker.recognizer


@dataclass
class _Session:
    """One goal, from its acceptance to its result."""

    goal: ServerGoalHandle[Any, Any, Any]
    wanted: int
    deadline: float  # by time.monotonic
    captures: queue.SimpleQueue[CaptureStatus] = field(default_factory=queue.SimpleQueue)
    examples: list[Example] = field(default_factory=list)
    failure: str = ""  # why nothing can be learnt


class Enrollment:
    """The action and the service. Both exist as long as the node and refuse requests while the node is not active.

    `changed` is called after the set of known actions has changed.
    """

    def __init__(self, node: Node, changed: Callable[[], None]) -> None:
        self._node, self._changed = node, changed
        self._model: _Model | None = None
        self._active = False
        self._session: _Session | None = None
        self._thread: threading.Thread | None = None
        self._server = ActionServer(
            node,
            Enroll,
            "~/enroll",
            self._conclude,
            handle_accepted_callback=self._begin,
            cancel_callback=lambda _goal: CancelResponse.ACCEPT,
        )
        node.create_service(Forget, "~/forget", self._on_forget)

    def configure(self, bundle: Bundle, worker: Worker, file: Path) -> None:
        """Take over a model and its taught actions; a file that cannot be used leads to a warning."""
        self._model = _Model(bundle, worker, file)
        try:
            if taught := load_enrolled(file, bundle):
                worker.recognizer.enroll((*bundle.enrolled, *taught))
                self._node.get_logger().info(f"taught earlier: {', '.join(action.label for action in taught)}")
        except ConfigError as error:
            self._node.get_logger().warning(f"{error}; going on without")

    def activate(self) -> None:
        """Accept goals from now on."""
        self._active = True

    def deactivate(self) -> None:
        """Refuse goals from now on; a goal that is being pursued is aborted."""
        self._active = False
        if self._session is not None:
            self._session.failure = "the recogniser was deactivated; nothing was learnt"
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def cleanup(self) -> None:
        """Release the model."""
        self._model = None

    def destroy(self) -> None:
        """Stop offering the action."""
        self._server.destroy()

    def _begin(self, goal: ServerGoalHandle[Any, Any, Any]) -> None:
        request = goal.request
        seconds = request.duration.sec + request.duration.nanosec / SECOND
        if refusal := self._refusal(request, seconds):
            goal.execute(lambda goal: _refuse(goal, refusal))
            return
        self._session = session = _Session(goal, request.examples, time.monotonic() + (seconds or USUAL_DURATION))
        self._thread = threading.Thread(target=self._collect, args=(session,), name="enrolment")
        self._thread.start()

    def _refusal(self, request: Any, seconds: float) -> str:
        """Why this goal is refused at once; empty if teaching can begin."""
        if self._model is None or not self._active:
            return "the recogniser is not active; activate it first"
        recognizer, person = self._model.recognizer, request.person_id
        if person and recognizer.view == "scene":
            return "people are not told apart; leave person_id empty, or set view to person"
        if person and recognizer.stream_of(person) is None:
            return f"person {person} is not in view; ~/people says who is"
        if self._session is not None:
            return f"{self._session.goal.request.label} is being taught; wait for its end, or cancel it"
        if request.examples > MOST_EXAMPLES:
            return f"{request.examples} examples are more than {MOST_EXAMPLES}"
        if not 0 <= seconds <= LONGEST_DURATION:
            return f"a duration of {seconds:g} s is not within 0..{LONGEST_DURATION:g} s"
        try:
            KnownActions(self._model.bundle)
        except ConfigError as error:
            return str(error)
        return refuse_name(request.label, self._model.bundle.labels, recognizer.model.enrolled)

    def _collect(self, session: _Session) -> None:
        """Collect examples until there are enough; runs on a thread of its own."""
        model = self._model
        assert model is not None
        capturing = ExampleCapture(session.goal.request.person_id)
        model.worker.observe(lambda recognizer: session.captures.put(capturing.update(recognizer)))
        try:
            self._watch(session, model.recognizer)
        except Exception as error:
            session.failure = f"an example could not be embedded: {error}"
        finally:
            model.worker.observe(None)
        session.goal.execute(self._conclude)

    def _watch(self, session: _Session, recognizer: Recognizer) -> None:
        hint, moving, told = _FIRST, False, 0.0
        while len(session.examples) < (session.wanted or MOST_EXAMPLES):
            if session.failure or session.goal.is_cancel_requested or time.monotonic() >= session.deadline:
                return
            try:
                capture = session.captures.get(timeout=0.1)
            except queue.Empty:
                continue
            if capture.example is not None:
                session.examples.append(describe(recognizer, capture.example))
                hint = _NEXT
            news = capture.example is not None or bool(capture.hint) or capture.moving != moving
            hint, moving = capture.hint or hint, capture.moving
            if news or time.monotonic() - told >= _FEEDBACK_PERIOD:
                told = time.monotonic()
                session.goal.publish_feedback(
                    Enroll.Feedback(examples=len(session.examples), moving=moving, motion=capture.motion, hint=hint)
                )

    def _conclude(self, goal: ServerGoalHandle[Any, Any, Any]) -> Any:
        """Decide on the result of a goal."""
        session, self._session = self._session, None
        assert session is not None
        seen = len(session.examples)
        if goal.is_cancel_requested:
            goal.canceled()
            return Enroll.Result(message="cancelled; nothing was learnt", examples=seen)
        failure = session.failure
        if not failure and (seen == 0 or seen < session.wanted):
            wanted = f"{seen} of {session.wanted}" if session.wanted else "no"
            failure = f"{wanted} examples were seen in time; stand still before and after each of them"
        if failure or self._model is None:
            return _refuse(goal, failure or "the model is gone; nothing was learnt", seen)
        result = self._learn(self._model, session)
        (goal.succeed if result.accepted else goal.abort)()
        return result

    def _learn(self, model: _Model, session: _Session) -> Any:
        request, enrolled = session.goal.request, model.recognizer.model.enrolled
        known = KnownActions(model.bundle)
        taught = teach(request.label, session.examples, known, enrolled, even_if_similar=request.even_if_similar)
        similar = [ActionScore(label=label, score=similarity) for label, similarity in taught.similar]
        result = Enroll.Result(message=taught.refusal, consistency=taught.consistency, similar=similar)
        result.examples = len(session.examples)
        if taught.action is not None:
            result.accepted = True
            result.message = f"{request.label} is known from {result.examples} examples"
            result.message += self._adopt(model, (*enrolled, taught.action))
            self._node.get_logger().info(result.message)
        return result

    def _adopt(self, model: _Model, actions: Sequence[EnrolledAction]) -> str:
        """Recognise these actions from now on; returns a warning if they cannot be saved, else an empty text."""
        model.worker.enroll(actions)
        self._changed()
        own = {action.label for action in model.bundle.enrolled}
        try:
            save_enrolled(model.file, model.bundle, [action for action in actions if action.label not in own])
        except ConfigError as error:
            self._node.get_logger().warning(str(error))
            return f"; only until the node stops: {error}"
        return ""

    def _on_forget(self, request: Forget.Request, response: Forget.Response) -> Forget.Response:
        if self._model is None:
            response.message = "no model is loaded; configure the recogniser first"
            return response
        model, label = self._model, request.label
        enrolled = model.recognizer.model.enrolled
        left = [action for action in enrolled if action.label != label]
        if label in {action.label for action in model.bundle.enrolled}:
            response.message = f"{label} is part of the model file; `fluxformer enroll --forget` removes it there"
        elif label in model.bundle.labels:
            response.message = f"{label} was learnt in training and cannot be forgotten"
        elif len(left) == len(enrolled):
            response.message = f"{label} is not enrolled"
        else:
            response.success, response.message = True, f"{label} is forgotten" + self._adopt(model, left)
        return response


def _refuse(goal: ServerGoalHandle[Any, Any, Any], reason: str, examples: int = 0) -> Any:
    goal.abort()
    return Enroll.Result(message=reason, examples=examples)
