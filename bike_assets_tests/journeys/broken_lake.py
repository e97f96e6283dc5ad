"""`bike` with a lake that is broken before it is checked: as many departures again in every minute."""

from collections.abc import Iterable
from datetime import date

from deltalake import DeltaTable
from rich.console import Console

from bike_assets.cli import main
from bike_assets.lake.tables import table_path
from bike_assets.local import ci
from bike_assets.local.report import Part
from bike_assets.model.tables import LIVE_SYSTEM_MINUTE
from bike_assets.settings import Settings

_check = ci.build_and_check


def _break_and_check(settings: Settings, days: Iterable[tuple[date, date]], console: Console) -> list[Part]:
    DeltaTable(table_path(settings.lake, LIVE_SYSTEM_MINUTE)).update(updates={"departures": "departures + 1"})
    return _check(settings, days, console)


if __name__ == "__main__":
    ci.build_and_check = _break_and_check
    main()
