"""A recogniser in a process of its own, and a robot that publishes images, listens and calls services."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from fluxformer.msg import ActionEvent, ActionLabels, Recognition
from fluxformer.srv import Forget
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from fluxformer_core.actor import Performance, Stage, perform
from fluxformer_core.bundle import Bundle, Metadata
from fluxformer_core.io.video_writer import VideoRecorder
from fluxformer_core.models.registry import clip_spec, create_model, model_config
from fluxformer_core.types import SECOND, Pixels
from fluxformer_ros.node.images import image_to_msg
from fluxformer_ros.node.messages import time_from_msg

PATIENCE = 120.0  # s: the longest wait, also on a busy machine; only a test that fails waits so long
PERIOD = SECOND // 15  # ns between the stamps of two images
_LEAD = 4 * PERIOD  # ns by which images may be ahead of recognitions
LABELS = ("wave", "clap")
_ACTING = Stage([Performance("wave", 0.0, 6.0)], rate=15.0, size=(120, 160), duration=6.0)
_STILL = Stage([], rate=15.0, size=(120, 160), duration=0.1)
AnyRobot = TypeVar("AnyRobot", bound="Robot")
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource

arguments = [tuple(argument.split(":=")) for argument in sys.argv[2:]]
include = IncludeLaunchDescription(AnyLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
service = LaunchService()
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""


def as_rgb(image: np.ndarray) -> Image:
    return image_to_msg(image, Pixels.RGB, 0, "")


def wait_until(condition: Callable[[], Any]) -> None:
    """Wait for another thread of this process."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


class RecognizerProcess:
    """The node as users start it, a context manager; `said` is its standard error."""

    def __init__(self, log: Path, *, namespace: str = "", **parameters: Any) -> None:
        values = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        command = ["-m", "fluxformer_ros.node.recognizer_node", "--ros-args", *values, "-r", f"__ns:=/{namespace}"]
        self._log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen([sys.executable, *command], stderr=stderr)

    def __enter__(self) -> RecognizerProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return self._log.read_text()


class Robot:
    """A node that publishes images with made-up stamps and keeps all messages of the recogniser."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.stamp = 1_000 * SECOND  # of the next image
        self.published = 0
        self.recognitions: list[Recognition] = []
        self.events: list[ActionEvent] = []
        self.labels: list[ActionLabels] = []
        self.statuses: list[DiagnosticStatus] = []
        self._status_stamp = 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.images = self.camera(Image, "image")
        self.compressed = self.camera(CompressedImage, "image/compressed")
        node.create_subscription(Recognition, "recognizer/recognition", self.recognitions.append, 100)
        node.create_subscription(ActionEvent, "recognizer/events", self.events.append, 100)
        node.create_subscription(ActionLabels, "recognizer/labels", self.labels.append, latched)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)
        services = {"change_state": ChangeState, "reset": Trigger, "forget": Forget}
        services["set_parameters_atomically"] = SetParametersAtomically
        self._services = {name: node.create_client(kind, f"recognizer/{name}") for name, kind in services.items()}

    def camera(self, kind: type, topic: str) -> Publisher:
        """A publisher of images that does not log QoS that does not fit."""
        quiet = PublisherEventCallbacks(use_default_callbacks=False)
        return self.node.create_publisher(kind, topic, qos_profile_sensor_data, event_callbacks=quiet)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        name = f"{self.node.resolve_topic_name('recognizer').lstrip('/')}:"
        self.statuses.extend(status for status in message.status if status.name.startswith(name))
        if self.statuses:
            self._status_stamp = time_from_msg(message.header.stamp)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait(self, until: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < end, f"waited in vain for {what}"
            self._executor.spin_once(timeout_sec=0.05)

    def call(self, service: str, request: Any) -> Any:
        client = self._services[service]
        self.wait(client.service_is_ready, service)
        answer = client.call_async(request)
        self.wait(answer.done, f"the answer of {service}")
        return answer.result()

    def set(self, **values: Any) -> SetParametersResult:
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=parameters)
        return self.call("set_parameters_atomically", request).result

    def change_state(self, *transitions: int) -> bool:
        """Whether all these transitions succeed."""
        requests = [ChangeState.Request(transition=Transition(id=transition)) for transition in transitions]
        return all(self.call("change_state", request).success for request in requests)

    def fresh_status(self) -> tuple[DiagnosticStatus, dict[str, str]]:
        """The first status that was made after this call."""
        asked = self.node.get_clock().now().nanoseconds
        self.wait(lambda: self._status_stamp > asked, "diagnostics")
        return self.statuses[-1], {entry.key: entry.value for entry in self.statuses[-1].values}

    def counts(self) -> dict[str, int]:
        values = self.fresh_status()[1]
        return {key: int(value) for key, value in values.items() if value.isdecimal()}

    def publish(self, message: Image | CompressedImage) -> None:
        """Publish an image, a little faster than real time; its stamp is 1/15 s after the stamp before."""
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(self.stamp, SECOND)
        message.header.frame_id = "eye"
        (self.images if isinstance(message, Image) else self.compressed).publish(message)
        self.published += 1
        self.stamp += PERIOD
        self.spin(0.03)

    def show(self, frames: int, *, acting: bool = True, make: Callable[[np.ndarray], Any] = as_rgb) -> None:
        """Publish images of a person who acts or stands, no faster than a busy machine recognises them."""
        self.play((_ACTING.frame(i % len(_ACTING)) if acting else _STILL.frame(0) for i in range(frames)), make)

    def play(self, images: Iterable[np.ndarray], make: Callable[[np.ndarray], Any] = as_rgb) -> None:
        """Publish images no faster than a busy machine recognises them."""
        for image in images:
            message = make(image)
            self.publish(message)
            for _ in range(20):
                newest = self.recognitions[-1].header.stamp if self.recognitions else message.header.stamp
                if self.stamp - PERIOD - time_from_msg(newest) < _LEAD:
                    break
                self.spin(0.02)

    def let_it_finish(self) -> None:
        """Wait until the recogniser has no more answers to the images so far."""
        heard = -1
        while heard != len(self.recognitions):
            heard = len(self.recognitions)
            self.spin(0.3)

    def ready(self) -> None:
        """Wait until the recogniser subscribes."""
        self.wait(self.images.get_subscription_count, "a subscriber")
        self.wait(lambda: self.labels, "labels")

    def hear(self) -> None:
        """Show a few images and wait for a recognition."""
        self.show(10)
        self.wait(lambda: self.recognitions, "a recognition")

    def wait_for_the_end_of(self, event: ActionEvent) -> None:
        self.wait(lambda: self.events[-1].kind == ActionEvent.ENDED, "the end of the action")
        assert self.events[-1].instance == event.instance

    def act_until_an_event_is_open(self) -> ActionEvent:
        """Act until an action has started and not ended; returns its newest event."""
        for _ in range(12):
            self.show(15)
            if self.events and self.events[-1].kind != ActionEvent.ENDED:
                return self.events[-1]
        raise AssertionError(f"no event is open; recognitions: {[r.state for r in self.recognitions[-10:]]}")


@contextmanager
def a_robot(namespace: str = "", kind: type[AnyRobot] = Robot) -> Iterator[AnyRobot]:
    """A robot in a namespace, which ends with the context."""
    robot = kind(rclpy.create_node("robot", namespace=namespace))
    try:
        yield robot
    finally:
        robot.close()


@contextmanager
def robot_and_recognizer(
    log: Path, namespace: str = "", kind: type[AnyRobot] = Robot, **parameters: Any
) -> Iterator[tuple[AnyRobot, RecognizerProcess]]:
    """A recogniser and a robot in a namespace of their own; both end with the context."""
    with a_robot(namespace, kind) as robot, RecognizerProcess(log, namespace=namespace, **parameters) as process:
        yield robot, process


def untrained_bundle(path: Path, name: str = "fluxformer_nano") -> Path:
    """A model with two labels and random weights, for tests of the node's behaviour."""
    weights = create_model(name, len(LABELS)).state_dict()
    Bundle(Metadata(name, model_config(name), clip_spec(name), LABELS), weights).save(path)
    return path


def filmed(path: Path) -> Path:
    """A video of the actor, who performs the action that the file is named after."""
    with VideoRecorder(path) as video:
        for index, image in enumerate(perform(path.stem, 1, mode="colour", size=(96, 128))):
            video.write(np.ascontiguousarray(image), index * SECOND // 20)
    return path
