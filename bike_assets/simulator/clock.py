"""Instants as the simulator counts them: milliseconds since 1970."""

from datetime import UTC, datetime, timedelta

MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_ms(at: datetime) -> int:
    """Milliseconds since 1970. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError(f"naive time: {at!r}")
    return (at - EPOCH) // timedelta(milliseconds=1)
