"""Instants as viewers get them: epoch ms."""

from datetime import datetime


def ms(at: datetime) -> int:
    """An instant."""
    return round(at.timestamp() * 1000)


def ms_or_none(at: datetime | None) -> int | None:
    """An instant that may not be known."""
    return None if at is None else ms(at)
