"""The demo: both real recordings up to now, then two simulated cities that go on where they end."""

import secrets
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from bike_assets.files import write_whole
from bike_assets.settings import Settings
from bike_assets.simulator.orders import customers_csv

POLL_SECONDS = 5
TRIGGER_SECONDS = 5
WEEK = timedelta(days=7)

_SOURCES = """\
# Written by `bike up --demo`: both systems are served by the simulator.

[[systems]]
kind = "jcdecaux"
version = 1
contract = "besancon"
poll_seconds = {poll_seconds}

[[systems]]
kind = "gbfs"
system_id = "oslobysykkel"
url = "http://127.0.0.1:{port}/gbfs/oslobysykkel/gbfs.json"
timezone = "Europe/Oslo"
poll_seconds = {poll_seconds}
"""


def demo_settings(settings: Settings) -> Settings:
    """The settings, with the simulator as the only source, its customers, few days, and batches worth watching."""
    sources = settings.run / "demo-sources.toml"
    sources.parent.mkdir(parents=True, exist_ok=True)
    sources.write_text(_SOURCES.format(port=settings.simulator_port, poll_seconds=POLL_SECONDS))
    if settings.members_key is None and not settings.members_key_file.exists():
        write_whole(settings.members_key_file, secrets.token_hex(32).encode(), mode=0o600)
    customers = settings.run / "demo-customers.csv"
    customers.write_text(customers_csv())
    return settings.model_copy(
        update={
            "sources": Path(sources),
            "customers": customers,
            "jcdecaux_url": f"http://127.0.0.1:{settings.simulator_port}",
            "jcdecaux_key": SecretStr("the-simulator-takes-any"),
            "members_url": SecretStr(f"http://127.0.0.1:{settings.simulator_port}/members/api/?seed=demo"),
            "trigger_seconds": TRIGGER_SECONDS,
            "first_day": _first_day(settings),
        }
    )


def _first_day(settings: Settings) -> date:
    """A week ago, or the first day that anything is known of: Dagster counts all days since then, at each step."""
    if "first_day" in settings.model_fields_set:
        return settings.first_day
    days = (path.name.partition("=")[2] for path in (settings.lake / "events").glob("*/utc_date=*"))
    return min([datetime.now(UTC).date() - WEEK, *map(date.fromisoformat, days)])


def is_empty(bootstrap_servers: str) -> bool:
    """Whether nothing was ever polled or replayed here."""
    from bike_assets.stream.offsets import end_offsets

    return all(end == 0 for end in end_offsets(bootstrap_servers)["polls"].values())
