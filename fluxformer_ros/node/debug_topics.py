"""~/debug/…: milliseconds of every stage as plain numbers, for plotting; sent only while somebody subscribes."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from std_msgs.msg import Float32

from fluxformer_core.stream.timings import RecentValues

_DEPTH = 100  # one second of a plot, should the plotter be busy


class DebugTopics:
    """Publishes the newest value of each measurement as `~/debug/<name>_ms`.

    Args:
        node: owns the topics.
        measurements: ms, by name; spaces become underscores.
    """

    def __init__(self, node: LifecycleNode, measurements: Mapping[str, RecentValues]) -> None:
        self._topics: list[tuple[RecentValues, LifecyclePublisher[Float32]]] = [
            (values, node.create_lifecycle_publisher(Float32, f"~/debug/{name.replace(' ', '_')}_ms", _DEPTH))
            for name, values in measurements.items()
        ]
        self._sent = [values.count for values, _ in self._topics]

    @property
    def publishers(self) -> list[LifecyclePublisher[Float32]]:
        """To be destroyed with the node's others."""
        return [publisher for _, publisher in self._topics]

    def publish(self) -> None:
        """Send what has been measured since the last call; a stage that did not run is not repeated."""
        for index, (values, publisher) in enumerate(self._topics):
            if values.count > self._sent[index] and publisher.get_subscription_count():
                publisher.publish(Float32(data=values.newest))
            self._sent[index] = values.count
