"""What is missing on this machine, and how to get it."""

import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from bike_assets.local import parts
from bike_assets.local.jars import missing_jars
from bike_assets.local.ports import busy_ports
from bike_assets.local.supervision import Supervision
from bike_assets.model.errors import BikeAssetsError
from bike_assets.settings import Settings, load_settings

NEEDED_GB = 5.0


class Finding(NamedTuple):
    """One thing that was looked at; where it is not right, `says` tells what to do."""

    what: str
    ok: bool
    says: str


def examine() -> list[Finding]:
    """Look at everything that a start needs, without starting anything."""
    try:
        settings = load_settings()
    except BikeAssetsError as err:
        return [Finding("settings", ok=False, says=str(err))]
    checks = (_settings, _python, _java, _jars, _disk, _ports, _kafka, _sources)
    return [check(settings) for check in checks]


def _settings(settings: Settings) -> Finding:
    return Finding("settings", ok=True, says=f"home is {settings.home}")


def _python(settings: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", (3, 11) <= sys.version_info < (3, 14), f"{version}; 3.11, 3.12 or 3.13 is needed")


def _java(settings: Settings) -> Finding:
    try:
        return Finding("Java", ok=True, says=str(parts.java(settings)))
    except BikeAssetsError as err:
        return Finding("Java", ok=False, says=str(err))


def _jars(settings: Settings) -> Finding:
    missing = missing_jars(settings.home)
    says = "all there" if not missing else f"{len(missing)} are missing: `bike setup` fetches them"
    return Finding("jars", not missing, says)


def _disk(settings: Settings) -> Finding:
    where = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free_gb = shutil.disk_usage(where).free / 1e9
    return Finding("disk", free_gb >= NEEDED_GB, f"{free_gb:.0f} GB free; {NEEDED_GB:.0f} GB are good to have")


def _ports(settings: Settings) -> Finding:
    if Supervision(settings.home).states() is not None:
        return Finding("ports", ok=True, says="in use by what `bike up` started here")
    busy = busy_ports(settings)
    says = "free" if not busy else f"{busy[0].sentence}"
    return Finding("ports", not busy, says)


def _kafka(settings: Settings) -> Finding:
    if settings.kafka is None:
        return Finding("Kafka", ok=True, says="a local broker is started where it is needed")
    if parts.is_broker_up(settings):
        return Finding("Kafka", ok=True, says=f"{settings.kafka} answers")
    return Finding("Kafka", ok=False, says=f"{settings.kafka} does not answer; BIKE_KAFKA names it")


def _sources(settings: Settings) -> Finding:
    from bike_assets.sources.config import load_sources

    if not Path(settings.sources).exists():
        says = "no sources file yet; `cp sources.example.toml sources.toml`, or `bike sources add`"
        return Finding("sources", ok=True, says=says)
    try:
        systems = load_sources(settings.sources)
    except BikeAssetsError as err:
        return Finding("sources", ok=False, says=str(err))
    return Finding("sources", ok=True, says=f"{len(systems)} sources in {settings.sources}")
