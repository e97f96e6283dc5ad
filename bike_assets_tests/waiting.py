"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], bool], within_s: float = 60.0) -> None:
    """Return as soon as it is so. Raises AssertionError where it never is."""
    ends = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < ends, f"not so within {within_s:.0f} s"
        time.sleep(0.01)
