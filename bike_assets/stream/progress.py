"""What the stream's heartbeat says of its queries, for those who read it without Spark."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

EVENTS, LIVE, SALES = "events", "live", "sales"
QUERIES = (EVENTS, LIVE, SALES)
"""In the order in which data passes through them."""


def looked_since(report: Mapping[str, Any], asked_at: datetime) -> bool:
    """Whether a query's last finished trigger began after `asked_at`: what was there then is in its tables."""
    looked_at = report.get("looked_at")
    return looked_at is not None and datetime.fromisoformat(looked_at).astimezone(UTC) > asked_at
