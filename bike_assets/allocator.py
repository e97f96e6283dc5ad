"""How the C library keeps memory that is free: for a process in which many threads hold large bodies for a moment."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of glibc's malloc.h."""

LARGE_BYTES = 128 * 1024


def give_back_early() -> None:
    """Have large blocks go back to the system as soon as they are free, and one heap for all threads.

    By default each thread has a heap of its own, and what was large once is kept ever after: with a thousand systems
    that is a fifth of a poller's memory. Does nothing where the C library is not glibc; call it before threads start.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * LARGE_BYTES)
