"""A node without ROS, and stand-ins for message packages that have no wheel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Message(SimpleNamespace):
    """A message of any type."""


_KINDS = "Classification LabelInfo VisionClass ObjectHypothesis ObjectHypothesisWithPose Detection2DArray Detection2D"
VISION: Any = SimpleNamespace(**dict.fromkeys(f"{_KINDS} BoundingBox2D Pose2D Point2D".split(), Message))


class Topics:
    """A node that keeps what is published, by topic."""

    def __init__(self) -> None:
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self.callbacks: dict[str, Callable[[Any], None]] = {}
        self.destroyed: list[Any] = []
        self.destroy_publisher = self.destroyed.append

    def create_publisher(self, _kind: Any, topic: str, _qos: Any) -> Any:
        return SimpleNamespace(publish=self.heard[topic].append)

    create_lifecycle_publisher = create_publisher

    def create_subscription(self, _kind: Any, topic: str, callback: Callable[[Any], None], _qos: Any) -> str:
        self.callbacks[topic] = callback
        return topic

    def destroy_subscription(self, topic: str) -> None:
        del self.callbacks[topic]
