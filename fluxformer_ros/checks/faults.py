"""Injects the faults of cameras, files and backends into a recogniser and shows how each is counted and survived."""

from __future__ import annotations

import json
import struct
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.logging import get_logger
from sensor_msgs.msg import CompressedImage, Image

from fluxformer_core.bundle import Bundle, default_bundle_path
from fluxformer_core.stream.recognizer import Recognizer
from fluxformer_core.types import SECOND, Pixels, Update
from fluxformer_ros.node.images import image_to_compressed, image_to_msg
from fluxformer_ros.node.messages import time_to_msg
from fluxformer_ros.node.worker import Worker

EXAMPLE = "--json"
ARGUMENTS = {"--json": dict(action="store_true", help="print one JSON object instead of a table")}
_PERIOD = SECOND // 30
_PATIENCE = 60.0  # s: for one image
_SIZE = (48, 64)


class Subject:
    """A recogniser's worker that receives one message after the other."""

    def __init__(self, bundle: Bundle) -> None:
        self.updates: list[Update] = []
        self.recognizer = Recognizer(bundle)
        logger = get_logger("fault_check")
        logger.set_level(LoggingSeverity.FATAL)  # this check refuses images on purpose
        self.worker = Worker(self.recognizer, lambda update, _frame: self.updates.append(update), logger, 1)
        self.stamp = 1000 * SECOND
        self._count = 0

    @contextmanager
    def at_work(self) -> Iterator[Subject]:
        """Run the worker's thread within a `with`."""
        self.worker.start()
        try:
            yield self
        finally:
            self.worker.stop()

    def give(self, message: Image | CompressedImage, *, after: int = _PERIOD, stamp: int | None = None) -> None:
        """Stamp a message `after` ns later than the one before, and wait until it was recognised or refused, or failed.

        Raises:
            TimeoutError: if nothing happens to the message.
        """
        self.stamp = self.stamp + after if stamp is None else stamp
        message.header.stamp = time_to_msg(self.stamp)
        done, end = self.done, time.monotonic() + _PATIENCE
        self.worker.mailbox.put(message)
        while self.done == done:
            if time.monotonic() > end:
                raise TimeoutError("a message was neither recognised nor refused")
            time.sleep(0.0005)

    def good(self, **changes: Any) -> Image:
        """A valid image with these fields changed; no two images are alike."""
        self._count += 1
        pixels = np.random.default_rng(self._count).integers(0, 256, (*_SIZE, 3), np.uint8)
        message = image_to_msg(pixels, Pixels.RGB, 0, "eye")
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    @property
    def done(self) -> int:
        """How many messages were recognised or refused, or failed."""
        return self.worker.pushed + self.worker.refused.total() + self.worker.failures

    def counts(self) -> dict[str, int]:
        """All counts, by name."""
        counters = self.recognizer.counters
        return {
            "recognised": counters.admitted,
            "skipped": counters.skipped,
            "repeated": counters.duplicates,
            "late": counters.late,
            "refused": self.worker.refused.total(),
            "failed": self.worker.failures,
            **{f"reset by {cause.value}": count for cause, count in counters.resets.items()},
        }


@dataclass(frozen=True)
class InjectedFault:
    """A fault, and the count that must grow with it."""

    name: str
    inject: Callable[[Subject], None]
    counted: str


@dataclass(frozen=True)
class FaultResult:
    """What a fault led to."""

    fault: str
    counts: dict[str, int]  # those that grew
    said: str  # why an image was refused or failed; empty otherwise
    went_on: bool  # whether the images after the fault were recognised
    as_expected: bool


def _depth(subject: Subject, value: float) -> None:
    for _ in range(8):
        subject.give(image_to_msg(np.full(_SIZE, value, np.float32), Pixels.DEPTH, 0, "eye"))


def _times(count: int, after: int) -> Callable[[Subject], None]:
    def inject(subject: Subject) -> None:
        for _ in range(count):
            subject.give(subject.good(), after=after)

    return inject


def _out_of_order(subject: Subject) -> None:
    subject.give(subject.good())
    subject.give(subject.good(), after=-_PERIOD // 2)


def _black(*sizes: tuple[int, int]) -> Callable[[Subject], None]:
    def inject(subject: Subject) -> None:
        for size in sizes:
            subject.give(image_to_msg(np.zeros((*size, 3), np.uint8), Pixels.RGB, 0, "eye"))

    return inject


def _cut_jpeg(subject: Subject) -> None:
    message = image_to_compressed(np.zeros((*_SIZE, 3), np.uint8), Pixels.RGB, 0, "eye")
    message.data = message.data[: len(message.data) // 2]
    subject.give(message)


def _bomb(subject: Subject) -> None:
    """A PNG of a few bytes whose header claims 60000 x 60000 px."""
    header = struct.pack(">I4sIIBBBBB", 13, b"IHDR", 60000, 60000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + header + b"\0\0\0\0" + b"\0\0\0\0IEND\xaeB\x60\x82"
    subject.give(CompressedImage(format="png", data=data))


def _failing_model(answer: Callable[[Any], Any]) -> Callable[[Subject], None]:
    """Replace the model by one whose answers pass through a function, until one forward pass has failed."""

    def inject(subject: Subject) -> None:
        model: Any = subject.recognizer.model.network

        class Failing:
            net = model.net

            def __call__(self, *inputs: Any) -> Any:
                return answer(model(*inputs))

        subject.recognizer.model.network = Failing()  # type: ignore[assignment]
        before, images = subject.worker.failures, 0
        try:
            while subject.worker.failures == before and images < 200:
                subject.give(subject.good())
                images += 1
        finally:
            subject.recognizer.model.network = model

    return inject


def _broken(_prediction: Any) -> Any:
    raise RuntimeError("CUDA error: device-side assert triggered")


def _nonsense(prediction: Any) -> Any:
    prediction.logits.fill_(float("nan"))
    return prediction


FAULTS = (
    InjectedFault("data cut short", lambda s: s.give(s.good(data=b"\0" * 50)), "refused"),
    InjectedFault("row step too small", lambda s: s.give(s.good(step=3)), "refused"),
    InjectedFault("row step of 4 GB", lambda s: s.give(s.good(step=2**32 - 1)), "refused"),
    InjectedFault("no pixels", lambda s: s.give(s.good(width=0)), "refused"),
    InjectedFault("sides of 4 billion px", lambda s: s.give(s.good(height=2**32 - 1, width=2**32 - 1)), "refused"),
    InjectedFault("unknown encoding", lambda s: s.give(s.good(encoding="rgb7")), "refused"),
    InjectedFault("encoding of 100 000 characters", lambda s: s.give(s.good(encoding="x" * 100_000)), "refused"),
    InjectedFault("JPEG cut in half", _cut_jpeg, "refused"),
    InjectedFault("PNG of a few bytes that claims 60000 x 60000 px", _bomb, "refused"),
    InjectedFault("depth without any reading (NaN)", lambda s: _depth(s, float("nan")), "recognised"),
    InjectedFault("depth that is infinite", lambda s: _depth(s, float("inf")), "recognised"),
    InjectedFault("image of 1 x 1 px", lambda s: s.give(s.good(height=1, width=1, step=3)), "recognised"),
    InjectedFault("image of 7680 x 4320 px", _black((4320, 7680)), "recognised"),
    InjectedFault("stamp zero", lambda s: s.give(s.good(), stamp=0), "refused"),
    InjectedFault("the same stamp again", _times(5, 0), "repeated"),
    InjectedFault("images out of order", _out_of_order, "late"),
    InjectedFault("time jumps back an hour", lambda s: s.give(s.good(), after=-3600 * SECOND), "reset by time_jump"),
    InjectedFault("time jumps on an hour", lambda s: s.give(s.good(), after=3600 * SECOND), "reset by gap"),
    InjectedFault("camera of 200 Hz", _times(60, SECOND // 200), "skipped"),
    InjectedFault("camera of 1 Hz", _times(3, SECOND), "reset by gap"),
    InjectedFault("size changes from image to image", _black(_SIZE, (1, 1), (96, 128), _SIZE), "reset by size_change"),
    InjectedFault("backend fails on a forward pass", _failing_model(_broken), "failed"),
    InjectedFault("backend answers with NaN", _failing_model(_nonsense), "failed"),
)


def check(fault: InjectedFault, subject: Subject) -> FaultResult:
    """Inject a fault between good images; raises a TimeoutError if the recogniser got stuck."""
    subject.give(subject.good(), after=10 * SECOND)
    before, stamp = subject.counts(), subject.stamp
    subject.worker.last_refusal = ""
    fault.inject(subject)
    after = subject.counts()
    subject.stamp = subject.stamp or stamp  # the fault may have set the stamp to zero
    for _ in range(4):
        subject.give(subject.good(), after=SECOND // 15)
    went_on = subject.counts()["recognised"] - after["recognised"] >= 3
    said = subject.worker.last_refusal or (subject.worker.last_failure[0] if after["failed"] > before["failed"] else "")
    grown = {name: after[name] - before[name] for name in after if after[name] > before[name]}
    return FaultResult(fault.name, grown, said, went_on, fault.counted in grown and went_on)


def table(results: Sequence[FaultResult]) -> str:
    """The results as a Markdown table."""
    lines = ["| what was done | what was counted | what was said | afterwards |", "| --- | --- | --- | --- |"]
    for result in results:
        counts = ", ".join(f"{count} {name}" for name, count in result.counts.items())
        said = result.said if len(result.said) <= 100 else f"{result.said[:97]}..."
        afterwards = "goes on" if result.went_on else "STOPS"
        lines.append(f"| {result.fault} | {counts or 'nothing'} | {said.replace('|', '/')} | {afterwards} |")
    return "\n".join(lines) + "\n"


def run(options: Namespace) -> bool:
    """Inject every fault; the check fails (True) if a fault is not counted as expected or stops the recogniser."""
    with Subject(Bundle.load(options.model or default_bundle_path())).at_work() as subject:
        results = [check(fault, subject) for fault in FAULTS]
    print(json.dumps([asdict(result) for result in results]) if options.json else table(results), end="")
    return not all(result.as_expected for result in results)
