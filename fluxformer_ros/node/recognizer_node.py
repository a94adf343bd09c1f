"""The recogniser as a lifecycle node: topics, parameters and transitions; the recognition itself is the core's."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
import rclpy.logging
from diagnostic_msgs.msg import DiagnosticStatus
from fluxformer.msg import ActionEvent, ActionLabels, Recognition
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.event_handler import QoSMessageLostInfo, QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_policy_name_from_kind, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.service import Service
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.enrollment.enrolled_file import default_enrolled_file
from fluxformer_core.errors import FluxformerError
from fluxformer_core.stream.counters import ResetCause
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Update
from fluxformer_ros.node import parameters
from fluxformer_ros.node.adapters import Adapters, installed
from fluxformer_ros.node.detections import Detections, detection_type
from fluxformer_ros.node.diagnostics import ImageTopic, Updater, fill, no_image_reason
from fluxformer_ros.node.enrollment import Enrollment
from fluxformer_ros.node.health import DebugTopics, HealthMonitor
from fluxformer_ros.node.messages import event_to_msg, recognition_to_msg, time_from_msg
from fluxformer_ros.node.overlay_topic import OverlayTopic
from fluxformer_ros.node.process import StopSignals, forward_logs, keep_image_memory, set_threads, spin_until_stopped
from fluxformer_ros.node.worker import Worker

_WATCH_PERIOD = 0.25  # s
_LAST_WORDS = Duration(seconds=1)  # how long the last events may take to reach their readers


@dataclass(frozen=True)
class _Loaded:
    """What the node holds between configure and cleanup."""

    bundle: Bundle
    recognizer: Recognizer
    worker: Worker
    recognitions: LifecyclePublisher[Recognition]
    events: LifecyclePublisher[ActionEvent]
    labels: LifecyclePublisher[ActionLabels]
    overlay: OverlayTopic
    debug: DebugTopics
    adapters: Adapters
    reset: Service[Trigger.Request, Trigger.Response]


class RecognizerNode(LifecycleNode):
    """Subscribes to images and publishes what people do in them.

    The subscription only leaves messages in the worker's mailbox; recognising happens on the worker's thread.

    Raises:
        ConfigError: if parameters contradict each other.
        rclpy.exceptions.ParameterException: if a parameter has the wrong type or is outside its range.
    """

    def __init__(self) -> None:
        super().__init__("recognizer")
        parameters.declare(self)
        self._config = parameters.read(self)
        self._loaded: _Loaded | None = None
        self._subscription: Subscription[Image] | Subscription[CompressedImage] | None = None
        self._detections: Detections | None = None
        self._detection_subscription: Subscription[Any] | None = None
        self._camera_gone = False
        self._health = HealthMonitor()
        self._enrollment = Enrollment(self, self._publish_labels)
        set_threads(self._config.threads)
        forward_logs("fluxformer_core", self.get_logger())
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self._diagnostics = Updater(self)
        self._diagnostics.add("recognition", self._diagnose)
        # This timer notices cameras that stop, so its clock must not stop with a bag.
        self.create_timer(_WATCH_PERIOD, self._watch_camera, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def build_only(self) -> bool:
        """Whether to end when the engine is built."""
        return self._config.build_only

    def start(self) -> bool:
        """Configure and activate as far as the parameters say so; whether the node is where they want it."""
        success = TransitionCallbackReturn.SUCCESS
        if self.build_only:
            return bool(self.trigger_configure() == success)
        if not self._config.autostart:
            return True
        return bool(self.trigger_configure() == success and self.trigger_activate() == success)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and model, and declare the topics."""
        try:
            self._config = parameters.read(self)
            path = self._config.model or default_bundle_path()
            bundle = Bundle.load(path)
            detection = detection_type() if self._config.people else None
            people = self._config.tracking
            recognizer = Recognizer(
                bundle, self._config.recognizer, flow=self._config.flow, people=people if detection else None
            )
        except FluxformerError as error:
            self._health.error = str(error)
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        self._health.error = ""
        if detection is not None:
            self._detections = Detections(self._config.person_class, people.expiry)
            self._detection_subscription = self.create_subscription(
                detection, "detections", self._detections.put, qos_profile_sensor_data
            )
        overlay = OverlayTopic(self, recognizer, rate=self._config.overlay_rate, height=self._config.overlay_height)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._loaded = _Loaded(
            bundle,
            recognizer,
            Worker(
                recognizer,
                self._publish,
                self.get_logger(),
                self._config.queue_size,
                people_at=self._detections.people_at if self._detections else None,
                on_frame=overlay.show,
            ),
            self.create_lifecycle_publisher(Recognition, "~/recognition", 10),
            self.create_lifecycle_publisher(ActionEvent, "~/events", 50),
            self.create_lifecycle_publisher(ActionLabels, "~/labels", latched),
            overlay,
            DebugTopics(self, {**recognizer.timings.recent, "stamp to publish": self._health.latency}),
            Adapters(self, installed("vision_msgs"), installed("hri_msgs")),
            self.create_service(Trigger, "~/reset", self._on_reset),
        )
        self.get_logger().info(f"model {recognizer.model.describe()}, from {path}")
        file = Path(self._config.enrolled_file) if self._config.enrolled_file else default_enrolled_file()
        self._enrollment.configure(bundle, recognizer, self._loaded.worker, file)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Warm the model up, say what it knows, and subscribe."""
        result = super().on_activate(state)
        if self._loaded is not None:
            self._loaded.overlay.start()
            self._loaded.worker.start()
            self._enrollment.activate()
            self._publish_labels()
            self._health.activated()
            self._camera_gone = False
            self._subscribe()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and end the open events."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the topics."""
        self._unload()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the open events and let go of everything."""
        self._stop()
        self._unload()
        self._enrollment.destroy()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a transition that raised, so that it can be tried again."""
        self._stop()
        self._unload()
        return super().on_error(state)

    def _subscribe(self) -> None:
        transport = self._config.image_transport
        kind = Image if transport == "raw" else CompressedImage
        callbacks = SubscriptionEventCallbacks(
            incompatible_qos=self._on_incompatible_qos, message_lost=self._on_message_lost
        )
        self._subscription = self.create_subscription(
            kind,
            self._topic(),
            self._on_image,
            qos_profile_sensor_data,
            event_callbacks=callbacks,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self.get_logger().info(f"waiting for images on {self._topic()}")

    def _topic(self) -> str:
        """The image topic; as image_transport has it, a transport's name is appended to the topic of the raw images."""
        topic = self.resolve_topic_name("image")
        transport = self._config.image_transport
        return topic if transport == "raw" or topic.endswith(f"/{transport}") else f"{topic}/{transport}"

    def _stop(self) -> None:
        if self._loaded is None:
            return
        self._enrollment.deactivate()
        self._loaded.worker.stop()
        self._loaded.overlay.stop()
        if self._subscription is None:
            return
        self._diagnostics.update()  # with the final counts
        self.destroy_subscription(self._subscription)
        self._subscription = None
        self._loaded.events.wait_for_all_acked(_LAST_WORDS)

    def _unload(self) -> None:
        if self._loaded is None:
            return
        self._enrollment.cleanup()
        self._loaded.adapters.close()
        for publisher in (
            self._loaded.recognitions,
            self._loaded.events,
            self._loaded.labels,
            *self._loaded.overlay.publishers,
            *self._loaded.debug.publishers,
            *self._loaded.adapters.publishers,
        ):
            self.destroy_lifecycle_publisher(publisher)
        self.destroy_service(self._loaded.reset)
        if self._detection_subscription is not None:
            self.destroy_subscription(self._detection_subscription)
        self._detections = self._detection_subscription = None
        self._loaded.recognizer.close()
        self._loaded = None

    def _on_image(self, message: Image | CompressedImage) -> None:
        stamp, now = time_from_msg(message.header.stamp), self.get_clock().now().nanoseconds
        self._health.image_received((now - stamp) / SECOND if stamp and now else math.nan)
        if self._loaded is not None:
            self._loaded.worker.mailbox.put(message)

    def _on_incompatible_qos(self, info: QoSRequestedIncompatibleQoSInfo) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind)
        self._health.incompatible_qos.add(policy)
        self.get_logger().warning(
            f"a publisher on {self._topic()} offers an incompatible QoS ({policy}): "
            f"set qos_overrides.{self._topic()}.subscription.{policy.lower()} to fit it"
        )

    def _on_message_lost(self, info: QoSMessageLostInfo) -> None:
        self._health.lost += info.total_count_change

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._loaded is not None:
            self._loaded.worker.reset(ResetCause.REQUESTED)
        response.success = True
        response.message = "the window is empty and every event has ended"
        return response

    def _publish(self, update: Update, frame_id: str) -> None:
        if self._loaded is None:
            return
        self._loaded.adapters.publish(update, frame_id)
        for event in update.events:
            self._loaded.events.publish(event_to_msg(event, frame_id))
        for recognition in update.recognitions:
            self._loaded.recognitions.publish(recognition_to_msg(recognition, frame_id))
            self._health.latency.add((self.get_clock().now().nanoseconds - recognition.stamp) / 1e6)
        if update.recognitions:
            self._loaded.debug.publish()

    def _publish_labels(self) -> None:
        if self._loaded is None:
            return
        labels, known = self._loaded.recognizer.model.labels, self._loaded.bundle.labels
        message = ActionLabels(
            model=self._loaded.bundle.name,
            version=self._loaded.bundle.digest,
            labels=list(labels),
            thresholds=[self._config.recognizer.decision.start_score] * len(labels),
            enrolled=[label not in known for label in labels],
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._loaded.labels.publish(message)
        threshold = self._config.recognizer.decision.start_score
        self._loaded.adapters.announce(labels, threshold, self.get_clock().now().nanoseconds)

    def _diagnose(self, status: DiagnosticStatus) -> None:
        if self._subscription is not None and self._loaded is not None:
            image = ImageTopic(
                self._topic(),
                self.count_publishers(self._topic()),
                self._config.camera_timeout,
                ", ".join(sorted(self._health.incompatible_qos)),
                sim_time=bool(self.get_parameter("use_sim_time").value),
                clock_runs=self.get_clock().now().nanoseconds > 0,
            )
            loaded = self._loaded
            health = self._health.active(loaded.bundle, loaded.worker, image, loaded.overlay, self._detections)
        else:
            health = self._health.idle("unconfigured" if self._loaded is None else "inactive")
        fill(status, health)

    def _watch_camera(self) -> None:
        """Say when images stop and come back, and end the events that no image will end."""
        if self._subscription is None or self._loaded is None:
            return
        silence = time.monotonic() - self._loaded.worker.last_push
        gone = silence > self._config.camera_timeout
        if gone and not self._camera_gone:
            topic = self._topic()
            if self._loaded.worker.mailbox.received:
                self._loaded.worker.reset(ResetCause.GAP)
                self.get_logger().warning(f"no usable image on {topic} for {silence:.1f} s")
            else:
                self.get_logger().warning(no_image_reason(topic, self.count_publishers(topic)))
        elif self._camera_gone and not gone:
            self.get_logger().info(f"images arrive on {self._topic()}")
        self._camera_gone = gone

    def _check_parameters(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in changes}
        reason = parameters.refusal(self, values, configured=self._loaded is not None)
        return SetParametersResult(successful=not reason, reason=reason)

    def _apply_parameters(self, _changes: list[Parameter[Any]]) -> None:
        self._config = parameters.read(self)
        if self._loaded is not None:
            self._loaded.worker.configure(self._config.recognizer)
            self._loaded.overlay.rate = self._config.overlay_rate
            self._loaded.overlay.height = self._config.overlay_height
            self._publish_labels()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until Ctrl-C or SIGTERM.

    Returns:
        The exit code: 0 when stopped by a signal, 2 when the parameters or the model cannot be used.
    """
    keep_image_memory()
    rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    signals = StopSignals()
    try:
        node = RecognizerNode()
    except (FluxformerError, ParameterException) as error:
        rclpy.logging.get_logger("recognizer").fatal(str(error))
        rclpy.shutdown()
        return 2
    try:
        started = node.start()
        if started and not node.build_only:
            spin_until_stopped(node, signals)
    finally:
        node.trigger_shutdown()
        node.destroy_node()
        rclpy.shutdown()
    return 0 if started else 2


if __name__ == "__main__":
    sys.exit(main())
