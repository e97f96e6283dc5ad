"""Orders as a shop sends them: a test names only what matters to it."""

import json
from typing import Any


def sent(**given: Any) -> dict[str, Any]:
    """A healthy order."""
    healthy: dict[str, Any] = {
        "order_id": "A-1", "version": 1, "customer_id": "c1", "source": "shop", "quantity": 2, "total": "12.50",
        "created_at": "2026-11-20T12:00:00Z",
    }  # fmt: skip
    return healthy | given


def body(*orders: dict[str, Any]) -> bytes:
    """One order as an object, none or many as a list."""
    return json.dumps(orders[0] if len(orders) == 1 else orders).encode()
