"""How this process gets memory for large tensors."""

from __future__ import annotations

import ctypes
import platform
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc
_TRIM = 2**31 - 1


def reuse_buffers() -> bool:
    """Make glibc keep the memory of large tensors for the next ones; call it before the first.

    By default it maps every buffer above 32 MiB anew and unmaps it at once. At 224 px a forward pass has dozens of
    those, and the system then spends more time on handing out zeroed pages than the net on adding up its biases.

    Returns:
        Whether there was a glibc to ask, and it agreed.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, _TRIM))
