"""A bounded queue between two threads: a new item replaces the oldest one when the queue is full."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds the latest few items in their order, so that a slow reader is late by these few items at most.

    Every item is accounted for: `received == taken + replaced + discarded + waiting`.
    """

    def __init__(self, size: int = 1) -> None:
        """An open mailbox in which as many items as its size may wait."""
        self._changed = threading.Condition()
        self._items: deque[T] = deque(maxlen=size)
        self._closed = False
        self.received = 0  # items put so far
        self.taken = 0  # items handed to the reader
        self.replaced = 0  # items that a newer item pushed out
        self.discarded = 0  # items that waited at `close`, or were put while the mailbox was closed

    def put(self, item: T) -> None:
        """Add an item; never blocks."""
        with self._changed:
            self.received += 1
            if self._closed:
                self.discarded += 1
                return
            if len(self._items) == self._items.maxlen:
                self.replaced += 1
            self._items.append(item)
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for the oldest item and remove it; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            if not self._items:
                return None
            self.taken += 1
            return self._items.popleft()

    def open(self) -> None:
        """Accept items again after `close`."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """Discard the waiting items and release the reader."""
        with self._changed:
            self._closed = True
            self.discarded += len(self._items)
            self._items.clear()
            self._changed.notify_all()
