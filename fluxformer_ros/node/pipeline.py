"""What exists between configure and cleanup: the model, its worker, and the topics that carry the results."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from fluxformer.msg import ActionEvent, ActionLabels, People, Recognition
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.stream.measurements import ResetCause
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import Update
from fluxformer_ros.node.adapters import Adapters, Detections, installed, needed
from fluxformer_ros.node.health import DebugTopics, HealthMonitor
from fluxformer_ros.node.messages import event_to_msg, people_to_msg, recognition_to_msg
from fluxformer_ros.node.overlay_topic import OverlayTopic
from fluxformer_ros.node.parameters import NodeConfig
from fluxformer_ros.node.ros4hri import BodyTopics, TrackedBodies
from fluxformer_ros.node.worker import CameraFrame, Worker

_LAST_WORDS = Duration(seconds=1)  # how long the last events may take to reach their readers


class Pipeline:
    """A loaded model with its worker and its topics, which the node owns; `health` gets the delay of each recognition.

    Attributes:
        bundle: the model file.
        recognizer: runs the model.
        worker: feeds the recogniser with images.
        overlay: draws what the recogniser sees.
        outside: people whom another node finds; None: this node finds people, or watches the whole scene.

    Raises:
        FluxformerError: if the model, the backend, or a package that the settings need cannot be used.
    """

    def __init__(self, node: LifecycleNode, config: NodeConfig, health: HealthMonitor) -> None:
        path = Path(config.model or default_bundle_path())
        self.bundle = Bundle.load(path)
        self.recognizer = Recognizer(self.bundle, config.recognizer, flow=config.flow)
        people = self.recognizer.view == "person"
        self.outside = _outside(node, config) if people else None
        node.get_logger().info(f"model {self.recognizer.model.describe()}, from {path}")
        self._node, self._config, self._health = node, config, health
        self.overlay = OverlayTopic(node, self.recognizer, rate=config.overlay_rate, height=config.overlay_height)
        self.worker = Worker(
            self.recognizer,
            self._publish,
            node.get_logger(),
            config.queue_size,
            people_at=self.outside.people_at if self.outside else None,
            on_frame=self._on_frame,
        )
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._recognitions = node.create_lifecycle_publisher(Recognition, "~/recognition", 10)
        self._events = node.create_lifecycle_publisher(ActionEvent, "~/events", 50)
        self._labels = node.create_lifecycle_publisher(ActionLabels, "~/labels", latched)
        self._people = node.create_lifecycle_publisher(People, "~/people", 10)
        self._admitted = 0  # images that were admitted when people were published last
        self._debug = DebugTopics(node, {**self.recognizer.timings.recent, "stamp to publish": health.latency})
        hri = installed("hri_msgs")
        bodies = None if hri is None else BodyTopics(node, hri, follow=people and config.finder != "hri")
        self._adapters = Adapters(node, installed("vision_msgs"), bodies)
        self._reset = node.create_service(Trigger, "~/reset", self._on_reset)

    def start(self) -> None:
        """Warm the model up, and recognise from now on."""
        self.overlay.start()
        self.worker.start()

    def stop(self) -> None:
        """End the open actions, and recognise no longer."""
        self.worker.stop()
        self.overlay.stop()

    def wait_for_last_events(self) -> None:
        """Wait until the events that were published last have reached their readers, within limits."""
        self._events.wait_for_all_acked(_LAST_WORDS)

    def configure(self, config: NodeConfig) -> None:
        """Use other settings from now on, as far as they may change while the model is loaded."""
        self._config = config
        self.worker.configure(config.recognizer)
        self.overlay.rate, self.overlay.height = config.overlay_rate, config.overlay_height
        self.publish_labels()

    def destroy(self) -> None:
        """Take down the topics and free the model."""
        self._adapters.close()
        groups = [[self._recognitions, self._events, self._labels, self._people]]
        groups += [self.overlay.publishers, self._debug.publishers, self._adapters.publishers]
        for publisher in chain.from_iterable(groups):
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_service(self._reset)
        if self.outside is not None:
            self.outside.close()

    def publish_labels(self) -> None:
        """Say which actions are known now."""
        labels, now = self.recognizer.model.labels, self._node.get_clock().now()
        threshold = self._config.recognizer.decision.start_score
        message = ActionLabels(
            model=self.bundle.name,
            version=self.bundle.digest,
            labels=list(labels),
            thresholds=[threshold] * len(labels),
            enrolled=[label not in self.bundle.labels for label in labels],
        )
        message.header.stamp = now.to_msg()
        self._labels.publish(message)
        self._adapters.announce(labels, threshold, now.nanoseconds)

    def _publish(self, update: Update, frame_id: str) -> None:
        self._adapters.publish(update, frame_id)
        for event in update.events:
            self._events.publish(event_to_msg(event, frame_id))
        for recognition in update.recognitions:
            self._recognitions.publish(recognition_to_msg(recognition, frame_id))
            self._health.latency.add((self._node.get_clock().now().nanoseconds - recognition.stamp) / 1e6)
        if update.recognitions:
            self._debug.publish()

    def _on_frame(self, frame: CameraFrame) -> None:
        self._publish_people(frame)
        self.overlay.show(frame)

    def _publish_people(self, frame: CameraFrame) -> None:
        """Say who is in an image, if the recogniser has looked at it."""
        watch, admitted = self.recognizer.people, self.recognizer.counters.admitted
        if watch is None or admitted == self._admitted:
            return
        self._admitted = admitted
        seen = watch.people, frame.image.shape, frame.stamp, frame.frame_id
        if self._people.get_subscription_count():
            self._people.publish(people_to_msg(*seen))
        self._adapters.publish_people(*seen)

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.worker.reset(ResetCause.REQUESTED)
        response.success, response.message = True, "the window is empty and every action has ended"
        return response


def _outside(node: LifecycleNode, config: NodeConfig) -> Detections | TrackedBodies | None:
    """What receives the people whom another node finds; None: no other node does."""
    expiry = config.recognizer.people.expiry
    if config.finder == "detections":
        return Detections(node, needed("vision_msgs", config.finder), config.person_class, expiry)
    return TrackedBodies(node, needed("hri_msgs", config.finder), expiry) if config.finder == "hri" else None
