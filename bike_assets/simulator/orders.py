"""A shop and an app that send orders: new ones, corrections, late ones, and now and then one of a stranger."""

import random
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
import structlog

log = structlog.get_logger()

STATES = ("Oslo", "Viken", "Vestland", "Doubs", "Jura")
CUSTOMERS = 40
SOURCES = ("shop", "app", "kiosk")
EVERY_S = 2.0
ANSWER_S = 15.0
_KEPT = 200


def customers_csv() -> str:
    """The list of the customers that order."""
    lines = [f"c{number},{STATES[number % len(STATES)]},Customer {number}" for number in range(CUSTOMERS)]
    return "\n".join(["id,state,name", *lines, ""])


def orders(prefix: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Orders without end, each to be stamped when it is sent: `late_s` says how long ago it was made."""
    sent: deque[dict[str, Any]] = deque(maxlen=_KEPT)
    number = 0
    while True:
        if sent and chance.random() < 0.15:
            before = sent.popleft()
            quantity = chance.randrange(4)
            order = before | {"version": before["version"] + 1, **_priced(quantity, chance)}
        else:
            number += 1
            customer = f"c{chance.randrange(CUSTOMERS)}" if chance.random() < 0.95 else f"stranger-{number}"
            order = {"order_id": f"{prefix}-{number}", "version": 1, "customer_id": customer,
                     "source": chance.choice(SOURCES), **_priced(chance.randrange(1, 5), chance)}  # fmt: skip
        order["late_s"] = chance.randrange(600, 7_200) if chance.random() < 0.1 else 0
        sent.append(order)
        yield order


def _priced(quantity: int, chance: random.Random) -> dict[str, Any]:
    cents = quantity * chance.randrange(500, 3_000)
    return {"quantity": quantity, "total": f"{cents // 100}.{cents % 100:02}"}


def run_orders(url: str, seed: int, stop: threading.Event, every_s: float = EVERY_S) -> None:
    """Send some orders every few seconds until told to stop; what was not answered is sent again, as it was."""
    chance = random.Random(seed)
    made = orders(f"demo-{datetime.now(UTC):%Y%m%d%H%M%S}", chance)
    waiting: list[dict[str, Any]] = []
    while not stop.wait(every_s):
        now = datetime.now(UTC)
        if not waiting:
            waiting = [_stamped(next(made), now) for _ in range(chance.randrange(1, 8))]
        try:
            answer = requests.post(url, json=waiting, timeout=ANSWER_S)
        except requests.RequestException as err:
            log.warning("orders are not taken", reason=type(err).__name__)
            continue
        if answer.ok:
            waiting = []
        elif answer.status_code < 500 and answer.status_code != 429:
            log.error("orders are refused", status=answer.status_code, said=answer.text[:200])
            waiting = []


def _stamped(order: dict[str, Any], now: datetime) -> dict[str, Any]:
    made_at = now - timedelta(seconds=order["late_s"])
    return {**{name: value for name, value in order.items() if name != "late_s"}, "created_at": made_at.isoformat()}
