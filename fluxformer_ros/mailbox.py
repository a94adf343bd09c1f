"""A place for one message: the subscription leaves the newest there, the worker takes it when it is free."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds the latest item only, so that a slow reader is late by one item and never by a queue of them.

    Every item is accounted for: `received == taken + replaced + discarded`, plus one while an item waits.

    Attributes:
        received: items put so far.
        taken: items handed to the reader.
        replaced: items that a newer one pushed out before the reader came.
        discarded: items that were put after, or still waited at, `close`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self.received = 0
        self.taken = 0
        self.replaced = 0
        self.discarded = 0

    def put(self, item: T) -> None:
        """Leave an item; never blocks."""
        with self._changed:
            self.received += 1
            if self._closed:
                self.discarded += 1
                return
            if self._item is not None:
                self.replaced += 1
            self._item = item
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for an item and remove it; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            item, self._item = self._item, None
            if item is not None:
                self.taken += 1
            return item

    def open(self) -> None:
        """Accept items again after `close`."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """Drop what waits and release the reader."""
        with self._changed:
            self._closed = True
            if self._item is not None:
                self._item = None
                self.discarded += 1
            self._changed.notify_all()
