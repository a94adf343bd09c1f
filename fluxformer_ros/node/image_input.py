"""The subscription to the camera's images: it leaves messages in the mailbox, and notices a camera that stops."""

from __future__ import annotations

import math
import time

from rclpy.event_handler import QoSMessageLostInfo, QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import qos_policy_name_from_kind, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.stream.measurements import ResetCause
from fluxformer_core.types import SECOND
from fluxformer_ros.node.diagnostics import ImageTopic, no_image_reason
from fluxformer_ros.node.health import HealthMonitor
from fluxformer_ros.node.messages import time_from_msg
from fluxformer_ros.node.worker import Worker


class ImageInput:
    """Subscribes to images from construction until `destroy`.

    The worker gets the images. The health monitor hears of every image, of lost images and of QoS that does not fit.
    The transport is `raw`, or the name that image_transport appends to the topic of the raw images.
    """

    def __init__(self, node: LifecycleNode, worker: Worker, health: HealthMonitor, transport: str) -> None:
        self._node, self._worker, self._health = node, worker, health
        topic = node.resolve_topic_name("image")
        self.topic = topic if transport == "raw" or topic.endswith(f"/{transport}") else f"{topic}/{transport}"
        self._gone = False
        self._subscription = node.create_subscription(
            Image if transport == "raw" else CompressedImage,
            self.topic,
            self._on_image,
            qos_profile_sensor_data,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible_qos, message_lost=self._on_message_lost
            ),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        node.get_logger().info(f"waiting for images on {self.topic}")

    def destroy(self) -> None:
        """Receive no more images."""
        self._node.destroy_subscription(self._subscription)

    def state(self, timeout: float) -> ImageTopic:
        """The topic and its clocks, for the diagnosis; the timeout is that of `watch`."""
        return ImageTopic(
            self.topic,
            self._node.count_publishers(self.topic),
            timeout,
            ", ".join(sorted(self._health.incompatible_qos)),
            sim_time=bool(self._node.get_parameter("use_sim_time").value),
            clock_runs=self._node.get_clock().now().nanoseconds > 0,
        )

    def watch(self, timeout: float) -> None:
        """Say when images stop for longer than `timeout` (s) or come back; end the actions that no image will end."""
        silence = time.monotonic() - self._worker.last_push
        gone, log = silence > timeout, self._node.get_logger()
        if gone and not self._gone:
            if self._worker.mailbox.received:
                self._worker.reset(ResetCause.GAP)
                log.warning(f"no usable image on {self.topic} for {silence:.1f} s")
            else:
                log.warning(no_image_reason(self.topic, self._node.count_publishers(self.topic)))
        elif self._gone and not gone:
            log.info(f"images arrive on {self.topic}")
        self._gone = gone

    def _on_image(self, message: Image | CompressedImage) -> None:
        stamp, now = time_from_msg(message.header.stamp), self._node.get_clock().now().nanoseconds
        self._health.image_received((now - stamp) / SECOND if stamp and now else math.nan)
        self._worker.mailbox.put(message)

    def _on_incompatible_qos(self, info: QoSRequestedIncompatibleQoSInfo) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind)
        self._health.incompatible_qos.add(policy)
        self._node.get_logger().warning(
            f"a publisher on {self.topic} offers an incompatible QoS ({policy}): "
            f"set qos_overrides.{self.topic}.subscription.{policy.lower()} to fit it"
        )

    def _on_message_lost(self, info: QoSMessageLostInfo) -> None:
        self._health.lost += info.total_count_change
