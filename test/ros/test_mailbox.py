"""The mailbox keeps the latest items in their order and accounts for every item."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from fluxformer_ros.node.mailbox import Mailbox


def accounted(mailbox: Mailbox[int], waiting: int = 0) -> bool:
    return mailbox.received == mailbox.taken + mailbox.replaced + mailbox.discarded + waiting


def test_the_latest_item_replaces_the_one_that_waits() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for item in (1, 2, 3):
        mailbox.put(item)
    assert mailbox.take() == 3
    assert (mailbox.received, mailbox.taken, mailbox.replaced, mailbox.discarded) == (3, 1, 2, 0)


def test_several_may_wait_and_come_in_their_order() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    for item in range(5):
        mailbox.put(item)
    assert [mailbox.take() for _ in range(3)] == [2, 3, 4]
    assert (mailbox.received, mailbox.taken, mailbox.replaced, mailbox.discarded) == (5, 3, 2, 0)


def test_closing_releases_a_reader_that_waits() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[int | None] = []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take()))
    reader.start()
    mailbox.close()
    reader.join(timeout=10)
    assert taken == [None]


def test_a_closed_mailbox_discards_until_it_is_opened_again() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    mailbox.close()
    mailbox.put(2)
    assert mailbox.take() is None
    assert mailbox.discarded == 2
    mailbox.open()
    mailbox.put(3)
    assert mailbox.take() == 3


@given(st.integers(1, 4), st.lists(st.sampled_from(["put", "take", "close", "open"]), max_size=40))
def test_every_item_is_accounted_for(size: int, steps: list[str]) -> None:
    mailbox: Mailbox[int] = Mailbox(size)
    waiting, is_open = 0, True
    for step in steps:
        if step == "put":
            mailbox.put(1)
            waiting = min(waiting + 1, size) if is_open else 0
        elif step == "take" and waiting:
            assert mailbox.take() == 1
            waiting -= 1
        elif step == "close":
            mailbox.close()
            waiting, is_open = 0, False
        elif step == "open":
            mailbox.open()
            is_open = True
        assert accounted(mailbox, waiting)


def test_two_threads_lose_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    taken: list[int] = []

    def read() -> None:
        while (item := mailbox.take()) is not None:
            taken.append(item)

    reader = threading.Thread(target=read)
    reader.start()
    for item in range(20_000):
        mailbox.put(item)
    mailbox.close()
    reader.join(timeout=10)
    assert taken == sorted(taken)
    assert mailbox.taken == len(taken)
    assert accounted(mailbox)
    assert mailbox.received == 20_000
