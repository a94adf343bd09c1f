"""The worker's thread recognises the next image, whatever happens to one image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.logging import set_logger_level

from fluxformer_core.bundle import Bundle
from fluxformer_core.types import Update
from fluxformer_ros.checks.faults import Subject


@pytest.fixture
def bench(bundle: Bundle) -> Iterator[Subject]:
    with Subject(bundle).at_work() as subject:
        yield subject


def give(bench: Subject, **changes: object) -> None:
    bench.give(bench.good(**changes))


def test_every_image_leads_to_an_update_with_its_frame_id(bench: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[tuple[Update, str]] = []
    monkeypatch.setattr(bench.worker, "_publish", lambda *update: published.append(update))
    for _ in range(5):
        give(bench)
    assert bench.worker.pushed == 5
    assert [frame_id for _, frame_id in published] == ["eye"] * 5
    assert published[0][0].recognition is not None


def test_a_bug_is_counted_and_logged_and_the_next_image_is_recognised(
    bench: Subject, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    worker = bench.worker
    set_logger_level("fault_check", LoggingSeverity.ERROR)
    give(bench)
    with monkeypatch.context() as context:
        context.setattr(bench.recognizer, "push", lambda *_image: {}["unexpected"])
        give(bench)
    give(bench)
    assert (worker.pushed, worker.failures) == (2, 1)
    assert worker.last_failure[0] == "KeyError: 'unexpected'"
    said = capfd.readouterr().err
    assert all(word in said for word in ("Traceback", "unexpected"))


def test_refusals_in_a_row_are_counted_until_an_image_is_good(bench: Subject) -> None:
    worker = bench.worker
    give(bench, encoding="rgb7")
    give(bench, step=3)
    assert worker.refused_in_a_row == 2
    assert "a row has 3 bytes" in worker.last_refusal
    give(bench)
    assert worker.refused_in_a_row == 0
    assert sorted(worker.refused.values()) == [1, 1]


def test_causes_do_not_grow_without_end(bench: Subject) -> None:
    worker = bench.worker
    for number in range(40):
        give(bench, encoding=f"odd{number}")
    assert worker.refused.total() == 40
    assert len(worker.refused) <= 17
    assert worker.refused["other causes"] > 0


def test_a_worker_that_has_stopped_can_start_again(bench: Subject) -> None:
    worker = bench.worker
    give(bench)
    worker.stop()
    worker.stop()
    worker.mailbox.put(bench.good())
    assert worker.mailbox.discarded == 1
    worker.start()
    give(bench)
    assert worker.pushed == 2
