"""Gathers, once a second, the numbers of the diagnosis, and plots the newest durations on ~/debug/..."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from std_msgs.msg import Float32

from fluxformer_core.stream.measurements import RecentValues, cpu_of_thread
from fluxformer_ros.node.adapters import Detections
from fluxformer_ros.node.diagnostics import PERCENTILES, Health, ImageTopic
from fluxformer_ros.node.overlay_topic import OverlayTopic
from fluxformer_ros.node.process import resident_memory
from fluxformer_ros.node.ros4hri import TrackedBodies
from fluxformer_ros.node.worker import Worker

_BREAK = 2.0  # s: after a longer break in the images, `flowing_for` starts anew
_PLOT_DEPTH = 100  # messages: one second of a plot, in case the plotter is busy


class Rate:
    """How fast a counter grows, over the last few readings."""

    def __init__(self, readings: int = 3) -> None:
        self._readings: deque[tuple[float, float]] = deque(maxlen=readings)

    def read(self, now: float, count: float) -> float:
        """Growth per second since the oldest reading kept; `now` (s) never jumps; nan at the first reading."""
        self._readings.append((now, count))
        then, before = self._readings[0]
        return (count - before) / (now - then) if now > then else math.nan


class HealthMonitor:
    """Keeps what only the node sees, and makes a `Health` of everything."""

    def __init__(self) -> None:
        self.error = ""  # why the last transition failed; empty if the transition succeeded
        self.incompatible_qos: set[str] = set()  # the policies of a publisher that do not fit the subscription
        self.lost = 0  # images that the middleware reports as lost on the way
        self.latency = RecentValues()  # ms from the stamp of an image to the publication of its recognition
        self._cpu = Rate()
        self.activated()

    def activated(self) -> None:
        """Start counting afresh: the node has just subscribed."""
        self.incompatible_qos.clear()
        self._activation = time.monotonic()
        self._received_at = self._flowing_since = -math.inf
        self._stamp_age = math.nan
        self._rates: defaultdict[str, Rate] = defaultdict(Rate)

    def image_received(self, stamp_age: float) -> None:
        """Note an image and its `stamp_age` (s): the node's time less the image's stamp; nan without a stamp."""
        now = time.monotonic()
        if now - self._received_at > _BREAK:
            self._flowing_since = now
        self._received_at = now
        self._stamp_age = stamp_age

    def idle(self, state: str) -> Health:
        """The health of a node that is not active."""
        return Health(state, self.error, shown=self._usage())

    def active(
        self, worker: Worker, image: ImageTopic, overlay: OverlayTopic, outside: Detections | TrackedBodies | None
    ) -> Health:
        """The health of an active node; call about once a second, because the rates need regular readings."""
        now = time.monotonic()
        recognizer, mailbox = worker.recognizer, worker.mailbox
        counters, watch, model = recognizer.counters, recognizer.people, recognizer.model
        counts = {
            "images received": mailbox.received,
            "images lost in transport": self.lost,
            "images replaced": mailbox.replaced,
            "images discarded": mailbox.discarded,
            "images refused": worker.refused.total(),
            "images pushed": worker.pushed,
            "images admitted": counters.admitted,
            "images skipped": counters.skipped,
            "images with a repeated stamp": counters.duplicates,
            "images late": counters.late,
            "recognitions": counters.recognitions,
            "forward passes": counters.forwards,
            "failures": worker.failures,
            "overlay pictures": overlay.drawn,
            "overlay pictures skipped": overlay.skipped,
            **{f"refused: {cause}": count for cause, count in dict(worker.refused).items()},
            **{f"resets: {cause.value}": count for cause, count in counters.resets.items()},
        }
        if watch is not None:
            counts |= {
                "people lost": watch.tracker.lost,
                "people ignored": watch.tracker.ignored,
                "people searches": watch.searches,
                "people looks": watch.looks,
            }
        if outside is not None:
            counts |= {
                "detection messages": outside.received,
                "detection messages outdated": outside.outdated,
                "detections unusable": outside.unusable,
            }
        measured = (worker.timings, recognizer.timings)
        recent = {stage: values for timings in measured for stage, values in timings.recent.items()}
        recent |= {"stamp to publish": self.latency, "overlay": overlay.durations}
        failure, failed_at = worker.last_failure
        return Health(
            state="active",
            error=self.error,
            image=image,
            trained_rate=model.bundle.spec.rate,
            active_for=now - self._activation,
            flowing_for=now - self._flowing_since,
            input_age=now - self._received_at,
            stamp_age=self._stamp_age,
            last_failure=failure,
            failure_age=now - failed_at,
            last_refusal=worker.last_refusal,
            refused_in_a_row=worker.refused_in_a_row,
            people=None if watch is None else tuple(person.id for person in watch.people),
            finder="own" if outside is None else outside.finder,
            obstacle=recognizer.obstacle,
            rates={key: self._rates[key].read(now, count) for key, count in counts.items()},
            counts=counts,
            durations={stage: tuple(values.percentile(q) for q in PERCENTILES) for stage, values in recent.items()},
            hardware=model.device,
            shown={
                "model": f"{model.bundle.name} {model.bundle.digest}",
                "backend": model.backend,
                "device": model.device,
                "view": recognizer.view,
                **_cpu_seconds({stage: cpu for timings in measured for stage, cpu in timings.cpu.items()}),
                **self._usage(),
            },
        )

    def _usage(self) -> dict[str, float]:
        cpu = 100 * self._cpu.read(time.monotonic(), time.process_time())
        return {"cpu [%]": cpu, "memory [MiB]": resident_memory()}


def _cpu_seconds(stages: Mapping[str, float]) -> dict[str, float]:
    """Processor time of this process since its start, in seconds, by purpose; the parts add up to "all"."""
    spent, receiving = time.process_time(), cpu_of_thread(threading.main_thread())
    other = spent - receiving - sum(stages.values())
    parts = {"receive": receiving, **stages, "other": other, "all": spent}
    return {f"cpu: {part} [s]": seconds for part, seconds in parts.items()}


class DebugTopics:
    """Publishes the newest value (ms) of each measurement as `~/debug/<name>_ms`, while somebody subscribes."""

    def __init__(self, node: LifecycleNode, measurements: Mapping[str, RecentValues]) -> None:
        self._topics: list[tuple[RecentValues, LifecyclePublisher[Float32]]] = [
            (values, node.create_lifecycle_publisher(Float32, f"~/debug/{name.replace(' ', '_')}_ms", _PLOT_DEPTH))
            for name, values in measurements.items()
        ]
        self._sent = [values.count for values, _ in self._topics]

    @property
    def publishers(self) -> list[LifecyclePublisher[Float32]]:
        """The publishers, for the node to destroy."""
        return [publisher for _, publisher in self._topics]

    def publish(self) -> None:
        """Send what has been measured since the last call; a stage that did not run is not repeated."""
        for index, (values, publisher) in enumerate(self._topics):
            if values.count > self._sent[index] and publisher.get_subscription_count():
                publisher.publish(Float32(data=values.newest))
            self._sent[index] = values.count
