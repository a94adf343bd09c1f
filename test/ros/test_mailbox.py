"""The mailbox keeps the latest items in their order and accounts for every item."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxformer_ros.node.mailbox import Mailbox


def accounted(mailbox: Mailbox[int], waiting: int = 0) -> bool:
    return mailbox.received == mailbox.taken + mailbox.replaced + mailbox.discarded + waiting


@pytest.mark.parametrize("size", [1, 3])
def test_the_latest_items_replace_the_oldest_and_come_in_their_order(size: int) -> None:
    mailbox: Mailbox[int] = Mailbox(size)
    for item in range(5):
        mailbox.put(item)
    assert [mailbox.take() for _ in range(size)] == list(range(5))[-size:]
    assert (mailbox.received, mailbox.taken, mailbox.replaced, mailbox.discarded) == (5, size, 5 - size, 0)


def test_closing_releases_a_reader_that_waits() -> None:
    mailbox: Mailbox[int] = Mailbox()
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(mailbox.take)
        mailbox.close()
        assert reader.result(timeout=10) is None


def test_a_closed_mailbox_discards_until_it_is_opened_again() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    mailbox.close()
    mailbox.put(2)
    assert (mailbox.take(), mailbox.discarded) == (None, 2)
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
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(lambda: list(iter(mailbox.take, None)))
        for item in range(20_000):
            mailbox.put(item)
        mailbox.close()
        taken = reader.result(timeout=10)
    assert taken == sorted(taken)
    assert accounted(mailbox)
    assert (mailbox.taken, mailbox.received) == (len(taken), 20_000)
