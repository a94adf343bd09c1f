"""Work that does to its process what damaged files do to decoders; apart, so that a new process imports it quickly."""

from __future__ import annotations

import os
from collections.abc import Callable


def treacherous(item: str, beat: Callable[[], None]) -> str:
    """Crash, hang, or do as asked."""
    if item == "crash":
        os.abort()
    if item == "hang":
        os.read(os.pipe()[0], 1)
    beat()
    return item.upper()
