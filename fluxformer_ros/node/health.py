"""Gathers, once a second, the numbers that the diagnosis looks at."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass

from fluxformer_core.bundle import Bundle
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.stream.timings import RecentValues, cpu_of_thread
from fluxformer_ros.node.detections import Detections
from fluxformer_ros.node.diagnostics import PERCENTILES, Health
from fluxformer_ros.node.overlay_topic import OverlayTopic
from fluxformer_ros.node.process import resident_memory
from fluxformer_ros.node.rolling import Rate
from fluxformer_ros.node.worker import Worker

_BREAK = 2.0  # s: after a longer one the flow of images counts as new


@dataclass(frozen=True)
class Camera:
    """What is known of the image topic."""

    topic: str
    publishers: int
    timeout: float  # s: without an image for longer, the camera is gone
    sim_time: bool = False  # the node's time comes from /clock
    clock_runs: bool = True  # the node's clock has a time


class HealthMonitor:
    """Remembers what only the node sees, and turns everything into a `Health`.

    Attributes:
        complaint: why the last transition failed; empty if it did not.
        incompatible_qos: the policies of a publisher that do not fit the subscription.
        lost: images that the middleware says it lost on the way.
        latency: ms from the stamp of an image to the publication of its recognition.
    """

    def __init__(self) -> None:
        self.complaint = ""
        self.incompatible_qos: set[str] = set()
        self.lost = 0
        self.latency = RecentValues()
        self._cpu = Rate()
        self.activated()

    def activated(self) -> None:
        """Start counting afresh: the node has just subscribed."""
        self.incompatible_qos.clear()
        self._activation = time.monotonic()
        self._received_at = self._flowing_since = -math.inf
        self._stamp_age = math.nan
        self._rates = {name: Rate() for name in ("input", "lost", "pushed", "refused", "stuck", "recognition")}

    def image_received(self, stamp_age: float) -> None:
        """An image has just arrived; its stamp lies this many seconds before the node's time (nan: it has none)."""
        now = time.monotonic()
        if now - self._received_at > _BREAK:
            self._flowing_since = now
        self._received_at = now
        self._stamp_age = stamp_age

    def idle(self, state: str) -> Health:
        """The health of a node that is not active."""
        return Health(state=state, complaint=self.complaint, cpu=self._cpu_load(), memory=resident_memory())

    def active(
        self,
        bundle: Bundle,
        recognizer: Recognizer,
        worker: Worker,
        camera: Camera,
        overlay: OverlayTopic,
        detections: Detections | None,
    ) -> Health:
        """The health of an active node; to be called about once a second, for the rates."""
        now = time.monotonic()
        counters, mailbox = recognizer.counters, worker.mailbox
        counts = {
            "input": mailbox.received,
            "lost": self.lost,
            "pushed": worker.pushed,
            "refused": worker.refused.total(),
            "stuck": counters.duplicates + counters.late,
            "recognition": counters.recognitions,
        }
        rates = {f"{name}_rate": self._rates[name].read(now, count) for name, count in counts.items()}
        measured = (worker.timings, recognizer.timings)
        durations = {
            stage: tuple(timings.percentile(stage, q) for q in PERCENTILES)
            for timings in measured
            for stage in timings.stages
        }
        durations["stamp to publish"] = tuple(self.latency.percentile(q) for q in PERCENTILES)
        durations["overlay"] = tuple(overlay.durations.percentile(q) for q in PERCENTILES)
        failure, failed_at = worker.last_failure
        return Health(
            state="active",
            complaint=self.complaint,
            topic=camera.topic,
            publishers=camera.publishers,
            camera_timeout=camera.timeout,
            incompatible_qos=", ".join(sorted(self.incompatible_qos)),
            active_for=now - self._activation,
            flowing_for=now - self._flowing_since,
            trained_rate=bundle.spec.rate,
            received=mailbox.received,
            replaced=mailbox.replaced,
            discarded=mailbox.discarded,
            lost=self.lost,
            pushed=worker.pushed,
            admitted=counters.admitted,
            skipped=counters.skipped,
            recognitions=counters.recognitions,
            forwards=counters.forwards,
            duplicates=counters.duplicates,
            late=counters.late,
            failures=worker.failures,
            last_failure=failure,
            failure_age=now - failed_at,
            input_age=now - self._received_at,
            stamp_age=self._stamp_age,
            sim_time=camera.sim_time,
            clock_runs=camera.clock_runs,
            refused=dict(worker.refused),
            refused_in_a_row=worker.refused_in_a_row,
            last_refusal=worker.last_refusal,
            resets={cause.value: count for cause, count in counters.resets.items()},
            durations=durations,
            cpu_seconds=_shares_of_cpu({stage: cpu for timings in measured for stage, cpu in timings.cpu.items()}),
            people=None if recognizer.tracks is None else tuple(recognizer.tracks.squares),
            detections=-1 if detections is None else detections.received,
            detections_outdated=0 if detections is None else detections.outdated,
            detections_unusable=0 if detections is None else detections.unusable,
            people_ignored=0 if recognizer.tracks is None else recognizer.tracks.ignored,
            overlays=overlay.drawn,
            overlays_skipped=overlay.skipped,
            device=recognizer.model.device,
            backend=recognizer.model.backend,
            model=f"{bundle.name} {bundle.digest}",
            cpu=self._cpu_load(),
            memory=resident_memory(),
            **rates,
        )

    def _cpu_load(self) -> float:
        return 100 * self._cpu.read(time.monotonic(), time.process_time())


def _shares_of_cpu(stages: dict[str, float]) -> dict[str, float]:
    """Processor time of this process since its start, in seconds, by what it was for: the parts add up to "all"."""
    spent, receiving = time.process_time(), cpu_of_thread(threading.main_thread())
    rest = spent - receiving - sum(stages.values())
    return {"receive": receiving, **stages, "other": rest, "all": spent}
