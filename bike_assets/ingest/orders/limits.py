"""How much a client may ask of the service: bytes, seconds, orders a second."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request

MAX_BYTES = 1_000_000
BODY_S = 10.0
ORDER_BYTES = 120
"""What the shortest of healthy orders has."""
CLIENTS = 10_000
"""So many addresses are remembered, the ones that asked last."""


class Unacceptable(Exception):
    """A request that is answered with this status before its orders are looked at."""

    def __init__(self, status: int, says: str, retry_after_s: int | None = None) -> None:
        super().__init__(says)
        self.status, self.says, self.retry_after_s = status, says, retry_after_s


class Rate:
    """Orders a second of each client: a bucket that holds one second's worth, and fills evenly."""

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._clock = per_second, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def begin(self, client: str) -> None:
        """Take the first order of a request before anything of it is read, whatever it turns out to be.

        Raises Unacceptable (429) where the client is over its rate.
        """
        self._take(client, 1, 1)

    def take(self, client: str, orders: int) -> None:
        """Take what a request has beyond its first order. More than a second's worth waits for a full bucket, and
        empties it beyond. Raises Unacceptable (429) where the client is over its rate.
        """
        self._take(client, min(orders, self._per_second) - 1, orders - 1)

    def charge(self, client: str, size: int) -> None:
        """Take for a request of so many bytes that was read in vain, as for the orders that it could have held."""
        self._take(client, -math.inf, size // ORDER_BYTES)

    def _take(self, client: str, needs: float, orders: int) -> None:
        now = self._clock()
        left, at = self._buckets.pop(client, (float(self._per_second), now))
        left = min(left + (now - at) * self._per_second, self._per_second)
        is_enough = left >= needs
        self._buckets[client] = (left - orders if is_enough else left, now)
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        if not is_enough:
            wait = max(1, round((needs - left) / self._per_second + 0.5))
            raise Unacceptable(429, f"More than {self._per_second} orders a second.", wait)


async def read_body(request: Request, max_bytes: int = MAX_BYTES, seconds: float = BODY_S) -> bytes:
    """The body; never more than `max_bytes` is kept. Raises Unacceptable, and ClientDisconnect for half of one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Unacceptable(415, "The body is to be JSON, and its content-type application/json.")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Unacceptable(415, "The body is to come without compression.")
    too_large = Unacceptable(413, f"A body may have {max_bytes:,} bytes: send fewer orders at once.")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError:
        raise Unacceptable(408, f"The body did not come within {seconds:g} s.") from None
    return bytes(body)
